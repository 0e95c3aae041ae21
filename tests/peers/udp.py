"""A relay of datagrams that loses some and delays all, for kernels without netem.

    udp.py ADDRESS PORT LOSS DELAY SEED

It listens on a free port of ADDRESS and passes to PORT of loopback. LOSS is the part of the datagrams that is lost, in
both directions; DELAY in seconds, for each direction; SEED decides which are lost. It prints its port; for each line of
its input how many came and how many were lost, as JSON; it ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import threading

# More would be no test of ours. A flow is a client's port.
FLOWS = 4096
DATAGRAMS = 20_000_000
SECONDS = 3600
# A burst of a whole window waits here, and is not lost by us beyond what was asked for.
BUFFER = 4 << 20


class Wire:
    """One direction."""

    def __init__(self, loss: float, delay: float, seed: int):
        self.loss, self.delay = loss, delay
        self.random = random.Random(seed)
        self.came = self.lost = 0

    def carry(self, send, datagram: bytes) -> None:
        self.came += 1
        if self.random.random() < self.loss:
            self.lost += 1
        elif self.delay:
            asyncio.get_running_loop().call_later(self.delay, send, datagram)
        else:
            send(datagram)


class Relay(asyncio.DatagramProtocol):
    """The side of the clients."""

    def __init__(self, port: int, loss: float, delay: float, seed: int):
        self.server = ("127.0.0.1", port)
        self.there, self.back = Wire(loss, delay, seed), Wire(loss, delay, seed + 1)
        self.flows: dict[tuple, Flow] = {}

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, datagram: bytes, client: tuple) -> None:
        flow = self.flows.get(client)
        if flow is None:
            if len(self.flows) == FLOWS or self.there.came + self.back.came > DATAGRAMS:
                return
            flow = self.flows[client] = Flow(self, client)
        self.there.carry(flow.send, datagram)

    def told(self) -> str:
        return json.dumps({"came": self.there.came + self.back.came, "lost": self.there.lost + self.back.lost})


class Flow(asyncio.DatagramProtocol):
    """The side of the server, for one client."""

    def __init__(self, relay: Relay, client: tuple):
        self.relay, self.client = relay, client
        self.transport, self.early = None, []
        asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        ours = bound("127.0.0.1")
        ours.connect(self.relay.server)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=ours)

    def connection_made(self, transport) -> None:
        self.transport = transport
        for datagram in self.early:
            transport.sendto(datagram)

    def send(self, datagram: bytes) -> None:
        if self.transport is None:
            self.early.append(datagram)
        else:
            self.transport.sendto(datagram)

    def datagram_received(self, datagram: bytes, _server: tuple) -> None:
        self.relay.back.carry(self.answer, datagram)

    def answer(self, datagram: bytes) -> None:
        self.relay.transport.sendto(datagram, self.client)

    def error_received(self, error: OSError) -> None:
        """The server's port is closed: for the client this is a loss."""


def bound(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.bind((address, 0))
    made.setblocking(False)
    return made


async def main(address: str, port: str, loss: str, delay: str, seed: str) -> None:
    loop = asyncio.get_running_loop()
    relay = Relay(int(port), float(loss), float(delay), int(seed))
    ours = bound(address)
    await loop.create_datagram_endpoint(lambda: relay, sock=ours)
    print(ours.getsockname()[1], flush=True)
    ended = asyncio.Event()

    def listen() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(lambda: print(relay.told(), flush=True))
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    try:
        await asyncio.wait_for(ended.wait(), SECONDS)
    except TimeoutError:
        pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
