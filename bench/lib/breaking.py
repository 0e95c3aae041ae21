"""A relay that breaks the first answers in the middle and lets all others through."""

import re
import socket
import threading


class Breaking:
    """Listens on a port of loopback; `asked` gathers (Range, If-Range, status) of each request for `path`.

    The first `times` answers of `after` octets or more, head and all, are broken there; `broken` is called before the
    client is told. HTTP/1.1 with
    one request a connection as far as it looks: later requests of a kept connection pass, unseen.
    """

    def __init__(self, port, after, path="/file.bin", times=1, broken=None):
        self.server, self.after, self.path = port, after, f" {path}".encode()
        self.on_break = broken or (lambda: None)
        self.asked, self.left = [], times
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def close(self):
        self.listener.close()

    def _relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.server)) as server:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    more = client.recv(65536)
                    if not more:
                        return
                    head += more
                server.sendall(head)
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                self._answer(head, client, server)
            except OSError:
                return

    @staticmethod
    def _pass(client, server):
        try:
            while more := client.recv(65536):
                server.sendall(more)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _answer(self, head, client, server):
        first = server.recv(65536)
        status = int(first.split(b" ", 2)[1])
        field = lambda name: (re.search(rb"(?im)^" + name + rb": *([^\r]*)", head) or [None, b""])[1].decode()  # noqa: E731
        is_file = self.path in head.split(b"\r\n", 1)[0] and head.startswith(b"GET")
        with self.lock:
            breaks = is_file and self.left > 0
            self.left -= breaks
            if is_file:
                self.asked.append((field(b"range"), field(b"if-range"), status))
        sent, more = 0, first
        while more:
            if breaks and sent + len(more) >= self.after:
                client.sendall(more[:self.after - sent])
                self.on_break()
                client.shutdown(socket.SHUT_WR)
                return
            client.sendall(more)
            sent += len(more)
            more = server.recv(65536)
