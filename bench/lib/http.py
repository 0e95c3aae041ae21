"""Small HTTP clients that judge a message by its framing alone, as strictly as the RFCs ask.

They take a server's word for nothing: a message is complete when its length or its end mark says so,
failed when the connection or stream ends before, and left when the client itself went away.
"""

import socket
import ssl
import struct
import time

from .clients import frames

# Longer than any pause that a server may make.
PATIENCE = 30
# What an HTTP/2 client lets a server send ahead, per stream.
WINDOW = 1 << 20
# HPACK: the indexed statuses (RFC 7541 appendix A); others do not occur in what is asked here.
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


class Plan:
    """How a client reads: in steps, with pauses, and perhaps only so far."""

    def __init__(self, step=1 << 18, pause=0.0, leave_at=None, abrupt=False):
        self.step, self.pause, self.leave_at, self.abrupt = step, pause, leave_at, abrupt


class Seen:
    """What a client saw of one response."""

    def __init__(self):
        self.status, self.body, self.ending = None, bytearray(), "failed"

    @property
    def head(self):
        return self.status is not None


class Left(Exception):
    """The client's own plan was to go now."""


def connect(port, tls=None):
    """A connection to loopback; `tls` is a list of ALPN names, None for none."""
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return raw
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(tls)
    return context.wrap_socket(raw)


def close(connection, abrupt):
    """With a reset if that is asked for, as a client that crashes leaves."""
    try:
        if abrupt:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass


class Http1:
    """HTTP/1.0 or 1.1 on one connection."""

    def __init__(self, connection, version):
        self.connection, self.version, self.data = connection, version, bytearray()
        self.usable = True

    def ask(self, method, path, fields, plan):
        """One request and what came of it."""
        seen = Seen()
        lines = [f"{method} {path} HTTP/{self.version}", "Host: localhost", *fields, "", ""]
        try:
            self.connection.sendall("\r\n".join(lines).encode())
            self._read(method, plan, seen)
        except Left:
            seen.ending, self.usable = "left", False
        except (OSError, ssl.SSLError, EOFError):
            seen.ending, self.usable = "failed", False
        return seen

    def _more(self, plan):
        if plan.pause:
            time.sleep(plan.pause)
        more = self.connection.recv(plan.step)
        if not more:
            raise EOFError
        self.data += more

    def _read(self, method, plan, seen):
        while b"\r\n\r\n" not in self.data:
            self._more(plan)
        head, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        self.data = bytearray(rest)
        lines = head.decode("latin-1").split("\r\n")
        seen.status = int(lines[0].split()[1])
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        kept = fields.get("connection", "keep-alive" if self.version == "1.1" else "close").lower()
        self.usable = kept == "keep-alive"
        if method == "HEAD" or seen.status in (204, 304):
            seen.ending = "complete"
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            self._chunks(plan, seen)
        elif "content-length" in fields:
            self._exactly(int(fields["content-length"]), plan, seen.body, plan)
            seen.ending = "complete"
        else:
            self._until_close(plan, seen)

    def _exactly(self, octets, plan, into, leaving):
        while octets:
            if not self.data:
                self._more(plan)
            taken = self.data[:octets]
            del self.data[:len(taken)]
            into += taken
            octets -= len(taken)
            if leaving and leaving.leave_at is not None and len(into) >= leaving.leave_at:
                raise Left

    def _line(self, plan):
        while b"\r\n" not in self.data:
            self._more(plan)
        line, _, _ = bytes(self.data).partition(b"\r\n")
        del self.data[:len(line) + 2]
        return line

    def _chunks(self, plan, seen):
        while True:
            octets = int(self._line(plan).partition(b";")[0], 16)
            if octets == 0:
                while self._line(plan):
                    pass
                seen.ending = "complete"
                return
            self._exactly(octets, plan, seen.body, plan)
            if self._line(plan):
                raise EOFError

    def _until_close(self, plan, seen):
        self.usable = False
        try:
            while True:
                self._exactly(1 if not self.data else len(self.data), plan, seen.body, plan)
        except EOFError:
            seen.ending = "complete"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name, value):
    """An HPACK field that touches no table; lengths below 127 octets."""
    name, value = name.encode(), value.encode()
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Http2:
    """HTTP/2 on one connection: several requests at once, answers read until all have ended."""

    def __init__(self, connection, scheme):
        self.connection, self.scheme, self.data = connection, scheme, bytearray()
        self.next, self.usable = 1, True
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(4, 0, 0, struct.pack(">HIHI", 1, 0, 4, WINDOW))
            + frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF - 65535)))

    def ask(self, requests, plan):
        """Requests are (method, path, fields); gives what was seen of each, in their order."""
        answers, open_streams = [], {}
        try:
            for method, path, fields in requests:
                block = b"".join(_literal(*pair) for pair in (
                    (":method", method), (":scheme", self.scheme), (":authority", "localhost"),
                    (":path", path), *((name.lower(), value) for name, value in fields)))
                seen = Seen()
                answers.append(seen)
                open_streams[self.next] = seen
                self.connection.sendall(frame(1, 5, self.next, block))
                self.next += 2
            while open_streams:
                self._step(open_streams, plan)
        except Left:
            self.usable = False
        except (OSError, ssl.SSLError, EOFError):
            self.usable = False
        return answers

    def _step(self, open_streams, plan):
        if plan.pause:
            time.sleep(plan.pause)
        more = self.connection.recv(plan.step)
        if not more:
            raise EOFError
        self.data += more
        for kind, flags, stream, payload in frames(self.data):
            if kind == 4 and not flags & 1:
                self.connection.sendall(frame(4, 1, 0))
            elif kind == 6 and not flags & 1:
                self.connection.sendall(frame(6, 1, 0, payload))
            elif kind == 7:
                self.usable = False
            seen = open_streams.get(stream)
            if seen is None:
                continue
            self._of_stream(kind, flags, stream, payload, seen, open_streams, plan)

    def _of_stream(self, kind, flags, stream, payload, seen, open_streams, plan):
        if kind == 1 and seen.status is None:
            seen.status = STATUSES.get(payload[0] if payload[0] & 0xE0 != 0x20 else payload[1], 0)
        if kind == 0:
            seen.body += payload
            if payload:
                credit = struct.pack(">I", len(payload))
                self.connection.sendall(frame(8, 0, stream, credit) + frame(8, 0, 0, credit))
        if kind == 3:
            del open_streams[stream]
        elif kind in (0, 1) and flags & 1:
            seen.ending = "complete"
            del open_streams[stream]
        elif plan.leave_at is not None and len(seen.body) >= plan.leave_at:
            seen.ending = "left"
            del open_streams[stream]
            if plan.abrupt:
                for other in open_streams.values():
                    other.ending = "left"
                raise Left
            self.connection.sendall(frame(3, 0, stream, struct.pack(">I", 8)))
