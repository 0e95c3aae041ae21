"""A relay that holds an answer back in its middle, for clients that cannot be told to wait."""

from __future__ import annotations

import socket
import threading

# What passes before it is held: more than heads and handshakes, less than the first entry of a folder that is to fail.
PASSES = 1 << 20
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
