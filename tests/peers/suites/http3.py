"""`endwell serve --http3`: files, archives and programs over HTTP/3, as aioquic and quic-go see them.

A folder or a program fails while it is sent: every octet that was produced arrives, the stream is reset, the record
says why, and no reader of archives accepts what was saved. What is good is whole, with its trailers.
"""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess
import threading
from pathlib import Path
from typing import Callable

import expectations
from cases import RESET_CODES, STREAM_RESET
from clients import DEADLINE, FORMATS
from clients.archives import Archives
from clients.base import environment, program
from clients.quic import Connection, Http3, Stream
from readers import remove, room
from server import Server, serving

from . import REPEATS, STARVED_MS, Peers, Test, Wrong, archives
from .trees import fetch

CLIENTS = ("aioquic", "quic-go")
BROWSER = "chromium"
LARGE = random.Random(3).randbytes(5_000_000)
# Fewer than lie in LARGE, and no round number.
BROKEN_AT = 3_000_001
PROGRAMS = {
    "/good.bin": "#!/bin/sh\nexec cat {large}\n",
    "/broken.bin": f"#!/bin/sh\nhead -c {BROKEN_AT} {{large}}\necho 'the disk failed' >&2\nexit 3\n",
    "/killed.bin": f"#!/bin/sh\nhead -c {BROKEN_AT} {{large}}\nkill -9 $$\n",
    "/nothing.bin": "#!/bin/sh\nexit 3\n",
}
# What a client may have on its way while it stands still: less than the first entry of a folder that is to fail.
WINDOW = 256 << 10
HELD = ("unreadable/between", "shrinks/inside")


def tests(peers: Peers) -> list[Test]:
    found = []

    def add(client: str, name: str, check: Callable, *more) -> None:
        found.append(Test(f"{client}/serve/{name}", client, lambda: check(peers, peers.clients[client], *more)))

    for client in CLIENTS:
        add(client, "file", whole, "/large.bin", LARGE)
        add(client, "trailer", trailer)
        add(client, "many", many)
        add(client, "drain", drained)
        add(client, "changed", changed)
        add(client, "program/good", whole, "/good.bin", LARGE)
        add(client, "program/broken", failing, "/broken.bin", LARGE[:BROKEN_AT], "exit status 3")
        add(client, "program/killed", failing, "/killed.bin", LARGE[:BROKEN_AT], "signal")
        add(client, "program/nothing", refused, "/nothing.bin")
        for format in FORMATS:
            add(client, f"archive/{format}/good", archived, format)
            for fault in HELD:
                add(client, f"archive/{format}/{fault}", rejected, format, fault)
    add(CLIENTS[0], "alt-svc", advertised)
    add(BROWSER, "page", page)
    return found


class Site:
    """A folder and programs, and `endwell serve --http3` over them."""

    def __init__(self, folder: Path):
        self.root = folder / "files"
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "large.bin").write_bytes(LARGE)
        (self.root / "small.txt").write_text("small\n")
        commands = []
        for path, text in PROGRAMS.items():
            at = folder / path[1:]
            at.write_text(text.format(large=self.root / "large.bin"))
            at.chmod(0o755)
            commands += ["--command", f"{path}={at}"]
        self.server: Server = serving(self.root, "--http3", *commands)
        self._folder = folder
        self._groups: dict[tuple[str, str], Archives] = {}
        self._lock = threading.Lock()

    def readers(self, client: str, format: str) -> Archives:
        """The readers of such archives, for one client alone: they are not asked by two at once."""
        with self._lock:
            if (client, format) not in self._groups:
                folder = self._folder / client
                folder.mkdir(exist_ok=True)
                group = self._groups[client, format] = Archives(folder, format)
                group.version()
            return self._groups[client, format]

    def stop(self) -> None:
        for group in self._groups.values():
            group.close()
        self.server.stop()


def ask(
    peers: Peers, client: Http3, path: str | Callable[[], str], meanwhile=None, window=None, **fields: str
) -> tuple[Connection, dict]:
    """One request: what came of it, and its record. `path` may make a new one for each try."""
    server = peers.once(Site).server
    for left in reversed(range(REPEATS)):
        id = peers.ids.next()
        asked = path() if callable(path) else path
        url = f"{server.url(True)}{asked}{'&' if '?' in asked else '?'}id={id}"
        connection = client.connect([Stream(url, headers=fields)], window, meanwhile)
        records = server.records(id)
        if len(records) != 1:
            raise Wrong(f"{len(records)} records of one request: {connection}\nasked for: {url}")
        if records[0]["protocol"] != "3":
            raise Wrong(f"the record says HTTP/{records[0]['protocol']}\nasked for: {url}")
        if not (left and meanwhile is None and unheard(connection.seen[0], records[0])):
            break
        waited = connection.seen[0].starved_ms
        peers.repeated.append(f"{client.name}{asked}: it closed before it acknowledged, having waited {waited:.0f} ms for a core")
    return connection, records[0]


def unheard(seen, record: dict) -> bool:
    """Whether a client that the machine held back had all, and closed before it had acknowledged that: the server
    must take it for one that left (docs/http3.md)."""
    closed = (record["ending"], record.get("signal_in")) == ("cancelled", "connection_close")
    return closed and seen.error is None and seen.starved_ms >= STARVED_MS


def judge(connection: Connection, record: dict, **due) -> list[str]:
    """What both sides say, beside what is due."""
    seen = connection.seen[0]
    wrong = [] if connection.closed is None else [f"the connection was closed with {connection.closed}"]
    told = {**record, "seen": seen.error, "came": seen.octets, "came_status": seen.status}
    for name, value in due.items():
        if told.get(name) != value:
            brief = (lambda one: f"{len(one)} octets" if isinstance(one, bytes) else repr(one))
            wrong.append(f"{name} is {brief(told.get(name))}, {brief(value)} due")
    return wrong


def fail(wrong: list[str], connection: Connection, record: dict) -> None:
    if wrong:
        seen = connection.seen[0]
        raise Wrong("\n".join([*wrong, f"it said: {seen.error}: {seen.message}", f"the record: {record}"]))


def whole(peers: Peers, client: Http3, path: str, due: bytes) -> None:
    connection, record = ask(peers, client, path)
    fail(judge(
        connection, record, seen=None, came=due, came_status=200, ending="complete", octets_sent=len(due),
        signal_out="end_stream"), connection, record)


def refused(peers: Peers, client: Http3, path: str) -> None:
    """What fails before its first octet is a 5xx, and ends well."""
    connection, record = ask(peers, client, path)
    fail(judge(
        connection, record, seen=None, came_status=500, ending="failed", signal_out="end_stream"), connection, record)


def failing(peers: Peers, client: Http3, path: str, due: bytes, message: str) -> None:
    for left in reversed(range(REPEATS)):
        connection, record = ask(peers, client, path)
        wrong = judge(
            connection, record, seen=expectations.ERRORS[client.library][STREAM_RESET], came=due, came_status=200,
            ending="failed", error_type="command_failed", octets_sent=len(due), octets_produced=len(due),
            signal_out=f"reset_stream:{RESET_CODES['h3']}")
        if message not in record.get("message", ""):
            wrong.append(f"the record does not speak of {message!r}")
        seen = connection.seen[0]
        if not (left and lost_alone(wrong, seen)):
            break
        peers.repeated.append(f"{client.name}/serve{path}: it waited {seen.starved_ms:.0f} ms for a core")
    fail(wrong, connection, record)


def lost_alone(wrong: list[str], seen) -> bool:
    """Whether nothing is wrong but octets that a client lost because the machine held it back."""
    return len(wrong) == 1 and wrong[0].startswith("came is") and seen.starved_ms >= STARVED_MS


def trailer(peers: Peers, client: Http3) -> None:
    """A digest that is known only at the end comes behind the body."""
    site = peers.once(Site)
    due = LARGE[:1_000_000]

    def fresh() -> str:
        path = site.root / f"fresh-{client.name}-{peers.ids.next()}.bin"
        path.write_bytes(due)
        return f"/{path.name}"

    digest = base64.b64encode(hashlib.sha256(due).digest()).decode()
    connection, record = ask(peers, client, fresh, **{"want-repr-digest": "sha-256=1", "te": "trailers"})
    wrong = judge(connection, record, seen=None, came=due, ending="complete", trailers_sent=["repr-digest"])
    told = {name.lower(): value for name, value in connection.seen[0].trailers.items()}
    if told.get("repr-digest") != f"sha-256=:{digest}:":
        wrong.append(f"the trailers are {told}, a digest {digest} is due")
    fail(wrong, connection, record)


def many(peers: Peers, client: Http3) -> None:
    """Four large files and more small ones than streams may be open at once, on one connection."""
    server = peers.once(Site).server
    names = ("large.bin",) * 4 + ("small.txt",) * 400
    urls = [f"{server.url(True)}/{name}?id={peers.ids.next()}" for name in names]
    connection = client.connect([Stream(url) for url in urls])
    bad = [
        f"{url}: {seen.error!r} with {len(seen.octets)} octets" for url, seen in zip(urls, connection.seen)
        if (seen.error, seen.octets) != (None, LARGE if "large" in url else b"small\n")
    ]
    if bad or connection.closed is not None:
        raise Wrong("\n".join([f"the connection: {connection.closed}", *bad]))


def drained(peers: Peers, client: Http3) -> None:
    """A server that is told to end while a client stands still in a download gives it all, and then ends well."""
    server = serving(peers.once(Site).root, "--http3")
    try:
        id = peers.ids.next()
        asked = [Stream(f"{server.url(True)}/large.bin?id={id}")]
        connection = client.connect(asked, WINDOW, server.drain)
        seen, records = connection.seen[0], server.records(id)
        wrong = [] if (seen.error, seen.octets) == (None, LARGE) else [
            f"{seen.error!r} with {len(seen.octets)} octets: {seen.message}"]
        if [record["ending"] for record in records] != ["complete"]:
            wrong.append(f"the records: {records}")
        if (code := server.ended(DEADLINE)) != 0:
            wrong.append(f"the server's exit code is {code}")
    finally:
        server.stop()
    if wrong:
        raise Wrong("\n".join(wrong))


def changed(peers: Peers, client: Http3) -> None:
    """A file that is cut while it is sent: its promise is not fulfilled."""
    site = peers.once(Site)
    path = site.root / f"cut-{client.name}.bin"
    path.write_bytes(LARGE)
    connection, record = ask(
        peers, client, f"/{path.name}", lambda: path.open("r+b").truncate(len(LARGE) - 1000), WINDOW)
    seen = connection.seen[0]
    wrong = judge(
        connection, record, seen=expectations.ERRORS[client.library][STREAM_RESET], ending="failed",
        octets_sent=len(seen.octets), signal_out=f"reset_stream:{RESET_CODES['h3']}")
    if len(seen.octets) >= len(LARGE) or not LARGE.startswith(seen.octets):
        wrong.append(f"{len(seen.octets)} octets came that the file did not have")
    fail(wrong, connection, record)


def archived(peers: Peers, client: Http3, format: str) -> None:
    """The same archive as over HTTP/1.1."""
    site = peers.once(Site)
    folder = site.root / f"good-{client.name}-{format}"
    archives.plant(folder, format)
    path = f"/{folder.name}/?archive={format}"
    try:
        with room(client.folder) as scratch:
            fetch(site.server.url(False) + path, scratch / "whole")
            connection, record = ask(peers, client, path)
            wrong = judge(connection, record, seen=None, came_status=200, ending="complete")
            due = (scratch / "whole").read_bytes()
            if unpacked(connection.seen[0].octets, format) != unpacked(due, format):
                wrong.append("not the archive that HTTP/1.1 gives")
            fail(wrong, connection, record)
    finally:
        remove(folder)


def unpacked(octets: bytes, format: str) -> bytes:
    """Without its compression, which may divide the same content otherwise each time."""
    words = archives.UNCOMPRESS.get(format)
    if words is None:
        return octets
    return subprocess.run(words, input=octets, stdout=subprocess.PIPE, check=True, timeout=DEADLINE).stdout


def rejected(peers: Peers, client: Http3, format: str, fault: str) -> None:
    """A folder fails while its archive is sent: everything produced arrives, and no reader accepts it."""
    site = peers.once(Site)
    for left in reversed(range(REPEATS)):
        folder = site.root / f"bad-{client.name}-{format}-{peers.ids.next()}"
        archives.plant(folder, format)
        try:
            connection, record = ask(
                peers, client, f"/{folder.name}/?archive={format}", lambda: archives.FAULTS[fault](folder), WINDOW)
        finally:
            if folder.exists():
                remove(folder)
        seen = connection.seen[0]
        wrong = judge(
            connection, record, seen=expectations.ERRORS[client.library][STREAM_RESET], came_status=200,
            ending="failed", signal_out=f"reset_stream:{RESET_CODES['h3']}")
        lost = record["octets_sent"] - len(seen.octets)
        if not wrong and lost > 0 and left and seen.starved_ms >= STARVED_MS:
            peers.repeated.append(f"{client.name}/{format}/{fault}: it waited {seen.starved_ms:.0f} ms for a core")
            continue
        break
    if lost or record["octets_produced"] != len(seen.octets):
        wrong.append(
            f"{len(seen.octets)} octets saved, {record['octets_produced']} produced and {record['octets_sent']} sent")
    with room(client.folder) as scratch:
        saved = scratch / f"saved.{format}"
        saved.write_bytes(seen.octets)
        wrong += archives.accepted(peers, site.readers(client.name, format), saved)
    fail(wrong, connection, record)


def advertised(peers: Peers, _client: Http3) -> None:
    """Over TCP the server says where its HTTP/3 is: on the port of the same number."""
    url = peers.once(Site).server.url(True)
    done = subprocess.run(
        [program("curl"), "-q", "-sSkf", "-D", "-", "-o", "/dev/null", f"{url}/small.txt"],
        capture_output=True, text=True, timeout=DEADLINE, env=environment(), check=True)
    fields = [line.partition(":") for line in done.stdout.lower().splitlines()]
    told = [value.strip() for name, _, value in fields if name == "alt-svc"]
    due = f'h3=":{url.rpartition(":")[2]}"'
    if len(told) != 1 or due not in told[0]:
        raise Wrong(f"Alt-Svc is {told}, {due} due")


def page(peers: Peers, client) -> None:
    """The page of the folder, in a browser that says itself that it spoke HTTP/3."""
    url = f"{peers.once(Site).server.url(True)}/"
    seen = client.load(url, "h3", True)
    if (seen.status, seen.error, seen.message) != (200, None, "complete"):
        raise Wrong(f"status {seen.status}, error {seen.error}: {seen.message}")
    if "small.txt" not in seen.octets.decode():
        raise Wrong(f"the page shows {seen.octets[:300]}")
