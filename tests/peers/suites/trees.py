"""Good archives of hard folders: every reader accepts them, and finds what is in the folder.

Names, kinds, octets, modes and times are compared with the folder itself; what a reader cannot represent stands in
`otherwise.py`, by name and with the reason, and is tested to be so.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import nasty
import otherwise
from clients import DEADLINE, FORMATS
from clients.archives import Archives
from clients.base import environment, program
from readers import Entry, Reader, Reading, remove, room, tree

from . import Peers, Test, Wrong

# What is no file, folder or link is left out.
ARCHIVED = ("file", "folder", "link")
# Permissions and the sticky bit: no archive of ours makes programs that run as somebody else.
KEPT = 0o1777
# What is not compressed: the large folders are made into these, and what they say is found by looking.
PLAIN = ("tar", "zip")


def tests(peers: Peers) -> list[Test]:
    groups = [peers.clients[f"archives-{format}"] for format in FORMATS]
    return [
        Test(
            f"{group.name}/good/{make.__name__.replace('_', '-')}",
            group.name,
            lambda g=group, m=make: check(peers, g, m),
        )
        for group in groups
        for make in (*nasty.FOLDERS, *(nasty.LARGE if peers.large and group.format in PLAIN else ()))
    ]


def check(peers: Peers, group: Archives, make: Callable[[Path], None]) -> None:
    root, server = peers.archives()
    # One folder a reader of formats: the same name in each, as it stands in the archive.
    folder = root / f"good-{group.format}-{make.__name__}"
    nasty.plant(make, folder)
    try:
        want = in_archive(tree(folder))
        url = f"{server.url(False)}/{folder.name}/?archive={group.format}"
        with room(group.folder) as scratch:
            saved = scratch / f"saved.{group.format}"
            fetch(url, saved)
            wrong = [
                line
                for reader in group.readers
                for line in judge(reader, group.format, make.__name__, want, reader.read(saved, group.format), folder.name)
            ]
            if group.format in PLAIN:
                octets = saved.read_bytes() if make in nasty.LEFT_OUT else b""
                wrong += [f"nothing tells that {name!r} was left out" for name in nasty.LEFT_OUT.get(make, ()) if name not in octets]
    finally:
        remove(folder)
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))


def fetch(url: str, saved: Path) -> None:
    done = subprocess.run(
        [program("curl"), "-q", "-sSf", "-o", str(saved), url],
        capture_output=True, text=True, timeout=DEADLINE, env=environment(), check=False)
    if done.returncode:
        raise Wrong(f"FALSE ALARM: curl exit {done.returncode}: {done.stderr.strip()}\nasked for: {url}")


def in_archive(seen: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """What an archive of these things holds."""
    return {
        name: entry if entry.mode is None else replaced(entry, mode=entry.mode & KEPT)
        for name, entry in seen.items()
        if entry.kind in ARCHIVED
    }


def replaced(entry: Entry, **fields) -> Entry:
    return Entry(**{**vars(entry), **fields})


def judge(reader: Reader, format: str, made: str, want: dict[bytes, Entry], reading: Reading, top: str) -> list[str]:
    """What a reader finds otherwise than it is, but for what is known of it."""
    kind = "zip" if format == "zip" else "tar"
    known = next((o for o in otherwise.OTHERWISE if (o.reader, o.format, o.folder) == (reader.name, kind, made)), None)
    precision = otherwise.precision(reader.name, kind)
    if reading.entries is None:
        if known and known.tells is None:
            return []
        return [f"FALSE ALARM: {reader.name} rejects it: {reading.error}"]
    got, astray = below(top, reading.entries)
    plain = differences(want, got, precision)
    if known is None:
        return [f"{reader.name}: {line}" for line in (astray + plain)]
    if known.tells is None:
        return [f"a known exception no longer happens: {reader.name} accepts {made}: take it off the list"]
    if not plain:
        return [f"a known exception no longer happens: {reader.name} tells {made} as it is: take it off the list"]
    if known.tells is otherwise.garbled:
        return []
    return [f"{reader.name}: {line}" for line in astray + differences(dict(map(known.tells, want.items())), got, precision)]


def below(top: str, entries: dict[bytes, Entry]) -> tuple[dict[bytes, Entry], list[str]]:
    """All that lies in the folder, by names in it; and what lies elsewhere."""
    prefix = top.encode() + b"/"
    inside = {name[len(prefix):]: entry for name, entry in entries.items() if name.startswith(prefix)}
    astray = [name for name in entries if not name.startswith(prefix) and name != top.encode()]
    return inside, [f"{name[:80]!r} does not lie in {top}" for name in astray]


def differences(want: dict[bytes, Entry], got: dict[bytes, Entry], precision: int) -> list[str]:
    """At most a dozen, as a person reads them."""
    lines = [f"{name[:80]!r} is missing" for name in sorted(want.keys() - got.keys())]
    lines += [f"{name[:80]!r} is in no folder" for name in sorted(got.keys() - want.keys())]
    for name in sorted(want.keys() & got.keys()):
        due, seen = want[name], got[name]
        for field in ("kind", "mode", "size", "content"):
            if getattr(due, field) != getattr(seen, field):
                lines.append(f"{name[:80]!r}: {field} is {shown(field, seen)}, {shown(field, due)} due")
        if seen.mtime is not None and abs(seen.mtime - due.mtime) >= precision:
            lines.append(f"{name[:80]!r}: modified {seen.mtime}, {due.mtime} due")
    more = [f"and {len(lines) - 12} more"] if len(lines) > 12 else []
    return lines[:12] + more


def shown(field: str, entry: Entry) -> str:
    value = getattr(entry, field)
    return f"{value:o}" if field == "mode" and value is not None else repr(value)[:80]
