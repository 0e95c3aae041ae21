"""What readers of archives take for whole although it is broken, and what they cannot represent.

Each row is tested to be so: when it stops happening the run fails, and the row goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

from readers import Entry

# Readers that take a broken archive for a whole one: (reader, what of): why.
_FORGIVES = (
    "without `strict` it only warns of an entry that ends early (`TAR_BAD_ARCHIVE`, to `onwarn`);"
    " seen with tar 7.5 of npm, and by this run with the version above"
)
BROKEN: dict[tuple[str, str], str] = {
    ("node-tar", "tar"): _FORGIVES,
    ("node-tar", "tar in tar.gz"): _FORGIVES,
    ("node-tar", "tar in tar.zst"): _FORGIVES,
}

SECOND = 10**9


def precision(reader: str, format: str) -> int:
    """How many nanoseconds a time may be off: what the archive holds, and what the reader makes of it."""
    if (reader, format) == ("python", "zip"):
        # It looks at the time of DOS alone, which has every other second.
        return 2 * SECOND
    # Our TAR and the extended timestamp of ZIP hold whole seconds.
    return SECOND


@dataclass(frozen=True)
class Otherwise:
    """A reader that makes something else of a folder than it is."""

    reader: str
    # tar, with its compressed forms, or zip.
    format: str
    # The function of nasty.py that makes the folder.
    folder: str
    reason: str
    # What it makes of an entry; None: it refuses the archive.
    tells: Callable[[tuple[bytes, Entry]], tuple[bytes, Entry]] | None


def garbled(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    """Stands for: something else than is there, whatever it is."""
    return row


def _javascript(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    name, entry = row
    content = entry.content.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return name.decode("utf-8", "replace").encode(), replace(entry, content=content)


def _by_seven_zip(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    """The umask of those who extract counts, the sticky bit does not, and the owner may always write a folder."""
    name, entry = row
    if entry.mode is None:
        return row
    return name, replace(entry, mode=entry.mode & 0o755 | (0o700 if entry.kind == "folder" else 0))


def _not_sticky(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    name, entry = row
    return (name, replace(entry, mode=entry.mode & 0o777)) if entry.mode is not None else row


_NODE = ("node-tar", "node-tar-strict")
_TEXT = "a name is text in JavaScript: what is no UTF-8 is replaced"
_LINES = "it reads pax records by lines, not by their lengths"

OTHERWISE: list[Otherwise] = [
    *(Otherwise(node, "tar", "names_not_text", f"{_TEXT}; {_LINES}", garbled) for node in _NODE),
    *(Otherwise(node, "tar", "links_not_text", _TEXT, _javascript) for node in _NODE),
    *(Otherwise(node, "tar", "names_of_many_lines", _LINES, garbled) for node in _NODE),
    *(
        row
        for format in ("tar", "zip")
        for row in (
            Otherwise("bsdtar", format, "names_decomposed", "libarchive composes names that are UTF-8", garbled),
            Otherwise("7z", format, "modes", "it applies the umask, and knows no sticky bit", _by_seven_zip),
            Otherwise("7z", format, "links", "it makes no link that leads upwards, or to another link", None),
            Otherwise("7z", format, "links_outside", "it makes no link that leads out", None),
        )
    ),
    Otherwise("unzip", "zip", "modes", "it knows no sticky bit", _not_sticky),
    Otherwise("python", "zip", "names_not_text", "a name that is not said to be UTF-8 is of code page 437", garbled),
    Otherwise("python", "zip", "times", "it looks at the time of DOS alone, which begins in 1980", garbled),
    *(
        Otherwise(reader, "zip", "times_far", "it reads 32 bits, from 1970 on, or the time of DOS, from 1980 to 2107", garbled)
        for reader in ("bsdtar", "unzip", "7z", "python", "go")
    ),
]
