"""What is measured: each group starts the peers it compares, and measures one at a time."""

import os
import time

from . import clients, cut, leave, process
from .room import GIB, MIB
from .table import Figure

PEERS = ("nginx", "nginx-ofc", "caddy", "miniserve")
ALL = "0,1"


class Group:
    """One set of figures: `cores` are the servers', `measure` gives {figure name: value}.

    A `fresh` group starts its servers anew for each round, as what one round leaves would hide
    what the next one takes.
    """

    fresh = False
    # Whether endwell writes records that `measure` reads.
    records = False
    cores = ALL
    peers = PEERS
    figures = ()

    def prepare(self, room):
        """Makes the files that are asked for."""

    def measure(self, server, room):
        raise NotImplementedError


# nginx 1.22 takes h2load's WINDOW_UPDATEs for a flood in about every second h2c download of 1 GiB and
# closes the connection; the run says so and asks again.
ATTEMPTS = 6


def _throughput(server, kind, download):
    """GB/s, CPU s/GiB of the server and of both ends, peak RSS, of one download run; nothing where all failed."""
    pids = server.pids(kind)
    process.forget_peak(pids)
    for attempt in range(ATTEMPTS):
        before, mine = process.cpu_seconds(pids), clients.cpu_seconds()
        try:
            octets, seconds = download()
            break
        except RuntimeError as error:
            print(f"{server.name}: attempt {attempt + 1} failed: {error}", flush=True)
    else:
        return ()
    cpu = process.cpu_seconds(pids) - before
    mine = clients.cpu_seconds() - mine
    return (
        octets / seconds / 1e9, cpu / (octets / GIB), (cpu + mine) / (octets / GIB),
        process.peak_rss_kib(pids) / 1024)


def _throughput_figures(row, rate, cpu):
    """The lines of `_throughput`; sendfile moves work from the server to the client, so both are told."""
    return [
        Figure(f"{row} GB/s", "up", rate), Figure(f"{row} CPU s/GiB", "down", cpu),
        Figure(f"{row} CPU s/GiB of both ends", "down"), Figure(f"{row} peak RSS MiB", "down")]


class Big(Group):
    """A file of 1 GiB over HTTP/1.1 without TLS."""

    def __init__(self, name, cores, client_cores, connections, times, rate, cpu):
        self.name, self.cores, self.client_cores = name, cores, client_cores
        self.connections, self.times = connections, times
        self.figures = _throughput_figures(name, rate, cpu)

    def prepare(self, room):
        room.need("1g.bin", GIB)

    def measure(self, server, room):
        values = _throughput(server, "plain", lambda: clients.sink(
            room, server.plain, "/1g.bin", self.connections, self.times, self.client_cores))
        return dict(zip((figure.name for figure in self.figures), values))


class Tls(Group):
    """A file of 1 GiB over TLS 1.3, and over HTTP/2 without TLS."""

    name = "tls"
    # (row, goal of GB/s, goal of CPU s/GiB)
    goals = (("tls h1", 1.15, 0.85), ("tls h2", 1.15, 0.7), ("tls h2 x4", 1.15, 0.7), ("h2c", 1.5, None))

    def __init__(self):
        self.figures = []
        for row, rate, cpu in self.goals:
            self.figures += _throughput_figures(row, rate, cpu)

    def prepare(self, room):
        room.need("1g.bin", GIB)

    def measure(self, server, room):
        tls = f"https://127.0.0.1:{server.tls}/1g.bin"
        runs = {
            "tls h1": ("tls", lambda: clients.curl("--http1.1", tls, 2, ALL)),
            "tls h2": ("tls", lambda: clients.curl("--http2", tls, 2, ALL)),
            "tls h2 x4": ("tls", lambda: clients.h2load_big(tls, 4, 1, ALL)),
        }
        if server.h2c:
            h2c = f"http://127.0.0.1:{server.h2c}/1g.bin"
            runs["h2c"] = ("plain", lambda: clients.h2load_big(h2c, 1, 1, ALL))
        out = {}
        for row, (kind, run) in runs.items():
            names = (figure.name for figure in _throughput_figures(row, None, None))
            out.update(zip(names, _throughput(server, kind, run)))
        return out


class Small(Group):
    """A file of 1 KiB on kept connections."""

    name = "small"

    def __init__(self):
        self.figures = []
        for row in ("1k h1", "1k h2c", "1k h2 tls"):
            self.figures += [
                Figure(f"{row} requests/s", "up", 1.0), Figure(f"{row} CPU us/request", "down", 0.9),
                Figure(f"{row} p50 us", "down"), Figure(f"{row} p99 us", "down", 0.6)]

    def measure(self, server, room):
        runs = {"1k h1": ("plain", lambda: clients.wrk(
            f"http://127.0.0.1:{server.plain}/1k.bin", 64, 1, 3, ALL))}
        if server.h2c:
            runs["1k h2c"] = ("plain", lambda: clients.h2load_small(
                f"http://127.0.0.1:{server.h2c}/1k.bin", 8, 32, 200_000, ALL))
        if server.name != "miniserve":
            # 44 ms a request there: 200 000 would take minutes, and say nothing new.
            runs["1k h2 tls"] = ("tls", lambda: clients.h2load_small(
                f"https://127.0.0.1:{server.tls}/1k.bin", 8, 32, 200_000, ALL))
        out = {}
        for row, (kind, run) in runs.items():
            pids = server.pids(kind)
            before = process.cpu_seconds(pids)
            seen = run()
            cpu = process.cpu_seconds(pids) - before
            out.update({
                f"{row} requests/s": seen["rate"], f"{row} CPU us/request": cpu / seen["requests"] * 1e6,
                f"{row} p50 us": seen["p50"], f"{row} p99 us": seen["p99"]})
        return out


class StalledGroup(Group):
    """5 000 clients that ask for 100 MiB and never read."""

    name = "stalled"
    peers = ("nginx", "nginx-sndbuf64k", "caddy", "miniserve")
    fresh = True
    count = 5000
    figures = (
        Figure("stalled answered", "up"),
        Figure("stalled RSS KiB/connection", "down", 1.0, ("nginx",)),
        Figure("stalled kernel TCP KiB/connection", "down", 0.4, ("nginx",)),
        Figure("stalled: CPU ms per idle second", "down"),
        Figure("stalled: 1 KiB request p50 us", "down"),
        Figure("stalled: 100 MiB download GB/s", "up", 3.3, ("nginx",)),
        Figure("stalled: RSS KiB/connection kept 1 s after", "down"),
    )

    def prepare(self, room):
        room.need("100m.bin", 100 * MIB)

    def measure(self, server, room):
        pids = server.pids("plain")
        clients.small_request_us(server.plain, "/1k.bin", 5)
        rss, tcp = process.rss_kib(pids), process.tcp_memory_kib()
        stalled = clients.Stalled(server.plain, "/100m.bin", self.count)
        try:
            self._settle()
            values = [
                stalled.answered(), (process.rss_kib(pids) - rss) / self.count,
                (process.tcp_memory_kib() - tcp) / self.count]
            cpu = process.cpu_seconds(pids)
            time.sleep(1)
            values.append((process.cpu_seconds(pids) - cpu) * 1000)
            values.append(clients.small_request_us(server.plain, "/1k.bin", 101))
            octets, seconds = clients.sink(room, server.plain, "/100m.bin", 1, 3, ALL)
            values.append(octets / seconds / 1e9)
        finally:
            stalled.leave()
        time.sleep(1)
        values.append(max(0, process.rss_kib(pids) - rss) / self.count)
        # The next server begins with an empty kernel.
        deadline = time.monotonic() + 10
        while process.tcp_memory_kib() > tcp + 4096 and time.monotonic() < deadline:
            time.sleep(0.1)
        return dict(zip((figure.name for figure in self.figures), values))

    @staticmethod
    def _settle():
        """Until the kernel's TCP memory no longer grows."""
        last, deadline = -1, time.monotonic() + 20
        while time.monotonic() < deadline:
            now = process.tcp_memory_kib()
            if last >= 0 and abs(now - last) <= last // 500:
                return
            last = now
            time.sleep(0.5)


class Leave(Group):
    """From a client's departure to the release of its file."""

    name = "leave"
    peers = ("nginx", "caddy", "miniserve")
    times = 50
    figures = [
        figure for how in ("stalled", "reading") for figure in (
            Figure(f"leave {how}: us to release p50", "down", 1.0, ("nginx",)),
            Figure(f"leave {how}: us to release max", "down"))]

    def prepare(self, room):
        room.need("1g.bin", GIB)

    def measure(self, server, room):
        path = os.path.join(room.data, "1g.bin")
        out = {}
        for how in ("stalled", "reading"):
            taken = sorted(
                leave.once(server, "/1g.bin", path, how == "reading") for _ in range(self.times))
            out[f"leave {how}: us to release p50"] = taken[len(taken) // 2]
            out[f"leave {how}: us to release max"] = taken[-1]
        return out


class Cut(Group):
    """A file truncated while it is sent."""

    name = "cut"
    records = True
    peers = ("nginx", "caddy", "miniserve")
    figures = [
        figure for how in ("h1", "h2 tls") for figure in (
            Figure(f"cut {how}: tries", "up"),
            Figure(f"cut {how}: tries that lost octets", "down"),
            Figure(f"cut {how}: octets that stayed and were lost, most", "down"),
            Figure(f"cut {how}: octets in the record that did not arrive, most", "down"),
            Figure(f"cut {how}: octets that were never in the file", "down"),
            Figure(f"cut {how}: failure in the length alone", "down"),
            Figure(f"cut {how}: failure not visible", "down"))]

    def __init__(self, builds, tries, peer_tries):
        self.builds, self.tries, self.peer_tries = builds, tries, peer_tries

    def measure(self, server, room):
        tries = self.tries if server.name in self.builds else self.peer_tries
        out = {}
        for how in ("h1", "h2 tls"):
            seen = [cut.once(server, room, how == "h2 tls") for _ in range(tries)]
            out.update({
                f"cut {how}: tries": tries,
                f"cut {how}: tries that lost octets": sum(one.lost > 0 for one in seen),
                f"cut {how}: octets that stayed and were lost, most": max(one.lost for one in seen),
                f"cut {how}: octets that were never in the file": sum(one.foreign for one in seen),
                f"cut {how}: failure not visible": sum(one.ending == "whole" for one in seen)})
            unaccounted = [one.unaccounted for one in seen if one.unaccounted is not None]
            if unaccounted:
                out[f"cut {how}: octets in the record that did not arrive, most"] = max(unaccounted)
            if how != "h1":
                out[f"cut {how}: failure in the length alone"] = sum(
                    one.ending == "short" for one in seen)
        return out


def groups(builds, tries, peer_tries):
    """All, by name, in the order in which they run."""
    every = (
        # Ends on one core: what is left over is the work itself, and noise is within 5 %.
        Big("big1", "0", "0", 1, 3, 1.1, 0.8),
        Big("big2", "0", "1", 1, 4, 1.0, 0.8),
        Big("big4", ALL, ALL, 4, 1, 1.0, 0.8),
        Tls(), Small(), StalledGroup(), Leave(), Cut(builds, tries, peer_tries),
    )
    return {group.name: group for group in every}
