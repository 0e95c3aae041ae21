"""Caches in front: a degraded or failed answer is not stored, a good one is.

Each answer may be kept for an hour by its Cache-Control. It is asked for twice through the cache: of a good one the second
comes from the cache; of a bad one the origin is asked again, and both times the client is not told that it was whole.
"""

from __future__ import annotations

from cases import FAULTS, SIZES, Case, octets
from clients import Seen

from . import REPEATS, Peers, Test, Wrong

CACHES = ("nginx-cache", "nginx-cache-http10", "varnish", "squid")
KEEP = "&keep=3600"
# To Varnish the server waits 100 ms between the last octet of a chunked answer and the close, as Varnish 7.1.1
# takes one for whole that fails before its own answer began (`late_tests`). A busy machine can hold Varnish back for
# longer, and no server can tell. Less than the 100 ms: the head, from which its log counts, leaves before the last octet.
LATE_MS = 80.0
LOOKS_WHOLE = "LOOKS WHOLE"


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
    ] + late_tests(peers)


def check(peers: Peers, name: str, case: Case) -> None:
    """Asks and judges; raises Wrong. Only a cache whose own log says that it was late is asked again."""
    for left in reversed(range(REPEATS)):
        late, wrong = try_once(peers, name, case)
        if not wrong:
            return
        if not left or late < LATE_MS or any(LOOKS_WHOLE not in fault for fault in wrong):
            raise Wrong("\n".join(wrong))
        peers.repeated.append(f"{name}/{case}: it began to answer {late:.0f} ms after it had the head")


def try_once(peers: Peers, name: str, case: Case) -> tuple[float, list[str]]:
    """How late the cache was at most, and what it did wrong."""
    cache = peers.clients[name]
    id = peers.ids.next()
    path = case.target(id) + KEEP
    url = peers.server.url(False) + path
    first = cache.fetch(url, "h11", False)
    wrong = [f"the first answer: {fault}" for fault in judge(case, first)]
    late = cache.late_ms(path) if wrong else 0.0
    if cache.hit:
        wrong.append("the first answer came from the cache")
    asked = len(peers.server.records(id))
    second = cache.fetch(url, "h11", False)
    again = [f"the second answer: {fault}" for fault in judge(case, second)]
    if again and not cache.hit:
        late = max(late, cache.late_ms(path))
    wrong += again
    if case.fault == "none":
        if not cache.hit:
            wrong.append("a good answer was not stored")
    else:
        if cache.hit:
            wrong.append(f"STORED although it ended {FAULTS[case.fault].ending}")
        if len(peers.server.records(id, asked + 1)) <= asked:
            wrong.append("the origin was not asked again")
    return late, [f"{fault}; asked for: {url}" for fault in wrong]


def late_tests(peers: Peers) -> list[Test]:
    """What Varnish does when its own answer begins after the fetch has failed."""
    chunked, promised = (Case("mid", "h11", False, promise, 300_000, *SIZES[300_000]) for promise in (False, True))
    return [
        Test(f"varnish-late/{what}", "varnish-late", lambda case=case, more=more, due=due: late(peers, case, more, due))
        for what, case, more, due in (
            # A known exception, tested like all else: with a Varnish that mends it, this fails and goes.
            ("chunked", chunked, "", (200, None)),
            ("promised", promised, "", (200, "exit 18")),
            ("collected", chunked, "&collect", (503, None)),
        )
    ]


def late(peers: Peers, case: Case, more: str, due: tuple[int, str | None]) -> None:
    cache = peers.clients["varnish-late"]
    path = case.target(peers.ids.next()) + KEEP + more
    url = peers.server.url(False) + path
    seen = cache.fetch(url, "h11", False)
    if cache.late_ms(path) < LATE_MS:
        raise Wrong(f"its log does not say that it was late; asked for: {url}")
    if (seen.status, seen.error) != due:
        raise Wrong(f"{seen.status}, {seen.error}, {len(seen.octets)} octets; {due} due; asked for: {url}")


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
        wrong.append(f"{LOOKS_WHOLE}: {seen.status}, {len(seen.octets)} octets")
    if not octets(case.size).startswith(seen.octets):
        wrong.append("octets that were never produced")
    return wrong
