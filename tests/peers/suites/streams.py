"""HTTP/3: a stream that fails takes nothing with it, through wide windows and narrow ones.

Each failing download has a good one beside it on its connection, and one that is asked for when it has ended. A client
that stops a stream in its middle, or does not read one, leaves the others whole. And 2 000 faults at random, by seeds,
five on each connection.
"""

from __future__ import annotations

import random

import expectations
from cases import FAULTS, LARGEST, SIZES, Case, cases, octets
from clients.quic import Connection, Http3, Stream

from . import REPEATS, Peers, Test, Wrong, only_starved
from .endings import judge_ending, judge_octets, judge_records

CLIENTS = ("aioquic", "quic-go")
# Octets on their way in all: less than any of the large bodies.
NARROW = 20_000
WIDTHS = {"wide": None, "narrow": NARROW}
# Larger than a window, small enough to be done while the failing one is on its way.
BESIDE = 60_000
# How much of a body a client takes that leaves: less than what may be on its way besides.
TAKES = 5_000
# All of it lies in a window at once: (octets in all, octets before the fault).
MIDDLE = (200_000, 150_001)
# Of each client: tests, connections in each, failing streams on each of these.
RANDOM = (10, 20, 5)
RANDOM_LARGEST = 400_000


def tests(peers: Peers) -> list[Test]:
    found = []
    for name in CLIENTS:
        client = peers.clients[name]
        for width, window in WIDTHS.items():
            for case in cases(client.ways):
                found.append(Test(
                    f"{name}/beside/{width}/{case}", name,
                    lambda c=client, k=case, w=window, n=f"{name}/beside/{width}/{case}": beside(peers, c, k, w, n)))
            found.append(Test(
                f"{name}/leaves/{width}", name, lambda c=client, w=window: leaves(peers, c, w)))
        found.append(Test(f"{name}/closes", name, lambda c=client: closes(peers, c)))
        if client.library == "quic-go":
            found.append(Test(f"{name}/stands", name, lambda c=client: stands(peers, c)))
            found.append(Test(f"{name}/late", name, lambda c=client: late(peers, c)))
        for seed in range(RANDOM[0]):
            found.append(Test(
                f"{name}/random/{seed}", name, lambda c=client, s=seed: at_random(peers, c, s)))
    return found


def good(size: int) -> Case:
    return Case("none", "h3", True, False, size, size, 16_384)


class Asked:
    """Cases as the streams of one connection, and what is due of each."""

    def __init__(self, peers: Peers, url: str):
        self.peers, self.url = peers, url
        self.cases: list[Case] = []
        self.ids: list[int] = []
        self.streams: list[Stream] = []

    def add(self, case: Case, after: int | None = None, leaves: int | None = None) -> int:
        """The number of the stream."""
        id = self.peers.ids.next()
        self.cases.append(case)
        self.ids.append(id)
        self.streams.append(Stream(self.url + case.target(id), after, leaves))
        return len(self.streams) - 1

    def settled(self, server):
        """Waits for every record, with the connection open: what has arrived is acknowledged by then."""
        return lambda: [server.records(id) for id in self.ids]

    def judge(self, server, judged, connection: Connection) -> list[str]:
        """What is wrong, of every stream and of the connection. `judged`: the client whose words are expected."""
        wrong = []
        if connection.closed is not None:
            wrong.append(f"the connection was closed with {connection.closed}")
        for number, (case, seen, id) in enumerate(zip(self.cases, connection.seen, self.ids)):
            found = [
                *judge_ending(judged, case, seen),
                *judge_octets(judged, case, seen),
                *judge_records(case, seen, server.records(id)),
            ]
            said = f" (it said: {seen.message})" if found and seen.message else ""
            wrong += [f"stream {number}, {case}: {line}{said}" for line in found]
        return wrong

    def starved(self, judged, server, connection: Connection) -> str | None:
        """Why this may be done again: all that is wrong is octets lost by a client that the machine held back."""
        bad = [
            (case, seen) for case, seen, id in zip(self.cases, connection.seen, self.ids)
            if judge_octets(judged, case, seen)
        ]
        told = all(
            not judge_ending(judged, case, seen) and not judge_records(case, seen, server.records(id))
            for case, seen, id in zip(self.cases, connection.seen, self.ids))
        if connection.closed is None and bad and told and all(only_starved(*one) for one in bad):
            return f"it waited {bad[0][1].starved_ms:.0f} ms for a core"
        return None


def ask(
    peers: Peers, client: Http3, server, url: str, fill, window: int | None, name: str
) -> None:
    """Asks for what `fill` adds, and judges all of it; raises Wrong."""
    judged = peers.clients[client.library]
    for left in reversed(range(REPEATS)):
        asked = Asked(peers, url)
        fill(asked)
        connection = client.connect(asked.streams, window, until=asked.settled(server))
        wrong = asked.judge(server, judged, connection)
        if not wrong:
            return
        why = asked.starved(judged, server, connection)
        if why is None or not left:
            raise Wrong("\n".join([*wrong, f"window: {window}; asked for: {[one.url for one in asked.streams]}"]))
        peers.repeated.append(f"{name}: {why}")


def beside(peers: Peers, client: Http3, case: Case, window: int | None, name: str) -> None:
    def fill(asked: Asked) -> None:
        failing = asked.add(case)
        asked.add(good(BESIDE))
        asked.add(good(BESIDE), after=failing)

    server = peers.server
    ask(peers, client, server, server.url(True), fill, window, name)


def at_random(peers: Peers, client: Http3, seed: int) -> None:
    """Faults, sizes, cuts, frames, promises and windows as the seed says."""
    chance = random.Random(f"{client.name} {seed}")
    for number in range(RANDOM[1]):
        window = chance.choice((None, NARROW, 100_000))
        failing = [any_case(chance) for _ in range(RANDOM[2])]

        def fill(asked: Asked) -> None:
            for case in failing:
                asked.add(case)
            asked.add(good(BESIDE), after=chance.randrange(len(failing)))

        ask(peers, client, peers.server, peers.server.url(True), fill, window, f"{client.name}/random/{seed}/{number}")


def any_case(chance: random.Random) -> Case:
    """As many small bodies as large ones."""
    size = round(2 * (RANDOM_LARGEST / 2) ** chance.random())
    fault = chance.choice([fault for fault in FAULTS if fault != "none"])
    frame = max(size // 200, round(size ** chance.random()))
    return Case(fault, "h3", True, chance.random() < 0.5, size, chance.randint(1, size - 1), frame)


def leaves(peers: Peers, client: Http3, window: int | None) -> None:
    """Two of four streams are stopped: the record says cancelled, the others are whole, and so is one after."""
    server = peers.server
    asked = Asked(peers, server.url(True))
    size = max(SIZES)
    # It would go on for ever: who leaves cannot come too late.
    silent = Case("silent", "h3", True, False, size, size // 2, 16_384)
    left = [asked.add(silent, leaves=TAKES) for _ in range(2)]
    whole = [asked.add(good(BESIDE)), asked.add(good(BESIDE)), asked.add(good(BESIDE), after=left[0])]
    connection = client.connect(asked.streams, window, until=asked.settled(server))
    wrong = [] if connection.closed is None else [f"the connection was closed with {connection.closed}"]
    for number in whole:
        seen = connection.seen[number]
        if (seen.error, seen.octets) != (None, octets(BESIDE)):
            wrong.append(f"stream {number}: {seen.error!r} with {len(seen.octets or b'')} octets: {seen.message}")
        wrong += judge_records(asked.cases[number], seen, server.records(asked.ids[number]))
    for number in left:
        seen, records = connection.seen[number], server.records(asked.ids[number])
        if seen.error != "left":
            wrong.append(f"stream {number}: {seen.error!r}: {seen.message}")
        told = [(record["ending"], record["ended_by"], record["error_type"]) for record in records]
        if told != [("cancelled", "downstream", "client_gone")]:
            wrong.append(f"stream {number} was left: the records say {told}")
        for record in records:
            if not len(seen.octets) <= record["octets_sent"] <= record["octets_produced"]:
                wrong.append(
                    f"stream {number}: {len(seen.octets)} came, {record['octets_sent']} sent,"
                    f" {record['octets_produced']} produced by the record")
    if wrong:
        raise Wrong("\n".join(wrong))


def closes(peers: Peers, client: Http3) -> None:
    """A client that closes its connection in order, but in the middle of a body, has left: the record says so."""
    server, ids = peers.server, [peers.ids.next() for _ in range(2)]
    body = good(LARGEST)
    streams = [Stream(server.url(True) + body.target(id), closes=TAKES if id == ids[0] else None) for id in ids]
    connection = client.connect(streams)
    told = [[(record["ending"], record["error_type"]) for record in server.records(id)] for id in ids]
    if told != [[("cancelled", "client_gone")]] * 2:
        came = [len(seen.octets) for seen in connection.seen]
        raise Wrong(f"the records say {told}, both were left: {came} octets of {LARGEST} came")


def stands(peers: Peers, client: Http3) -> None:
    """A stream that is not read does not hold up those beside it: they are done while it stands."""
    server = peers.server
    asked = Asked(peers, server.url(True))
    asked.add(good(LARGEST))
    whole = [asked.add(good(BESIDE)) for _ in range(3)]
    done: list[str] = []

    def look() -> None:
        for number in whole:
            done.extend(record["ending"] for record in server.records(asked.ids[number]))

    connection = client.connect(asked.streams, None, look, asked.settled(server))
    wrong = asked.judge(server, client, connection)
    if done != ["complete"] * len(whole):
        wrong.append(f"while the first stream stood, the records of the others were {done}")
    if wrong:
        raise Wrong("\n".join(wrong))


def late(peers: Peers, client: Http3) -> None:
    """A client that reads on only when the stream was reset: its error is right, and what it had not read is gone.

    Its QUIC had acknowledged all of it: no server can tell. When it is no longer so, `expectations.DROPS_UNREAD` is wrong.
    """
    server = peers.server
    asked = Asked(peers, server.url(True))
    asked.add(Case("mid", "h3", True, False, *MIDDLE, 16_384))
    case, id = asked.cases[0], asked.ids[0]
    connection = client.connect(asked.streams, None, lambda: server.records(id), asked.settled(server))
    seen = connection.seen[0]
    wrong = judge_ending(client, case, seen) + judge_records(case, seen, server.records(id))
    if not octets(case.sent).startswith(seen.octets):
        wrong.append("other octets")
    if (len(seen.octets) == case.sent) == (client.library in expectations.DROPS_UNREAD):
        wrong.append(f"{len(seen.octets)} octets of {case.sent}: look at expectations.DROPS_UNREAD")
    if wrong:
        raise Wrong("\n".join(wrong))


def figures(passed: set[str]) -> list[str]:
    """What was shown, for the end of the report."""
    lines = []
    for name in CLIENTS:
        for width in WIDTHS:
            whole = sum(one.startswith(f"{name}/beside/{width}/") for one in passed)
            lines.append(
                f"{name} over h3, {width} windows: {whole} connections, on each a stream that ended as it should with"
                f" every octet, one beside it and one after it")
        tests, connections, faults = RANDOM
        whole = sum(one.startswith(f"{name}/random/") for one in passed)
        lines.append(
            f"{name} over h3: {whole * connections * faults} of {tests * connections * faults} random faults: every"
            " octet, then the reset")
    return lines
