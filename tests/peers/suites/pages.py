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
    broken = [Case(fault, "h3", True, False, 300_000, 225_001, 16_384) for fault in ("degraded", "mid")]
    return [
        *(Test(f"chromium-page/{page}", "chromium", lambda p=page: check(peers, p)) for page in pages),
        *(Test(f"chromium-page/{page}", "chromium", lambda p=page: kept(peers, p)) for page in broken),
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
    """Every octet that was produced stays before the reader's eyes, and the page is never called loaded."""
    id = peers.ids.next()
    url = peers.server.url(page.tls) + page.target(id)
    seen = peers.clients["chromium"].keeps(url, page.protocol, page.tls)
    wrong = judge_records(page, seen, peers.server.records(id))
    if (seen.status, seen.message) != (200, "loading") or not seen.error:
        wrong.append(f"status {seen.status}, error {seen.error}, readyState {seen.message}")
    if seen.octets != octets(page.sent):
        wrong.append(f"the page shows {len(seen.octets or b'')} octets, {page.sent} were sent")
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))
