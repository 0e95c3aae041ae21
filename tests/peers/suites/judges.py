"""The readers of archives are right themselves: archives that other programs made, good ones and broken ones.

What a reader takes for whole although it is not is written here as it is: the reasons for the form of ours. A cut
between two entries of a TAR is one for all but 7z, so a header that promises more is put there; after the first octet
of a footer nothing can be told any more.
"""

from __future__ import annotations

import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Callable

from clients import DEADLINE, FORMATS
from clients.archives import Archives
from clients.base import environment, program
from readers import Reading, room, tree

from . import Peers, Test, Wrong
from .trees import below, differences, in_archive, replaced

FILES = {name: name.encode() * 10_000 for name in "abcd"}
# A header and 20 blocks.
ENTRY = 512 + 10_240
EVERYBODY = {"gnu-tar", "bsdtar", "7z", "python", "node-tar", "node-tar-strict", "go"}


def seal(size: int) -> bytes:
    """The header of a file that promises so many octets."""
    header = tarfile.TarInfo("why.txt")
    header.size = size
    return header.tobuf(tarfile.USTAR_FORMAT)


# What is left of a TAR of four files: who takes it for whole.
BROKEN_TAR: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "between": (lambda whole: whole[:2 * ENTRY], EVERYBODY - {"7z"}),
    "between-all-and-footer": (lambda whole: whole[:4 * ENTRY], EVERYBODY - {"7z"}),
    "header-cut": (lambda whole: whole[:2 * ENTRY + 256], {"gnu-tar", "python", "node-tar", "node-tar-strict"}),
    "data-cut": (lambda whole: whole[:2 * ENTRY + 5_000], {"node-tar"}),
    "data-cut-at-block": (lambda whole: whole[:2 * ENTRY + 512 + 5_120], {"node-tar"}),
    "last-octet-of-data-missing": (lambda whole: whole[:2 * ENTRY + 512 + 9_999], {"node-tar"}),
    "padding-cut": (lambda whole: whole[:2 * ENTRY + 512 + 10_100], {"node-tar", "go"}),
    "sealed": (lambda whole: whole[:2 * ENTRY] + seal(1 << 30) + b"disk", {"node-tar"}),
    "sealed-one-octet-short": (lambda whole: whole[:2 * ENTRY] + seal(513) + b"disk".ljust(512), {"node-tar"}),
    "footer-cut": (lambda whole: whole[:4 * ENTRY + 1_023], EVERYBODY - {"go"}),
    "footer-early": (lambda whole: whole[:2 * ENTRY] + bytes(1_024), EVERYBODY),
}
# The same, in gzip without its trailer.
BROKEN_GZIP = {
    "between": set(),
    "data-cut": set(),
    "sealed": set(),
    "footer-early": {"python", "go"},
}
# What is left of a ZIP of four files.
BROKEN_ZIP: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "no-directory": (lambda whole: whole[:whole.index(b"PK\1\2")], set()),
    "data-cut": (lambda whole: whole[:whole.index(b"PK\1\2") // 2], set()),
    "directory-cut": (lambda whole: whole[:whole.index(b"PK\5\6") - 30], {"bsdtar"}),
    "end-cut": (lambda whole: whole[:-1], {"bsdtar"}),
    "data-changed": (lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:], set()),
}


def tests(peers: Peers) -> list[Test]:
    found = []
    for format in FORMATS:
        group = peers.clients[f"archives-{format}"]
        checks = {"good": good}
        broken = {"tar": BROKEN_TAR, "tar.gz": BROKEN_GZIP, "tar.zst": {"between": None}, "zip": BROKEN_ZIP}[format]
        for name in broken:
            checks[name] = lambda g, n=name: rejected(g, n)
        found += [Test(f"{group.name}/judges/{name}", group.name, lambda g=group, c=check: c(g)) for name, check in checks.items()]
    return found


def plant(folder: Path) -> None:
    for name, octets in FILES.items():
        (folder / name).write_bytes(octets)


def make(format: str, folder: Path, archive: Path) -> bytes:
    """An archive of the folder's files, by GNU tar or Info-ZIP."""
    through = {"tar": [], "tar.gz": ["-z"], "tar.zst": ["--zstd"]}
    command = [program("tar"), "--format=ustar", *through.get(format, []), "-cf", str(archive), *FILES]
    if format == "zip":
        command = [program("zip"), "-q0", str(archive), *FILES]
    subprocess.run(command, cwd=folder, check=True, timeout=DEADLINE, env=environment())
    return archive.read_bytes()


def read(group: Archives, name: str, change: Callable[[str, Path, Path], bytes]) -> dict[str, Reading]:
    """What each reader makes of an archive."""
    with room(group.folder) as scratch:
        (scratch / "files").mkdir()
        plant(scratch / "files")
        archive = scratch / f"{name}.{group.format}"
        archive.write_bytes(change(group.format, scratch / "files", archive))
        return {reader.name: reader.read(archive, group.format) for reader in group.readers}


def good(group: Archives) -> None:
    with room(group.folder) as scratch:
        plant(scratch)
        want = in_archive(tree(scratch))
    wrong = []
    for name, reading in read(group, "good", make).items():
        if reading.entries is None:
            wrong.append(f"{name} rejects it: {reading.error}")
            continue
        got, _ = below("top", {b"top/" + name: entry for name, entry in reading.entries.items()})
        # The time is that of this moment: not what is compared here.
        want = {key: replaced(entry, mtime=got[key].mtime) for key, entry in want.items() if key in got} | {
            key: entry for key, entry in want.items() if key not in got}
        wrong += [f"{name}: {line}" for line in differences(want, got, 1)]
    if wrong:
        raise Wrong("\n".join(wrong))


def rejected(group: Archives, name: str) -> None:
    def change(format: str, folder: Path, archive: Path) -> bytes:
        if format == "zip":
            return BROKEN_ZIP[name][0](make(format, folder, archive))
        left = BROKEN_TAR[name][0](make("tar", folder, archive))
        if format == "tar.gz":
            stream = zlib.compressobj(wbits=31)
            return stream.compress(left) + stream.flush(zlib.Z_SYNC_FLUSH)
        if format == "tar.zst":
            done = subprocess.run([program("zstd"), "-qc"], input=left, capture_output=True, check=True, timeout=DEADLINE)
            # The checksum and the end of the last block.
            return done.stdout[:-5]
        return left

    due = {"tar": lambda: BROKEN_TAR[name][1], "tar.gz": lambda: BROKEN_GZIP[name], "tar.zst": set,
           "zip": lambda: BROKEN_ZIP[name][1]}[group.format]()
    readings = read(group, name, change)
    accepting = {reader for reader, reading in readings.items() if reading.accepted}
    if accepting != due:
        raise Wrong(f"taken for whole by {sorted(accepting)}, {sorted(due)} due: " + "; ".join(
            f"{reader}: {reading.error}" for reader, reading in readings.items() if reader in accepting ^ due))
