"""A good page loads in a browser: no false alarm where a person would see it. One that breaks stays visible."""

from __future__ import annotations

from dataclasses import dataclass

from cases import GOOD, Case, octets

from . import Peers, Test, Wrong
from .endings import judge_records


@dataclass(frozen=True)
class Page(Case):
    """A page of the script, asked for by a browser; `reuse` is `private` where no cache may keep it."""

    reuse: str = "shared"

    def __str__(self) -> str:
        return f"{super().__str__()}/{self.reuse}"

    def target(self, id: int) -> str:
        return f"{super().target(id)}&page={self.reuse}"

    @property
    def wire(self) -> str:
        return GOOD if self.fault == "degraded" and self.reuse == "private" else super().wire


def tests(peers: Peers) -> list[Test]:
    browser = peers.clients["chromium"]
    pages = [
        Case("none", protocol, tls, promise, 300_000, 300_000, 16_384)
        for protocol, tls in browser.ways
        for promise in (True, False)
    ]
    broken = [
        Page(fault, protocol, tls, False, 30_000, 22_501, 4_096, reuse)
        for protocol, tls in browser.ways
        for fault, reuse in (("mid", "private"), ("degraded", "private"), ("degraded", "shared"))
    ]
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


def kept(peers: Peers, page: Page) -> None:
    """Every octet stays before the reader's eyes; only a page that ends clean is called loaded."""
    id = peers.ids.next()
    url = peers.server.url(page.tls) + page.target(id)
    seen = peers.clients["chromium"].keeps(url, page.protocol, page.tls)
    wrong = judge_records(page, seen, peers.server.records(id))
    clean = page.wire == GOOD
    if (seen.status, seen.message) != (200, "complete" if clean else "loading") or bool(seen.error) == clean:
        wrong.append(f"status {seen.status}, error {seen.error}, readyState {seen.message}")
    if seen.octets != octets(page.sent):
        wrong.append(f"the page shows {len(seen.octets or b'')} octets of {page.sent}")
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))
