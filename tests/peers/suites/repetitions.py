"""Law 2 by repetition: every curl download of a failing body over HTTP/2 saves every octet produced.

curl 7.88.1 drops what it has read but not written when the reset comes in the same read, so this is the
client that would show a reset that overtakes its data. It also drops it when the
machine does not let it run for as long as the server's grace (`STARVED_MS`): so these run alone, after
all others.

So do clients that read late: until they have, the server does not reset.
"""

from __future__ import annotations

from dataclasses import replace

from cases import LARGEST, Case, octets
from clients import Seen

from . import Peers, Test
from .endings import judge_records

REPETITIONS = 40
SMALLEST = 3_000
FAULTS = ("mid", "drop", "panic", "pause", "aborted")
FRAMES = (1_000, 16_384, 70_000)


def sizes() -> list[int]:
    """From the smallest to the largest, each larger than the last by the same factor."""
    factor = (LARGEST / SMALLEST) ** (1 / (REPETITIONS - 1))
    return [round(SMALLEST * factor**n) for n in range(REPETITIONS)]


def repetitions(tls: bool) -> list[Case]:
    return [
        # One octet is missing when it fails; the size is never promised.
        Case(FAULTS[n % len(FAULTS)], "h2", tls, False, size + 1, size, FRAMES[n % len(FRAMES)])
        for n, size in enumerate(sizes())
    ]


# Octets a second: at the slowest, seconds pass after the server has given all to the kernels.
RATES = ("1M", "5M", "20M")
LATE = Case("mid", "h2", False, False, LARGEST + 1, LARGEST, 16_384)


def tests(peers: Peers) -> list[Test]:
    curl = peers.clients["curl"]
    late = [
        Test(f"curl-late/{rate}/{case}", curl.name, lambda c=case, r=rate: check_late(peers, c, r), quiet=True)
        for case in (LATE, replace(LATE, tls=True))
        for rate in RATES
    ]
    return late + [
        Test(
            f"curl-repetition/{case}",
            curl.name,
            lambda k=case: peers.check(curl, k, judge, f"curl-repetition/{k}"),
            quiet=True,
        )
        for tls in (False, True)
        for case in repetitions(tls)
    ]


def check_late(peers: Peers, case: Case, rate: str) -> None:
    curl = peers.clients["curl"]
    curl.rate = rate
    try:
        peers.check(curl, case, judge, f"curl-late/{rate}/{case}")
    finally:
        curl.rate = None


def judge(case: Case, seen: Seen, records: list[dict]) -> list[str]:
    wrong = judge_records(case, seen, records)
    if seen.error != "exit 92":
        wrong.append(f"{seen.error!r}, 'exit 92' due")
    if seen.octets != octets(case.cut):
        wrong.append(f"LOST OCTETS: {len(seen.octets)} saved, {case.cut} produced")
    return wrong


def figures(passed: set[str], repeated: list[str]) -> list[str]:
    """What was shown, for the end of the report."""
    lines = []
    for tls in (False, True):
        names = {f"curl-repetition/{case}": case.cut for case in repetitions(tls)}
        whole = [octets for name, octets in names.items() if name in passed]
        again = sum(line.split(": ")[0] in names for line in repeated)
        lines.append(
            f"curl over {'h2 with TLS' if tls else 'h2c'}: {len(whole)} of {REPETITIONS} failing downloads"
            f" saved every octet and gave exit 92 ({SMALLEST} to {LARGEST} octets each, {sum(whole)} in all;"
            f" {again} more tries on a busy machine)"
        )
    return lines
