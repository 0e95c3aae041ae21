"""Pages of parts, as clients that are no browsers get them.

Each page x its order x HTTP/1.1 and 2: every octet arrives, whatever happened; a page that is degraded or failed then breaks, in the
client's own error; the record says the same and lists each part that failed. And a client that leaves stops the parts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace

import expectations
from clients import DEADLINE, Seen
from clients.base import environment, program
from clients.curl import FLAGS
from parts import ORDERS, PAGES, WAYS, Case, Part, Parts, resolve

from . import REPEATS, STARVED_MS, Peers, Test, Wrong

CLIENTS = ("curl", "crawler", "python", "go", "node-http", "node-http2", "node-fetch")


def tests(peers: Peers) -> list[Test]:
    found = []
    for name in CLIENTS:
        client = peers.clients[name]
        for protocol, tls in WAYS:
            if (protocol, tls) not in getattr(client, "speaks", client.ways):
                continue
            for order in ORDERS:
                # What takes HTML first is answered as a browser, which is told nothing of a page that no cache may keep.
                caches = ("public", "private") if name == "crawler" else ("private",)
                pages = [Case(page, parts, order, protocol, tls, cache) for page, parts in PAGES.items() for cache in caches]
                pages = [replace(page, document=name == "crawler") for page in pages]
                # The head waits for what may be fatal.
                pages.append(Case("fatal-early", PAGES["fatal-error"], order, protocol, tls, hold=30_000))
                found += [test(peers, name, page) for page in pages]
    for protocol, tls in WAYS:
        for order in ORDERS:
            page = Case("leaves", (Part("first", "degrading", "ok"), Part("second", "fatal", "never")), order, protocol, tls)
            found.append(Test(f"curl/parts/{page}", "curl", lambda page=page: leaves(peers, page)))
    return found


def test(peers: Peers, client: str, page: Case) -> Test:
    name = f"{client}/parts/{page}"
    return Test(name, client, lambda: check(peers, client, page, name))


def check(peers: Peers, client: str, page: Case, name: str) -> None:
    server = peers.once(Parts)
    for left in reversed(range(REPEATS)):
        id = peers.ids.next()
        url = server.url(page.tls) + page.target(id)
        seen = peers.clients[client].fetch(url, page.protocol, page.tls)
        wrong = judge(client, page, seen, server.records(id))
        if not wrong:
            return
        # The kernel acknowledges for a client that it does not let run: such a one loses octets, and no server can tell.
        if not left or seen.error is None or seen.starved_ms < STARVED_MS:
            break
        peers.repeated.append(f"{name}: it waited {seen.starved_ms:.0f} ms for a core")
    raise Wrong("\n".join([*wrong, f"it said: {seen.error}: {seen.message or 'nothing'}", f"asked for: {url}"]))


def judge(client: str, page: Case, seen: Seen, records: list[dict]) -> list[str]:
    wrong = []
    due = expectations.ERRORS["curl" if client == "crawler" else client].get(page.wire)
    if seen.error != due:
        kind = "SILENT: it reports success" if seen.error is None else f"it reports {seen.error!r}"
        wrong.append(f"{kind}, {due!r} due")
    if seen.status not in (None, page.status):
        wrong.append(f"status {seen.status}, {page.status} due")
    if seen.octets is not None and not page.refused:
        wrong += judge_octets(page, seen.octets)
    if not records:
        return [*wrong, "no record was written"]
    for record in records:
        wrong += judge_record(page, record, seen.octets)
    return wrong


def judge_octets(page: Case, octets: bytes) -> list[str]:
    try:
        shown = resolve(octets)
    except ValueError as error:
        return [str(error)]
    if page.order == "in" and shown != octets:
        return ["it is out of order, and in order was asked for"]
    if shown != page.octets:
        return [f"the page is {shown[-400:]!r}, {page.octets[-400:]!r} due"]
    return []


def judge_record(page: Case, record: dict, octets: bytes | None) -> list[str]:
    failed = [(part["part"], part["severity"], part["error_type"]) for part in record.get("failed_parts", [])]
    due = {
        "ending": page.ending,
        "error_type": None if page.ending == "complete" else page.worst[2],
        "status": page.status,
        "protocol": {"h11": "1.1", "h2": "2"}[page.protocol],
        "signal_out": page.signal_out,
    }
    if octets is not None:
        due["octets_sent"] = len(octets)
    wrong = [
        f"record: {field} is {record.get(field)!r}, {value!r} due"
        for field, value in due.items()
        if record.get(field) != value
    ]
    if sorted(failed) != sorted(page.failures):
        wrong.append(f"record: failed_parts are {failed}, {page.failures} due")
    return wrong


def leaves(peers: Peers, page: Case) -> None:
    """curl is killed when it has what there is: the record says who left."""
    server = peers.once(Parts)
    id = peers.ids.next()
    body = peers.clients["curl"].folder / f"left-{id}"
    due = b"first is here</p>"
    command = [program("curl"), "-q", "-sS", "-N", "-o", str(body), *FLAGS[page.protocol, page.tls], server.url(page.tls) + page.target(id)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        until = time.monotonic() + DEADLINE
        while not (body.exists() and due in body.read_bytes()):
            if time.monotonic() > until or process.poll() is not None:
                raise Wrong(f"{due!r} did not come: curl ended with {process.poll()}")
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    records = [(one["ending"], one["error_type"], one["ended_by"]) for one in server.records(id)]
    if records != [("cancelled", "client_gone", "downstream")]:
        raise Wrong(f"the records are {records}")
