"""What is measured."""

import json
import subprocess
import time

from lib import process
from lib.room import GIB, MIB
from lib.table import Figure


def ask(client, cores, protocol, connections, streams, requests, url):
    """What the client says of its downloads, all of them whole."""
    done = subprocess.run([
        "taskset", "-c", cores, client, "get", "-protocol", protocol, "-connections", str(connections),
        "-streams", str(streams), "-requests", str(requests), url], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"client: {done.stderr.strip()}")
    return json.loads(done.stdout)


def port(server, protocol):
    return server.quic if protocol == "h3" else server.tls


class Group:
    fresh = False

    @staticmethod
    def protocols(server):
        """HTTP/2 too where the server has it."""
        return ("h3", "h2") if server.tls else ("h3",)

    def prepare(self, room, asked):
        """Makes the files that are asked for."""


class Big(Group):
    """1 GiB in all, in a file of its part for each connection; one stream on each."""

    def __init__(self, name, connections):
        self.name, self.connections = name, connections
        self.figures = [
            Figure(f"{name} MB/s", "up", 1.0), Figure(f"{name} CPU s/GiB", "down", 1.0),
            Figure(f"{name} client's CPU s/GiB", "down"), Figure(f"{name} client's cores busy %", "down"),
            Figure(f"{name} peak RSS MiB", "down")]

    def prepare(self, room, asked):
        self.octets = max(MIB, int(GIB / self.connections * asked.scale) // MIB * MIB)
        room.need(f"{self.name}.bin", self.octets)

    def measure(self, server, protocol, room, client, asked):
        pids = server.pids("all")
        process.forget_peak(pids)
        before = process.cpu_clock(pids)
        seen = ask(
            client, asked.client_core, protocol, self.connections, 1, self.connections,
            f"https://127.0.0.1:{port(server, protocol)}/{self.name}.bin")
        cpu = process.cpu_clock(pids) - before
        if seen["octets"] != self.octets * self.connections:
            raise RuntimeError(f"{server.name}: {seen['octets']} octets")
        gib = seen["octets"] / GIB
        values = (
            seen["octets"] / seen["seconds"] / 1e6, cpu / gib, seen["cpu_seconds"] / gib,
            100 * seen["cpu_seconds"] / seen["seconds"], process.peak_rss_kib(pids) / 1024)
        return dict(zip((figure.name for figure in self.figures), values))


class Small(Group):
    """A file of 1 KiB on 8 connections with 32 requests at once on each."""

    name = "small"
    requests = 100_000
    figures = [
        Figure("1k requests/s", "up", 1.0), Figure("1k CPU us/request", "down", 1.0), Figure("1k p50 us", "down"),
        Figure("1k p99 us", "down"), Figure("1k client's cores busy %", "down")]

    def measure(self, server, protocol, room, client, asked):
        pids = server.pids("all")
        before = process.cpu_clock(pids)
        requests = max(512, int(self.requests * asked.scale))
        seen = ask(
            client, asked.client_core, protocol, 8, 32, requests,
            f"https://127.0.0.1:{port(server, protocol)}/1k.bin")
        cpu = process.cpu_clock(pids) - before
        values = (
            requests / seen["seconds"], cpu / requests * 1e6, seen["p50_us"], seen["p99_us"],
            100 * seen["cpu_seconds"] / seen["seconds"])
        return dict(zip((figure.name for figure in self.figures), values))


class Stalled(Group):
    """Streams that ask for 100 MiB and are not read, 50 on each connection; a window of 64 KiB each."""

    name = "stalled"
    fresh = True
    connections, streams, window = 20, 50, 64 << 10
    # KiB of a stream beyond its window.
    limit = 64
    figures = [
        Figure("stalled RSS KiB a stream", "down", 1.0), Figure("stalled RSS KiB a connection with one", "down"),
        Figure("stalled: CPU ms per idle second", "down")]

    @staticmethod
    def protocols(_server):
        return ("h3",)

    def prepare(self, room, asked):
        room.need("100m.bin", 100 * MIB)

    def measure(self, server, protocol, room, client, asked):
        connections = max(1, int(self.connections * asked.scale))
        alone, _ = self._stand(server, client, asked, connections, 1)
        grown, idle = self._stand(server, client, asked, connections, self.streams)
        values = (grown / (connections * self.streams), alone / connections, idle)
        return dict(zip((figure.name for figure in self.figures), values))

    def _stand(self, server, client, asked, connections, streams):
        """KiB by which so many streams that stand still make the server grow; its CPU ms in a second of that."""
        pids = server.pids("all")
        before = process.rss_kib(pids)
        stalled = subprocess.Popen([
            "taskset", "-c", asked.client_core, client, "stall", "-connections", str(connections), "-streams",
            str(streams), "-window", str(self.window), f"https://127.0.0.1:{server.quic}/100m.bin"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if stalled.stdout.readline() != "stalled\n":
                raise RuntimeError(f"{server.name}: the streams could not be opened")
            grown = self._settled(pids) - before
            cpu = process.cpu_clock(pids)
            time.sleep(1)
            return grown, (process.cpu_clock(pids) - cpu) * 1000
        finally:
            stalled.communicate()

    @staticmethod
    def _settled(pids):
        """Until resident memory no longer grows."""
        last, deadline = -1, time.monotonic() + 20
        while time.monotonic() < deadline:
            now = process.rss_kib(pids)
            if last >= 0 and abs(now - last) <= last // 500:
                return now
            last = now
            time.sleep(0.5)
        return last


GROUPS = {group.name: group for group in (Big("big", 1), Big("big4", 4), Small(), Stalled())}
