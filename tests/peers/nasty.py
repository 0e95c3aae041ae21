"""Folders that are hard to put into an archive: each makes one thing difficult."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

# 2001-09-09, with a fraction that needs all nine digits.
PAST = 1_000_000_000_123_456_789
BILLION = 10**9

NAMES = [
    # Where ustar's fields for a name (100) and what stands before it (155) end, and Linux' own limit.
    *(str(length)[0] * length for length in (99, 100, 101, 154, 155, 156, 254, 255)),
    "é" * 50,
    "é" * 127,
    "caf\u00e9",
    "日本語.txt",
    "\N{PILE OF POO}.txt",
    "exe.\u202egpj",
    # Reserved by other systems, or by shells.
    "CON",
    "nul.txt",
    "a:b",
    "what?*|<>\"",
    "dot.",
    "space ",
    " before",
    "-rf",
    "--checkpoint=1",
    "@list",
    "~",
    "$HOME",
    "`id`",
    "%2e%2e",
    "Case",
    "case",
    "...",
    "..name",
    # What archives call their own.
    "PaxHeaders.0",
    "@LongLink",
    "././@LongLink".replace("/", "_"),
    "pax_global_header",
]
NOT_TEXT = [b"caf\xe9", b"\xff\xfe\x80", b"\xe9" * 101, b"\xe9" * 255, b"a\xc3", b"\xed\xa0\x80"]
CONTROLS = ["new\nline", "re\rturn", "tab\tulator", "\x01\x1b[31m\x7f", "\n"]


def names(top: Path) -> None:
    for number, name in enumerate(NAMES):
        (top / name).write_text(f"{number}\n")


def names_not_text(top: Path) -> None:
    """Names that are no UTF-8; a folder among them."""
    for name in map(os.fsdecode, NOT_TEXT):
        (top / name).write_text("x")
    folder = top / os.fsdecode(b"f\xf6lder")
    folder.mkdir()
    (folder / "file").write_text("x")


def names_controls(top: Path) -> None:
    for name in CONTROLS:
        (top / name).write_text("x")


def names_of_many_lines(top: Path) -> None:
    """Longer than ustar's field: the line feeds stand in a pax record, whose end is known by its length alone."""
    (top / ("a\n" * 60)).write_text("x")


def names_decomposed(top: Path) -> None:
    """The same letter, composed and not: two files."""
    (top / "caf\u00e9").write_text("composed")
    (top / "cafe\u0301").write_text("decomposed")


def names_backslash(top: Path) -> None:
    (top / "back\\slash").write_text("x")
    (top / "..\\..\\up").write_text("x")


def paths(top: Path) -> None:
    """Paths that get longer until they are as long as one call may name."""
    # Room for the folder that is served, as the path of the file must still be one that can be opened.
    longest = os.pathconf(top, "PC_PATH_MAX") - 300
    length, folder = 0, os.open(top, os.O_RDONLY)
    for step in (90, 9, 1, 54, 100, 1, 200, *[254] * 20):
        if length + step + 1 > longest:
            break
        name = chr(97 + step % 26) * step
        for made in (name + "-", name):
            os.mkdir(made[:255], dir_fd=folder)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder, length = below, length + step + 1
    with open(os.open("deepest", os.O_WRONLY | os.O_CREAT, dir_fd=folder), "w") as file:
        file.write("deepest")
    os.close(folder)


def sizes(top: Path) -> None:
    """Around a block, a record and a frame; zeros, a hole, and what does not compress."""
    dice = random.Random(5)
    for size in (0, 1, 511, 512, 513, 10_239, 10_240, 10_241, 32_767, 32_768, 65_536, 262_144, 262_145, 1_000_003):
        (top / f"random-{size}").write_bytes(dice.randbytes(size))
        (top / f"zeros-{size}").write_bytes(bytes(size))
    with (top / "hole").open("wb") as file:
        file.truncate(20 << 20)
        file.seek(11 << 20)
        file.write(b"in the middle")
    os.link(top / "random-513", top / "random-513-again")


def folders(top: Path) -> None:
    (top / "empty" / "empty" / "empty").mkdir(parents=True)
    (top / "empty too").mkdir()
    for name in ("sub", "sub.d", "sub-d", "sub0"):
        (top / name).mkdir()
        (top / name / "file").write_text(name)
    many = top / "many"
    many.mkdir()
    for number in range(2_000):
        (many / f"{number}").write_text(f"{number}")


def links(top: Path) -> None:
    (top / "file").write_text("file")
    (top / "folder").mkdir()
    (top / "folder" / "file").write_text("file")
    for name, target in {
        "to file": "file",
        "to folder": "folder",
        "to file below": "folder/file",
        "up and down": "folder/../file",
        "dangling": "nowhere",
        "self": "self",
        "loop a": "loop b",
        "loop b": "loop a",
        "here": ".",
        "target of 100": "t" * 100,
        "target of 101": "t" * 101,
        "target of 255 x 4": "/".join(["t" * 250] * 4),
        "target with newline": "new\nline",
        "target é": "é",
    }.items():
        (top / name).symlink_to(target)


def links_outside(top: Path) -> None:
    (top / "file").write_text("file")
    (top / "absolute").symlink_to("/etc/passwd")
    (top / "above").symlink_to("../../../../etc/passwd")


def links_not_text(top: Path) -> None:
    (top / "not text").symlink_to(os.fsdecode(b"caf\xe9"))


def modes(top: Path) -> None:
    for mode in (0o400, 0o440, 0o444, 0o600, 0o644, 0o755, 0o777, 0o711, 0o1644, 0o2755, 0o4755, 0o6777):
        (top / f"file-{mode:o}").write_text("x")
        (top / f"file-{mode:o}").chmod(mode)
    for mode in (0o500, 0o555, 0o700, 0o750, 0o755, 0o777, 0o1777, 0o2775):
        folder = top / f"folder-{mode:o}"
        folder.mkdir()
        (folder / "file").write_text("x")
        folder.chmod(mode)


TIMES = {
    "1970": 0,
    "1970 and a bit": 1,
    "1979": 315_532_799 * BILLION,
    "1980": 315_532_800 * BILLION,
    "2001 odd": 1_000_000_001 * BILLION,
    "2001 nearly": 1_000_000_001_999_999_999,
    "2001 tenth": 1_000_000_000_100_000_000,
    "2037": 2_147_483_647 * BILLION,
    "2038": 2_147_483_648 * BILLION,
    "2040": 2_208_988_800_987_654_321,
}
# Before and after what 32 bits hold.
FAR = {
    "2106": 4_294_967_295 * BILLION,
    "2107": 4_323_542_400 * BILLION,
    "2200": 7_258_118_400 * BILLION,
    "2262": 9_214_646_400 * BILLION,
    "1969": -BILLION,
    "1965 and a bit": -157_766_400 * BILLION + 500_000_000,
    "1902": -2_145_916_800 * BILLION,
}


def _timed(top: Path, rows: dict[str, int]) -> None:
    for name, time in rows.items():
        (top / name).write_text(name)
        os.utime(top / name, ns=(time, time))


def times_far(top: Path) -> None:
    _timed(top, FAR)


def times(top: Path) -> None:
    _timed(top, TIMES)
    (top / "folder").mkdir()
    (top / "folder" / "file").write_text("x")
    (top / "link").symlink_to("1970")


def specials(top: Path) -> None:
    """What is no file: left out, and said."""
    (top / "before").write_text("before")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        folder = os.open(top, os.O_RDONLY)
        # A socket's path has at most 107 octets.
        made.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    (top / "zuletzt").write_text("after")


# What an archive must say that it left out.
LEFT_OUT = {specials: (b"fifo", b"socket")}


FOLDERS = (
    names, names_not_text, names_controls, names_of_many_lines, names_decomposed, names_backslash, paths, sizes, folders, links, links_outside, links_not_text,
    modes, times, times_far, specials,
)


def file_of_9_gib(top: Path) -> None:
    """Larger than ustar's 8 GiB and ZIP's 4: a hole, with something at both ends and around both limits."""
    with (top / "large").open("wb") as file:
        file.truncate(9 << 30)
        for at in (0, (4 << 30) - 3, (8 << 30) - 3, (9 << 30) - 6):
            file.seek(at)
            file.write(b"octets")
    (top / "last").write_text("last")


def files_200_000(top: Path) -> None:
    for number in range(200_000):
        if number % 1_000 == 0:
            (top / f"{number // 1_000:03}").mkdir()
        (top / f"{number // 1_000:03}" / f"{number}").write_text(f"{number}\n")


LARGE = (file_of_9_gib, files_200_000)


def plant(make, top: Path) -> None:
    """Makes the folder; everything whose time is not what is tested was modified long ago."""
    top.mkdir(parents=True)
    make(top)
    if make not in (times, times_far):
        age(top)
    elif make is times:
        os.utime(top / "folder" / "file", ns=(PAST, PAST))
        os.utime(top / "folder", ns=(PAST, PAST))
        os.utime(top / "link", ns=(PAST, PAST), follow_symlinks=False)
    os.utime(top, ns=(PAST, PAST))


def age(top: Path) -> None:
    for folder, below, files, at in os.fwalk(top, topdown=False):
        for name in (*below, *files):
            os.utime(name, ns=(PAST, PAST), dir_fd=at, follow_symlinks=False)
