"""Every client on every case: it ends in its own error, keeps what arrived, and the record agrees."""

from __future__ import annotations

import expectations
from cases import FAULTS, REFUSED, Case, cases, octets
from clients import Client, Seen

from . import Peers, Test


def tests(peers: Peers) -> list[Test]:
    return [
        Test(f"{client.name}/{case}", client.name, lambda c=client, k=case: check(peers, c, k))
        for client in peers.clients.values()
        for case in cases(client.ways)
    ]


def check(peers: Peers, client: Client, case: Case) -> None:
    def judge(case: Case, seen: Seen, records: list[dict]) -> list[str]:
        return [
            *judge_ending(client, case, seen),
            *judge_octets(client, case, seen),
            *judge_records(case, seen, records),
        ]

    peers.check(client, case, judge, f"{client.name}/{case}")


def judge_ending(client: Client, case: Case, seen: Seen) -> list[str]:
    wrong = []
    due = expectations.error(client.name, case)
    if seen.status not in (None, case.status):
        wrong.append(f"status {seen.status}, {case.status} due")
    if seen.error == due:
        return wrong
    if expectations.exception(client.name, case):
        wrong.append(f"a known exception no longer happens (now: {seen.error}): take it off the list")
    elif seen.error is None:
        wrong.append(f"SILENT TRUNCATION: it reports success, {due!r} due")
    elif due is None:
        wrong.append(f"FALSE ALARM: {seen.error!r} on a good response")
    else:
        wrong.append(f"{seen.error!r}, {due!r} due")
    return wrong


def judge_octets(client: Client, case: Case, seen: Seen) -> list[str]:
    """The page of a 500 is the server's own: only its length is compared, with the record."""
    if seen.octets is None or case.wire == REFUSED:
        return []
    due = octets(case.sent)
    if seen.octets == due:
        return []
    prefix = due.startswith(seen.octets)
    spare, _ = expectations.LOSES_THE_TAIL.get((client.name, case.wire), (0, ""))
    if prefix and len(due) - len(seen.octets) <= spare:
        return []
    kind = "a prefix" if prefix else "other octets"
    return [f"{len(seen.octets)} octets saved ({kind}), {len(due)} due"]


def judge_records(case: Case, seen: Seen, records: list[dict]) -> list[str]:
    """All records of the request: a client that asks again (Chromium) must meet the same."""
    if not records:
        return ["no record was written"]
    fault = FAULTS[case.fault]
    due = {
        "ending": fault.ending,
        "error_type": fault.error_type,
        "status": case.status,
        "protocol": {"h10": "1.0", "h11": "1.1", "h2": "2", "h3": "3"}[case.protocol],
        "signal_out": case.signal_out,
    }
    if case.wire != REFUSED:
        due["octets_sent"] = case.sent
        due["octets_produced"] = case.produced
    elif seen.octets is not None:
        due["octets_sent"] = len(seen.octets)
    return [
        f"record: {field} is {record.get(field)!r}, {value!r} due"
        for record in records
        for field, value in due.items()
        if record.get(field) != value
    ]
