"""Archives in Chromium: one that fails is shown as failed, a good one is saved whole."""

from __future__ import annotations

import subprocess
import threading

from clients import DEADLINE, FORMATS
from readers import remove, room
from relay import Holding, HoldingDatagrams

from . import Peers, Test, Wrong, archives
from .trees import fetch

CLIENT = "chromium"
# What Playwright gives for a download that Chromium marks as failed.
FAILED = ("canceled", "failed")


def tests(peers: Peers) -> list[Test]:
    """Every way with TAR and ZIP, which have a length; the compressed ones on one."""
    found = []
    for way in peers.clients[CLIENT].ways:
        for format in FORMATS if way == ("h2", True) else ("tar", "zip"):
            name = f"{CLIENT}-archive/{way[0]}{'-tls' if way[1] and way[0] != 'h3' else ''}/{format}"
            for check in (good, failing, restarting) if way == ("h11", False) else (good, failing):
                found.append(Test(
                    f"{name}/{check.__name__}", CLIENT, lambda c=check, w=way, f=format: c(peers, *w, f)))
    return found


class Offered:
    """A folder that is to be downloaded, beside a page with the link."""

    def __init__(self, peers: Peers, tls: bool, format: str):
        root, self.server = peers.archives()
        self.folder = root / f"browser-{peers.ids.next()}"
        archives.plant(self.folder, format)
        self.path = f"/{self.folder.name}/?archive={format}"
        self.plain = self.server.url(False) + self.path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder.exists():
            remove(self.folder)


def good(peers: Peers, protocol: str, tls: bool, format: str) -> None:
    with Offered(peers, tls, format) as offered, room(peers.clients[CLIENT].folder) as scratch:
        fetch(offered.plain, scratch / "whole")
        seen = peers.clients[CLIENT].fetch(offered.server.url(tls) + offered.path, protocol, tls)
        if seen.error is not None or unpacked(seen.octets, format) != unpacked((scratch / "whole").read_bytes(), format):
            raise Wrong(f"FALSE ALARM: {seen.error or 'other octets'}: {seen.message}\nasked for: {offered.path}")


def unpacked(octets: bytes, format: str) -> bytes:
    """Without its compression, which may divide the same content otherwise each time."""
    programs = {"tar.gz": "gzip", "tar.zst": "zstd"}
    if format not in programs:
        return octets
    return subprocess.run([programs[format], "-dc"], input=octets, stdout=subprocess.PIPE, check=True).stdout


def failing(peers: Peers, protocol: str, tls: bool, format: str) -> None:
    """What cannot be read stays so: also when Chromium asks again for what it lacks."""
    with Offered(peers, tls, format) as offered:
        seen = held(peers, offered, protocol, tls, "unreadable/between")
        if seen.error not in FAILED:
            raise Wrong(f"SILENT TRUNCATION: shown as {seen.error}: {seen.message}\nasked for: {offered.path}")


def restarting(peers: Peers, protocol: str, tls: bool, format: str) -> None:
    """A file that has gone: Chromium may ask again and get the archive of what is there now, whole; nothing between."""
    with Offered(peers, tls, format) as offered, room(peers.clients[CLIENT].folder) as scratch:
        seen = held(peers, offered, protocol, tls, "vanishes/between")
        if seen.error in FAILED:
            return
        fetch(offered.plain, scratch / "whole")
        if seen.error is not None or seen.octets != (scratch / "whole").read_bytes():
            raise Wrong(f"SILENT TRUNCATION: shown as {seen.error}, not the folder as it is: {seen.message}")


def held(peers: Peers, offered: Offered, protocol: str, tls: bool, fault: str):
    """Downloads through a relay that stops in the first entry until the fault was made."""
    address = offered.server.url(tls)
    kind = HoldingDatagrams if protocol == "h3" else Holding
    relay = kind(int(address.rpartition(":")[2]))

    def make() -> None:
        if relay.held.wait(DEADLINE):
            archives.FAULTS[fault](offered.folder)
        relay.release()

    maker = threading.Thread(target=make)
    maker.start()
    try:
        url = f"{address.rpartition(':')[0]}:{relay.port}{offered.path}"
        return peers.clients[CLIENT].fetch(url, protocol, tls)
    finally:
        if not relay.held.is_set():
            relay.held.set()
        maker.join()
        relay.close()
