"""Caches in front: a degraded or failed answer is not stored, a good one is.

Each answer may be kept for an hour by its Cache-Control. It is asked for twice through the cache: of a good one the second
comes from the cache; of a bad one the origin is asked again, and both times the client is not told that it was whole.
"""

from __future__ import annotations

from cases import FAULTS, SIZES, Case, octets
from clients import Seen

from . import Peers, Test, Wrong

CACHES = ("nginx-cache", "nginx-cache-http10", "varnish", "squid")
KEEP = "&keep=3600"


def cases() -> list[Case]:
    return [
        Case(fault, "h11", False, promise, size, *SIZES[size])
        for fault in FAULTS
        for promise in (True, False)
        for size in SIZES
    ]


def tests(peers: Peers) -> list[Test]:
    return [
        Test(f"{cache}/{case}", cache, lambda cache=cache, case=case: check(peers, cache, case))
        for cache in CACHES
        for case in cases()
    ]


def check(peers: Peers, name: str, case: Case) -> None:
    cache = peers.clients[name]
    id = peers.ids.next()
    url = peers.server.url(False) + case.target(id) + KEEP
    first = cache.fetch(url, "h11", False)
    wrong = [f"the first answer: {fault}" for fault in judge(case, first)]
    if cache.hit:
        wrong.append("the first answer came from the cache")
    asked = len(peers.server.records(id))
    second = cache.fetch(url, "h11", False)
    wrong += [f"the second answer: {fault}" for fault in judge(case, second)]
    if case.fault == "none":
        if not cache.hit:
            wrong.append("a good answer was not stored")
    else:
        if cache.hit:
            wrong.append(f"STORED although it ended {FAULTS[case.fault].ending}")
        if len(peers.server.records(id, asked + 1)) <= asked:
            wrong.append("the origin was not asked again")
    if wrong:
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))


def judge(case: Case, seen: Seen) -> list[str]:
    """What a client behind the cache must see."""
    if case.fault == "none":
        whole = seen.error is None and seen.status == 200 and seen.octets == octets(case.size)
        return [] if whole else [f"{seen.status}, {seen.error}, {len(seen.octets)} octets"]
    if seen.status >= 500:
        # Refused by the origin, or by a cache that had not let the head go.
        return []
    wrong = []
    if seen.error is None:
        wrong.append(f"LOOKS WHOLE: {seen.status}, {len(seen.octets)} octets")
    if not octets(case.size).startswith(seen.octets):
        wrong.append("octets that were never produced")
    return wrong
