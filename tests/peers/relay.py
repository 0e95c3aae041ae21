"""A relay that holds an answer back in its middle, for clients that cannot be told to wait."""

from __future__ import annotations

import contextlib
import socket
import threading

# What passes before it is held: more than heads and handshakes, less than the first entry of a folder that is to fail.
PASSES = 1 << 19
PIECE = 65_536


class Holding:
    """Listens on a port of loopback; every octet of the server beyond `PASSES` waits for `release`."""

    def __init__(self, port: int):
        self._server = port
        self.held = threading.Event()
        self._go = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def release(self) -> None:
        self._go.set()

    def close(self) -> None:
        self._go.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while octets := client.recv(PIECE):
                server.sendall(octets)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            server.close()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        try:
            while octets := server.recv(PIECE):
                client.sendall(octets)
                passed += len(octets)
                if passed >= PASSES:
                    self.held.set()
                    self._go.wait()
            client.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset stays one: nothing unread, and no FIN before it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()


class HoldingDatagrams(Holding):
    """The same on a UDP port of the same number as well: what is held there is lost, and QUIC sends it again."""

    def __init__(self, port: int):
        super().__init__(port)
        self._ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # A port that was free for TCP a moment ago, and may be another's for UDP: then the test fails and says so.
        self._ours.bind(("127.0.0.1", self.port))
        self._flows: dict[tuple, socket.socket] = {}
        threading.Thread(target=self._ask, daemon=True).start()

    def close(self) -> None:
        super().close()
        for one in (self._ours, *self._flows.values()):
            # Wakes whoever waits for a datagram of it.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _ask(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                datagram, client = self._ours.recvfrom(PIECE)
                if not datagram:
                    return
                if client not in self._flows:
                    flow = self._flows[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    flow.connect(("127.0.0.1", self._server))
                    threading.Thread(target=self._answer_flow, args=(flow, client), daemon=True).start()
                self._flows[client].send(datagram)

    def _answer_flow(self, flow: socket.socket, client: tuple) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while datagram := flow.recv(PIECE):
                passed += len(datagram)
                if passed < PASSES or self._go.is_set():
                    self._ours.sendto(datagram, client)
                else:
                    self.held.set()
