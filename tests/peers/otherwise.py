"""What readers of archives take for whole although it is broken, and what they cannot represent.

Each row is tested to be so: when it stops happening the run fails, and the row goes.
"""

from __future__ import annotations

from dataclasses import dataclass
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

MILLISECOND, SECOND = 10**6, 10**9
# (reader, format): a time is told to so many nanoseconds; to one where there is no row.
PRECISION: dict[tuple[str, str], int] = {
    # A JavaScript Date.
    ("node-tar", "tar"): MILLISECOND,
    ("node-tar-strict", "tar"): MILLISECOND,
    # The extended timestamp has seconds.
    ("bsdtar", "zip"): SECOND,
    ("unzip", "zip"): SECOND,
    ("7z", "zip"): SECOND,
    ("go", "zip"): SECOND,
    # It looks at the time of DOS alone.
    ("python", "zip"): 2 * SECOND,
}


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


def _with(entry: Entry, **fields) -> Entry:
    return Entry(**{**vars(entry), **fields})


def _javascript(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    name, entry = row
    content = entry.content.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return name.decode("utf-8", "replace").encode(), _with(entry, content=content)




def _links_unaged(row: tuple[bytes, Entry]) -> tuple[bytes, Entry]:
    name, entry = row
    return name, _with(entry, mtime=None) if entry.kind == "link" else entry


OTHERWISE: list[Otherwise] = []
