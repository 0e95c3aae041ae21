"""A good page loads in a browser: no false alarm where a person would see it. One that breaks stays visible."""

from __future__ import annotations

from cases import Case, octets

from . import Peers, Test, Wrong
from .endings import judge_records


def tests(peers: Peers) -> list[Test]:
    browser = peers.clients["chromium"]
    pages = [
        Case("none", protocol, tls, promise, 300_000, 300_000, 16_384)
        for protocol, tls in browser.ways
        for promise in (True, False)
    ]
    broken = [Case(fault, "h3", True, False, 30_000, 22_501, 4_096) for fault in ("degraded", "mid")]
    return [
        *(Test(f"chromium-page/{page}", "chromium", lambda p=page: check(peers, p)) for page in pages),
        *(Test(f"chromium-page/{page}", "chromium", lambda p=page: kept(peers, p), quiet=True) for page in broken),
    ]


def check(peers: Peers, page: Case) -> None:
    id = peers.ids.next()
    url = peers.server.url(page.tls) + page.target(id)
    seen = peers.clients["chromium"].load(url, page.protocol, page.tls)
    wrong = judge_records(page, seen, peers.server.records(id))
    if (seen.status, seen.error, seen.message) != (200, None, "complete"):
        wrong.append(f"status {seen.status}, error {seen.error}, readyState {seen.message}")
    if seen.octets != octets(page.size):
        wrong.append(f"the page shows {len(seen.octets or b'')} octets of {page.size}")
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))


def kept(peers: Peers, page: Case) -> None:
    """What was produced stays before the reader's eyes, and the page is never called loaded.

    Not always to its end: Chromium 156 drops what waits in its QUIC stream when the reset comes, long after it has
    acknowledged it, of most such pages, after 100 ms as after 600. That is told at the end of the run.
    """
    wrong, lost = look(peers, page)
    if wrong:
        raise Wrong("\n".join(wrong))
    peers.repeated.extend(f"chromium-page/{page}: not again, but its end was dropped ({fault})" for fault in lost)


def look(peers: Peers, page: Case) -> tuple[list[str], list[str]]:
    """What was wrong, and whether the end was lost."""
    id = peers.ids.next()
    url = peers.server.url(page.tls) + page.target(id)
    seen = peers.clients["chromium"].keeps(url, page.protocol, page.tls)
    wrong = judge_records(page, seen, peers.server.records(id))
    if (seen.status, seen.message) != (200, "loading") or not seen.error:
        wrong.append(f"status {seen.status}, error {seen.error}, readyState {seen.message}")
    shown = seen.octets or b""
    if not shown or not octets(page.sent).startswith(shown):
        wrong.append(f"the page shows nothing, or octets that were never sent; asked for: {url}")
    lost = [f"it shows {len(shown)} octets, {page.sent} were sent; asked for: {url}"]
    return wrong, lost if len(shown) < page.sent else []
