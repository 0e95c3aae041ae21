"""A file that is truncated while it is sent: what arrives, and how it ends."""

import collections
import json
import os
import random
import socket
import ssl
import struct
import time

from . import clients
from .room import MIB

# Long enough that the socket buffers of loopback (4 to 6 MiB) cannot hold it.
SIZE = 16 * MIB
# What the client has taken when the file is cut.
TAKEN = 256 * 1024
# A window that never ends, opened after the cut.
WINDOW = 0x7FFFFFFF
# Without it a server could have sent all before the cut.
RECEIVE_BUFFER = 128 * 1024
# What one read takes at most.
READ = 256 * 1024

# `ending`: "reset" = the protocol says that it failed; "short" = only the announced length does;
# "whole" = nothing does. `unaccounted`: octets that the record says were sent and that did not come.
Seen = collections.namedtuple("Seen", "lost foreign ending unaccounted")

_content = b""


def once(server, room, h2):
    """One download of a file that is cut to a random length of its second half."""
    global _content
    path = os.path.join(room.data, "cut.bin")
    if not _content:
        _content = os.urandom(SIZE)
    with open(path, "wb") as out:
        out.write(_content)
    left = random.randrange(SIZE // 2, SIZE - MIB)
    log = server.records.get("tls" if h2 else "plain")
    before = _records(log) if log else []
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    client.settimeout(20)
    with client:
        if h2:
            body, ending = _h2(client, server.tls, path, left)
        else:
            body, ending = _h1(client, server.plain, path, left)
    same = body == _content[:len(body)]
    # Octets past the cut may have been read before it; but each must be one that was in the file.
    sent = _sent(log, len(before)) if log else None
    return Seen(
        max(0, left - len(body)), 0 if same else 1, ending,
        None if sent is None else sent - len(body))


def _records(log):
    try:
        with open(log) as lines:
            return lines.readlines()
    except FileNotFoundError:
        return []


def _sent(log, before):
    """What the next record says was sent; it is written right after the end."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = _records(log)
        if len(lines) > before and lines[before].endswith("\n"):
            return json.loads(lines[before])["octets_sent"]
        time.sleep(0.002)
    raise RuntimeError("no record came")


def _h1(client, port, path, left):
    client.connect(("127.0.0.1", port))
    client.sendall(clients.request("/cut.bin"))
    got, body = bytearray(), -1
    whole = None
    while True:
        try:
            more = client.recv(READ)
        except ConnectionResetError:
            break
        if not more:
            break
        got += more
        if body < 0 and b"\r\n\r\n" in got:
            body = got.index(b"\r\n\r\n") + 4
            whole = SIZE if b"content-length: %d\r\n" % SIZE in bytes(got[:body]).lower() else None
        if left is not None and len(got) >= TAKEN:
            os.truncate(path, left)
            left = None
    if body < 0 or whole is None:
        raise RuntimeError("no answer with the file's length came")
    return bytes(got[body:]), "whole" if len(got) - body == whole else "short"


def _frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name, value):
    """An HPACK field that touches no table."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _h2(client, port, path, left):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    client.connect(("127.0.0.1", port))
    with context.wrap_socket(client) as tls:
        head = b"".join(_literal(*field) for field in (
            (b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"),
            (b":path", b"/cut.bin")))
        # SETTINGS_INITIAL_WINDOW_SIZE: twice what is taken before the cut, the rest comes after it.
        tls.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + _frame(4, 0, 0, struct.pack(">HI", 4, 2 * TAKEN))
            + _frame(8, 0, 0, struct.pack(">I", WINDOW - 65535))
            + _frame(1, 5, 1, head))
        data, body = bytearray(), bytearray()
        while True:
            try:
                more = tls.recv(READ)
            except (ConnectionError, ssl.SSLError):
                more = b""
            if not more:
                return bytes(body), "reset"
            data += more
            for kind, flags, stream, payload in clients.frames(data):
                if kind == 0:
                    body += payload
                    if flags & 1:
                        return bytes(body), "whole" if len(body) == SIZE else "short"
                elif kind == 3 and stream == 1:
                    return bytes(body), "reset"
                elif kind == 4 and not flags & 1:
                    tls.sendall(_frame(4, 1, 0, b""))
            if left is not None and len(body) >= TAKEN:
                os.truncate(path, left)
                left = None
                tls.sendall(_frame(8, 0, 1, struct.pack(">I", WINDOW - 2 * TAKEN)))
