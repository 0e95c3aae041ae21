"""Readers of archives: programs and libraries, each judged by its own word.

A reader gives `name`, `formats`, `version()` and `read(archive, format)`. To add one: a class in `programs.py` or
`libraries.py`, a line in `all_readers`.
"""

from __future__ import annotations

from pathlib import Path

from .base import Entry, Reader, Reading, remove, room, tree

__all__ = ["Entry", "Reader", "Reading", "all_readers", "remove", "room", "tree"]


def all_readers(folder: Path) -> list[Reader]:
    """Every reader. `folder` is theirs to work in."""
    from .libraries import Go, Node, Python
    from .programs import BsdTar, GnuTar, SevenZip, Unzip

    return [
        GnuTar(folder),
        BsdTar(folder),
        Unzip(folder),
        SevenZip(folder),
        Python(folder),
        Node(folder, "node-tar"),
        Node(folder, "node-tar-strict"),
        Go(folder),
    ]
