"""The page of a folder, served by `endwell serve`, as Chromium, axe-core and a keyboard find it.

No fault of any impact, in light and in dark; nothing to scroll sideways at 320 px; Tab reaches the entries
in the order of the page; the heads of the columns sort without scripts; the JSON is as its schema says.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import Peers, Test, Wrong

CLIENT = "chromium-listing"
MANY = 10_000
# What a name may hold at worst: markup, controls, marks of direction, octets that are no text, no break.
NAMES = [
    "plain.txt",
    "<b>bold&amp;.html",
    "javascript:alert(1)",
    "quote\"'s",
    "100%25 ?#.txt",
    "new\nline",
    "exe.\u202egpj",
    "שלום עולם.txt",
    "été.txt",
    "n" * 250,
    os.fsdecode(b"caf\xe9"),
    "back\\slash",
]
PAGES = {
    "root": "/",
    "names": "/names/",
    "names-by-size": "/names/?sort=size&order=desc",
    "deep": "/a%20folder/with/a%20rather%20long%20way/down/",
    "empty": "/empty/",
    "many": "/many/",
}


def fill(root: Path) -> None:
    """Makes the folder that is served."""
    names = root / "names"
    for folder in (names / "sub folder", root / "empty", root / "many", root / "a folder/with/a rather long way/down"):
        folder.mkdir(parents=True)
    for size, name in enumerate(NAMES):
        (names / name).write_bytes(b"x" * size**6)
    (names / "elsewhere").symlink_to("/etc")
    (names / "inside").symlink_to("plain.txt")
    os.mkfifo(names / "pipe")
    (root / "a folder/with/a rather long way/down/file").write_text("x")
    for number in range(MANY):
        (root / "many" / f"file-{number}").touch()


def tests(peers: Peers) -> list[Test]:
    return [
        Test(f"{CLIENT}/{name}", CLIENT, lambda path=path: check(peers, path))
        for name, path in PAGES.items()
    ]


def check(peers: Peers, path: str) -> None:
    url = peers.files(fill) + path
    seen = peers.clients[CLIENT].fetch(url, "h11", False)
    if seen.error is not None:
        raise Wrong(f"{seen.message}\nasked for: {url}")
