"""One stream into `drain`: from a server that is asked for it, or from programs that write into its socket."""

import os
import socket
import subprocess

from . import process


class Stream:
    """What one stream took: `octets` in `seconds`, the first after `first`, with so much processor time and, of a server,
    memory at its peak."""

    def __init__(self, said, cpu, peak_mib):
        octets, seconds, first = said.split()
        self.octets, self.seconds, self.first = int(octets), float(seconds), float(first)
        self.cpu, self.peak_mib = cpu, peak_mib

    @property
    def rate(self):
        """GB/s."""
        return self.octets / self.seconds / 1e9


# Seconds for one stream.
PATIENCE = 300


def of_server(room, server, path, cores):
    """An answer of a server: its processor time from the request to the end of the connection."""
    pids = server.pids("plain")
    process.forget_peak(pids)
    before = process.cpu_clock(pids)
    done = subprocess.run(
        ["taskset", "-c", cores, room.drain, "get", "127.0.0.1", str(server.plain), path],
        capture_output=True, text=True, timeout=PATIENCE)
    cpu = process.cpu_clock(pids) - before
    if done.returncode:
        raise RuntimeError(f"{server.name} {path}: {done.stderr.strip()}")
    return Stream(done.stdout, cpu, process.peak_rss_kib(pids) / 1024)


def of_programs(room, commands, folder, cores):
    """The last of these programs, in a pipe, has the socket itself as its standard output.

    The time begins when it is connected, before the first is started; `nc` connects by itself, to "{port}".
    """
    drain = subprocess.Popen(
        ["taskset", "-c", cores, room.drain, "listen"], stdout=subprocess.PIPE, text=True)
    port = drain.stdout.readline().strip()
    started, before = [], None
    connects = any("{port}" in word for command in commands for word in command)
    target = None if connects else socket.create_connection(("127.0.0.1", int(port)))
    try:
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            out = subprocess.DEVNULL if last and connects else target if last else subprocess.PIPE
            words = ["taskset", "-c", cores, *(word.replace("{port}", port) for word in command)]
            started.append(subprocess.Popen(words, stdin=before or subprocess.DEVNULL, stdout=out, cwd=folder))
            if before:
                before.close()
            before = started[-1].stdout
    finally:
        if target:
            target.close()
    cpu = 0.0
    for one in started:
        _, status, used = os.wait4(one.pid, 0)
        one.returncode = os.waitstatus_to_exitcode(status)
        cpu += used.ru_utime + used.ru_stime
    said, _ = drain.communicate(timeout=PATIENCE)
    if any(one.returncode for one in started) or drain.returncode:
        raise RuntimeError(f"{commands}: exit {[one.returncode for one in started]}")
    return Stream(said, cpu, None)
