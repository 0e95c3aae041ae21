"""A client that leaves, and how soon the server lets go of its file."""

import os
import socket
import time

from . import clients, process

# A server that has not let go after this long counts with it.
LONGEST = 10.0
# What a reading client takes before it leaves.
READ = 16 << 20


def once(server, target, path, reading):
    """Microseconds from close() to the moment when the server no longer holds the file."""
    pids = server.pids("plain")
    client = socket.create_connection(("127.0.0.1", server.plain), 10)
    client.sendall(clients.request(target))
    entry, deadline = None, time.monotonic() + 5
    while entry is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} never opened {path}")
        entry = process.descriptor_of(pids, path)
    if reading:
        buffer, got = bytearray(1 << 18), 0
        while got < READ:
            got += client.recv_into(buffer)
    else:
        time.sleep(0.02)
    begun = time.perf_counter()
    client.close()
    while time.perf_counter() - begun < LONGEST:
        try:
            if os.readlink(entry) != path:
                break
        except FileNotFoundError:
            break
    taken = time.perf_counter() - begun
    # Some reopen a file under another number; it counts as held until none is left.
    while process.descriptor_of(pids, path) and time.perf_counter() - begun < LONGEST:
        taken = time.perf_counter() - begun
    return taken * 1e6
