"""Caches in front of pages of parts: a page that is not all there is not kept, whoever asked and however it ended.

`public` pages may be kept for ten minutes, `private` ones must be asked for anew each time. A `document` is asked for as browsers ask: what is
degraded then ends in order, so that nothing but its Cache-Control keeps it out of a cache.
"""

from __future__ import annotations

from cases import GOOD
from parts import ORDERS, PAGES, Case, Parts, resolve

from . import Peers, Test, Wrong

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
    cache, server = peers.clients[name], peers.once(Parts)
    id = peers.ids.next()
    url = server.url(False) + page.target(id)
    wrong = []
    for nth in ("first", "second"):
        asked = len(server.records(id, 0))
        seen = cache.fetch(url, "h11", False, DOCUMENT if page.document else ())
        wrong += [f"the {nth} answer: {fault}" for fault in judge(page, seen)]
        keeps = page.ending == "complete" and page.cache == "public"
        if cache.hit != (keeps and nth == "second"):
            wrong.append(f"the {nth} answer came from the {'cache' if cache.hit else 'origin'}")
        if not cache.hit and len(server.records(id, asked + 1)) <= asked:
            wrong.append("the origin was not asked")
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))


def judge(page: Case, seen) -> list[str]:
    """What a client behind the cache must see."""
    in_order = page.wire == GOOD
    wrong = []
    if in_order and (seen.error is not None or seen.status != 200):
        wrong.append(f"{seen.status}, {seen.error}")
    if not in_order and seen.error is None and seen.status < 500:
        wrong.append(f"LOOKS WHOLE: {seen.status}, {len(seen.octets)} octets")
    if in_order and resolve(seen.octets) != page.octets:
        wrong.append(f"other octets: {seen.octets[-300:]!r}")
    # Of an answer that broke a cache may drop the end, or all: then it answers with an error page of its own.
    if not in_order and seen.status == 200 and page.order == "in" and not page.octets.startswith(seen.octets):
        wrong.append(f"octets that are not the page's: {seen.octets[-300:]!r}")
    return wrong
