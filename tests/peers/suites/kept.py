"""Caches in front of pages of parts: a page that is not all there is not kept, whoever asked and however it ended.

`public` pages may be kept for ten minutes, `private` ones must be asked for anew each time. A `document` is asked for as browsers ask: what is
degraded then ends in order, so that nothing but its Cache-Control keeps it out of a cache.
"""

from __future__ import annotations

from cases import GOOD
from parts import ORDERS, PAGES, Case, Parts, resolve

from . import REPEATS, Peers, Test, Wrong
from .caches import LATE_MS, LOOKS_WHOLE

CACHES = ("nginx-cache", "nginx-cache-http10", "varnish", "squid")
WORDS = ("good", "note-error", "degrading-error", "degrading-timeout", "fatal-error", "several", "nested-degrading")
DOCUMENT = ("Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Accept: text/html")


def tests(peers: Peers) -> list[Test]:
    found = []
    for cache in CACHES:
        for order in ORDERS:
            for kept in ("public", "private"):
                for document in (False, True):
                    for page in (Case(name, PAGES[name], order, cache=kept, document=document) for name in WORDS):
                        name = f"{cache}/{page}{'/document' if document else ''}"
                        found.append(Test(name, cache, lambda c=cache, p=page: check(peers, c, p)))
    return found


def check(peers: Peers, name: str, page: Case) -> None:
    """Asks and judges; raises Wrong. As in `caches`, only a cache that was late by its own log is asked again."""
    for left in reversed(range(REPEATS)):
        late, wrong = try_once(peers, name, page)
        if not wrong:
            return
        if not left or late < LATE_MS or any(LOOKS_WHOLE not in fault for fault in wrong):
            raise Wrong("\n".join(wrong))
        peers.repeated.append(f"{name}/{page}: it began to answer {late:.0f} ms after it had the head")


def try_once(peers: Peers, name: str, page: Case) -> tuple[float, list[str]]:
    """How late the cache was at most, and what it did wrong."""
    cache, server = peers.clients[name], peers.once(Parts)
    late = 0.0
    id = peers.ids.next()
    url = server.url(False) + page.target(id)
    wrong = []
    for nth in ("first", "second"):
        asked = len(server.records(id, 0))
        seen = cache.fetch(url, "h11", False, DOCUMENT if page.document else ())
        faults = judge(page, seen)
        if faults and not cache.hit:
            late = max(late, cache.late_ms(page.target(id)))
        wrong += [f"the {nth} answer: {fault}" for fault in faults]
        keeps = page.ending == "complete" and page.cache == "public"
        if cache.hit != (keeps and nth == "second"):
            wrong.append(f"the {nth} answer came from the {'cache' if cache.hit else 'origin'}")
        if not cache.hit and len(server.records(id, asked + 1)) <= asked:
            wrong.append("the origin was not asked")
    return late, [f"{fault}; asked for: {url}" for fault in wrong]


def judge(page: Case, seen) -> list[str]:
    """What a client behind the cache must see."""
    in_order = page.wire == GOOD
    wrong = []
    if in_order and (seen.error is not None or seen.status != 200):
        wrong.append(f"{seen.status}, {seen.error}")
    if not in_order and seen.error is None and seen.status < 500:
        wrong.append(f"{LOOKS_WHOLE}: {seen.status}, {len(seen.octets)} octets")
    if in_order and resolve(seen.octets) != page.octets:
        wrong.append(f"other octets: {seen.octets[-300:]!r}")
    # Of an answer that broke a cache may drop the end, or all: then it answers with an error page of its own.
    if not in_order and seen.status == 200 and page.order == "in" and not page.octets.startswith(seen.octets):
        wrong.append(f"octets that are not the page's: {seen.octets[-300:]!r}")
    return wrong
