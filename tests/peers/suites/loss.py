"""HTTP/3 through a network that loses datagrams: every octet, then the right reset, and never a FIN.

1 % and 5 % of all datagrams are lost in both directions, and each is 50 ms on its way (`network.py`). On every
connection a failing stream whose length is promised and one whose is not, a good one beside them and one after.
"""

from __future__ import annotations

from pathlib import Path

from cases import FAULTS, SIZES, Case
from clients.quic import Http3
from network import Network, Weather
from server import Server, binary

from . import Peers, Test, Wrong
from .streams import NARROW, Asked, ask, good

CLIENTS = ("aioquic-lossy", "quic-go-lossy")
DELAY = 0.05
# Another seed loses others; each of these has found nothing.
SEED = 20_000
LARGE = max(SIZES)
# Small enough not to take the most time at 5 %.
BESIDE = 20_000
# A window takes the time of a round trip: not all faults through the narrow ones.
SOME = ("none", "drop", "mid", "last")


def tests(peers: Peers) -> list[Test]:
    found = []
    for name in CLIENTS:
        client = peers.clients[name]
        for lost, kind in ((1, One), (5, Five)):
            for width, window, faults in (("wide", None, FAULTS), ("narrow", NARROW, SOME)):
                for fault in faults:
                    test = f"{name}/{lost}%/{width}/{fault}"
                    found.append(Test(
                        test, name, lambda c=client, k=kind, f=fault, w=window, t=test: through(peers, c, k, f, w, t)))
    # Those of one network after each other: a client is started on its side of it.
    return found


class Lossy:
    """A network, a server on its far side, and where the near side finds it."""

    loss = 0.0

    def __init__(self, folder: Path):
        self.network = Network(Weather(self.loss, DELAY), SEED)
        self.server = Server([*self.network.servers, binary()])
        address, port = self.network.lead(int(self.server.url(True).rpartition(":")[2]))
        self.url = f"https://{address}:{port}"

    def stop(self) -> None:
        self.server.stop()
        self.network.close()


class One(Lossy):
    loss = 0.01


class Five(Lossy):
    loss = 0.05


def through(peers: Peers, client: Http3, kind: type[Lossy], fault: str, window: int | None, name: str) -> None:
    lossy = peers.once(kind)
    if client.prefix != lossy.network.clients:
        client.close()
        client.prefix = lossy.network.clients
    for lack in lossy.network.lacks:
        peers.lack(lack)

    def fill(asked: Asked) -> None:
        failing = [asked.add(Case(fault, "h3", True, promise, LARGE, *SIZES[LARGE])) for promise in (True, False)]
        asked.add(good(BESIDE))
        asked.add(good(BESIDE), after=failing[0])

    ask(peers, client, lossy.server, lossy.url, fill, window, name)
    came, lost = lossy.network.lost()
    with peers.lock:
        connections, _, _ = peers.lossy.get(str(lossy.network), (0, 0, 0))
        peers.lossy[str(lossy.network)] = (connections + 1, came, lost)
    if lost == 0:
        raise Wrong(f"none of {came} datagrams was lost: {lossy.network}")


def figures(peers: Peers) -> list[str]:
    """What was shown, for the end of the report."""
    return [
        f"h3 with {weather}: {connections} connections, of whose {came} datagrams {lost} were lost"
        for weather, (connections, came, lost) in sorted(peers.lossy.items())
    ]
