"""A TAR is resumed like a file: any range is the slice of the whole.

A download that is cut twenty times and continued by `curl -C -` is identical. curl sends no If-Range: when the folder
has changed meanwhile it adds octets of the new archive to those of the old one, and no server can tell. Who sends
If-Range, as browsers do, gets the new archive from its beginning.
"""

from __future__ import annotations

import http.client
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import nasty
import otherwise
from clients import DEADLINE
from clients.archives import Archives
from clients.base import environment, program
from clients.stalled import stalled
from readers import remove, room
from server import ROOT, now

from . import Peers, Test, Wrong, archives
from .trees import fetch

sys.path.insert(0, str(ROOT / "bench"))
from lib.breaking import Breaking  # noqa: E402

CUTS = 20
RANGES = 2_000


def tests(peers: Peers) -> list[Test]:
    group = peers.clients["archives-tar"]
    checks = {"cut-20-times": cut, "ranges": ranges, "folder-changed": changed, "fault-passes": passing}
    return [
        Test(f"{group.name}/resume/{name}", group.name, lambda c=check: c(peers, group))
        for name, check in checks.items()
    ]


class Served:
    """A folder and the URL of its archive; goes when it is left."""

    def __init__(self, peers: Peers, group: Archives, make):
        root, self.server = peers.archives()
        self.folder = root / f"resumed-{group.format}-{peers.ids.next()}"
        make(self.folder)
        self.path = f"/{self.folder.name}/?archive={group.format}"
        self.url = self.server.url(False) + self.path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder.exists():
            remove(self.folder)


def sizes(folder: Path) -> None:
    nasty.plant(nasty.sizes, folder)


def curl(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program("curl"), "-q", "-sS", *words], capture_output=True, text=True, timeout=DEADLINE, env=environment(),
        check=False)


def etag_of(url: str) -> str | None:
    said = curl("-I", url).stdout.splitlines()
    return next((line.split(":", 1)[1].strip() for line in said if line.lower().startswith("etag:")), None)


def if_range(url: str, etag: str, saved: Path) -> str:
    """Asks for the rest of what has this ETag; gives the status."""
    return curl("-o", str(saved), "-w", "%{http_code}", "-H", "Range: bytes=1000-", "-H", f"If-Range: {etag}", url).stdout


def cut(peers: Peers, group: Archives) -> None:
    with Served(peers, group, sizes) as served, room(group.folder) as scratch:
        whole, saved = scratch / "whole", scratch / "saved"
        fetch(served.url, whole)
        relay = Breaking(urlsplit(served.url).port, whole.stat().st_size // (CUTS + 2), served.path, CUTS)
        codes = []
        try:
            while len(codes) <= CUTS:
                done = curl("-f", "-C", "-", "-o", str(saved), f"http://127.0.0.1:{relay.port}{served.path}")
                codes.append(done.returncode)
        finally:
            relay.close()
        same = saved.read_bytes() == whole.read_bytes()
    statuses = [status for _, _, status in relay.asked]
    if codes != [18] * CUTS + [0] or statuses != [200] + [206] * CUTS or not same:
        raise Wrong(f"exit codes {codes}, statuses {statuses}, identical: {same}\nasked for: {served.url}")


def ranges(peers: Peers, group: Archives) -> None:
    """Random ranges over one connection: near the edges of blocks, of one octet, to the end, of the last ones."""
    with Served(peers, group, sizes) as served, room(group.folder) as scratch:
        fetch(served.url, scratch / "whole")
        whole = (scratch / "whole").read_bytes()
        dice, wrong = random.Random(7), []
        url = urlsplit(served.url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=DEADLINE)
        for _ in range(RANGES):
            begin, end, said = a_range(dice, len(whole))
            connection.request("GET", served.path, headers={"Range": said})
            answer = connection.getresponse()
            octets = answer.read()
            told = answer.headers.get("Content-Range")
            if (answer.status, told, octets) != (206, f"bytes {begin}-{end - 1}/{len(whole)}", whole[begin:end]):
                wrong.append(f"{said}: {answer.status}, {told}, {len(octets)} octets, the slice: {octets == whole[begin:end]}")
        connection.close()
    if wrong:
        raise Wrong("\n".join([f"{len(wrong)} of {RANGES} ranges", *wrong[:8], f"asked for: {served.url}"]))


def a_range(dice: random.Random, whole: int) -> tuple[int, int, str]:
    """The first octet, the one after the last, and the field."""
    near = dice.randrange(whole // 512) * 512 + dice.randrange(-2, 3)
    begin = max(0, min(whole - 1, dice.choice((near, dice.randrange(whole)))))
    kind = dice.random()
    if kind < 0.1:
        return begin, whole, f"bytes={begin}-"
    if kind < 0.2:
        return begin, whole, f"bytes=-{whole - begin}"
    length = dice.choice((1, 2, 511, 512, 513, dice.randrange(1, 100_000)))
    end = min(whole, begin + length)
    return begin, end, f"bytes={begin}-{begin + length - 1}"


def changed(peers: Peers, group: Archives) -> None:
    """Another time of modification of one file: another ETag; If-Range with the old one gives the whole."""
    with Served(peers, group, sizes) as served, room(group.folder) as scratch:
        etag = etag_of(served.url) or ""
        if if_range(served.url, etag, scratch / "rest") != "206":
            raise Wrong(f"If-Range with the ETag that it has, {etag}, does not give the rest\nasked for: {served.url}")
        for change in CHANGES:
            change(served.folder)
            after = wait_for_listing(served.url, etag)
            fetch(served.url, scratch / "fresh")
            status = if_range(served.url, etag, scratch / "restarted")
            identical = (scratch / "restarted").read_bytes() == (scratch / "fresh").read_bytes()
            if after == etag or status != "200" or not identical:
                raise Wrong(
                    f"{change.__name__}: ETag {etag}, then {after}; If-Range gives {status}, the whole new"
                    f" archive: {identical}\nasked for: {served.url}")
            etag = after


def rewritten(folder: Path) -> None:
    path = folder / "random-511"
    path.write_bytes(bytes(511))
    os.utime(path, ns=(nasty.PAST + 1, nasty.PAST + 1))


def renamed(folder: Path) -> None:
    (folder / "random-512").rename(folder / "renamed-512")
    os.utime(folder, ns=(nasty.PAST, nasty.PAST))


def closed(folder: Path) -> None:
    (folder / "random-513").chmod(0o600)


def added(folder: Path) -> None:
    (folder / "added").touch()
    os.utime(folder / "added", ns=(nasty.PAST, nasty.PAST))


CHANGES = (rewritten, renamed, closed, added)


def wait_for_listing(url: str, etag: str) -> str | None:
    """What the server remembers of a folder for seconds may go first; gives the ETag then."""
    deadline = now() + DEADLINE
    while (after := etag_of(url)) == etag and now() < deadline:
        time.sleep(0.1)
    return after


def passing(peers: Peers, group: Archives) -> None:
    """A fault that has passed when the client continues: identical, or rejected by all, never anything between.

    What was said about the fault inside the archive stays in what the client has saved.
    """
    with Served(peers, group, lambda folder: archives.plant(folder, group.format)) as served, room(group.folder) as scratch:
        whole, saved = scratch / "whole", scratch / f"saved.{group.format}"
        fetch(served.url, whole)
        fault = archives.FAULTS["unreadable/between"]
        broken = stalled(group, ["--http1.1", served.url], lambda: fault(served.folder), ["cat"], saved).curl
        (served.folder / "3-later").chmod(0o644)
        deadline = now() + DEADLINE
        # As long as the server goes by what it listed before, it fails again.
        while (done := curl("-f", "-C", "-", "-o", str(saved), served.url)).returncode and now() < deadline:
            time.sleep(0.2)
        identical = saved.read_bytes() == whole.read_bytes()
        accepting = [] if identical else [
            reader.name for reader in group.readers
            if reader.read(saved, group.format).accepted and (reader.name, group.format) not in otherwise.BROKEN]
    if broken != 18:
        raise Wrong(f"the first download gave exit {broken}, exit 18 due")
    if accepting:
        raise Wrong(f"SILENT CORRUPTION: continued (curl exit {done.returncode}), not identical, and accepted by {accepting}")
