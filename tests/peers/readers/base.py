"""What all readers share: what they read of an archive, and how a tree is told."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from clients.base import Talk, environment

# Seconds for one reading: a file of 9 GiB, or 200 000 files, take some readers minutes.
DEADLINE = 600.0
# Octets that are hashed at once.
PIECE = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One thing in an archive or a tree."""

    # file, folder, link; anything else is named as the reader names it.
    kind: str
    # Permissions with set-id and sticky bits; None: the reader does not say.
    mode: int | None
    # Nanoseconds since 1970; None: the reader does not say.
    mtime: int | None
    size: int
    # SHA-256 of a file's octets; of a link, where it leads.
    content: str


@dataclass
class Reading:
    """What a reader made of a file."""

    # The reader's own words; None: it took the file for good.
    error: str | None
    # By name below the archive's top, as octets; None where it failed.
    entries: dict[bytes, Entry] | None = None

    @property
    def accepted(self) -> bool:
        return self.error is None


class Reader:
    """A program or library that opens archives."""

    name: str
    formats: tuple[str, ...]

    def __init__(self, folder: Path):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)

    def version(self) -> str:
        """Raises clients.Missing. Builds what has to be built."""
        raise NotImplementedError

    def read(self, archive: Path, format: str) -> Reading:
        """Reads all of it, every octet of every entry."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what it started."""


class Extracting(Reader):
    """A program that extracts into a folder. Exit code 0 alone is a success."""

    def commands(self, archive: Path, format: str, into: Path) -> list[list[str]]:
        """What to run, one after another. `{}` stands for a file that the command before has made."""
        raise NotImplementedError

    def read(self, archive: Path, format: str) -> Reading:
        with room(self.folder) as scratch:
            into = scratch / "tree"
            into.mkdir()
            for command in self.commands(archive.resolve(), format, into):
                done = run(command, scratch)
                if done.returncode:
                    said = (done.stderr + done.stdout).strip().decode(errors="replace").splitlines()
                    return Reading(f"{Path(command[0]).name} exit {done.returncode}: {' | '.join(said[-3:])[-300:]}")
            return Reading(None, tree(into))


class Library(Reader):
    """A library, asked by a small program of ours: `{"path", "format"}` gives `{"error", "entries"}`.

    An entry is `[name, kind, mode, mtime, size, content]`: name and a link's content in hexadecimal, mtime in
    nanoseconds as text, since a double cannot hold them.
    """

    command: list[str]
    _running: Talk | None = None

    def read(self, archive: Path, format: str) -> Reading:
        if self._running is None:
            self._running = Talk(self.command, self.folder)
        try:
            answer = self._running.ask({"path": str(archive.resolve()), "format": format, "reader": self.name}, DEADLINE)
        except TimeoutError:
            self.close()
            raise
        if answer["error"] is not None:
            return Reading(answer["error"])
        return Reading(None, dict(map(told, answer["entries"])))

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None


def told(row: list) -> tuple[bytes, Entry]:
    name, kind, mode, mtime, size, content = row
    if kind == "link":
        # Every link of Linux has the same.
        mode, content = None, os.fsdecode(bytes.fromhex(content))
    entry = Entry(kind, mode, None if mtime is None else int(mtime), size, content)
    return trimmed(bytes.fromhex(name)), entry


def trimmed(name: bytes) -> bytes:
    """A name as it stands in a tree: `./a/b/` is `a/b`."""
    while name.startswith(b"./"):
        name = name[2:]
    return name.rstrip(b"/")


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    # A name is octets: only a language that knows UTF-8 lets unzip and 7z write what the archive says.
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        env={**environment(), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        cwd=folder,
        check=False,
    )


@contextmanager
def room(within: Path) -> Iterator[Path]:
    """A folder that goes, whatever modes an archive has given to what is in it."""
    path = Path(tempfile.mkdtemp(dir=within))
    try:
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Removes a tree, also folders that may not be entered and paths that are too long for one call."""

    def again(function, name, error):
        for one in (os.path.dirname(name), name):
            if not os.path.islink(one):
                os.chmod(one, 0o700)
        function(name)

    try:
        shutil.rmtree(path, onerror=again)
    except OSError:
        # Python 3.11's rmtree goes by whole paths where a folder was closed to it.
        subprocess.run(["rm", "-rf", "--", str(path)], check=True)


def tree(root: Path) -> dict[bytes, Entry]:
    """What lies below a folder, by name. Goes down by descriptors, since paths may be too long for one call."""
    found: dict[bytes, Entry] = {}
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _walk(top, b"", found)
    finally:
        os.close(top)
    return found


def _walk(folder: int, before: bytes, found: dict[bytes, Entry]) -> None:
    for name in map(os.fsencode, os.listdir(folder)):
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        found[before + name] = _entry(folder, name, seen)
        if stat.S_ISDIR(seen.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                _walk(below, before + name + b"/", found)
            finally:
                os.close(below)


def _entry(folder: int, name: bytes, seen: os.stat_result) -> Entry:
    mode, time = stat.S_IMODE(seen.st_mode), seen.st_mtime_ns
    if stat.S_ISDIR(seen.st_mode):
        return Entry("folder", mode, time, 0, "")
    if stat.S_ISLNK(seen.st_mode):
        return Entry("link", None, time, 0, os.fsdecode(os.readlink(name, dir_fd=folder)))
    if stat.S_ISREG(seen.st_mode):
        return Entry("file", mode, time, seen.st_size, _hash(os.open(name, os.O_RDONLY, dir_fd=folder)))
    return Entry(stat.filemode(seen.st_mode)[0], mode, time, 0, "")


def _hash(descriptor: int) -> str:
    digest = hashlib.sha256()
    with open(descriptor, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
