"""The clients that ask: each call does its work and gives figures."""

import os
import re
import resource
import socket
import statistics
import struct
import subprocess
import tempfile
import time

# The same cipher for all, so that what is compared is the server: OpenSSL would choose AES-256 where
# Go chooses AES-128.
CIPHER = "TLS_AES_128_GCM_SHA256"


def _run(command, cores):
    done = subprocess.run(
        ["taskset", "-c", cores, *map(str, command)], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(
            f"{os.path.basename(str(command[0]))} gave {done.returncode}: {done.stderr[-300:]}{done.stdout[-300:]}")
    return done.stdout


def cpu_seconds():
    """Processor time of all clients that have been run so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sink(room, port, path, connections, times, cores):
    """(octets, seconds) of HTTP/1.1 downloads without TLS."""
    octets, seconds = _run([room.sink, "127.0.0.1", port, path, connections, times], cores).split()
    return int(octets), float(seconds)


def curl(version, url, times, cores):
    """(octets, seconds) of downloads one after another on one connection."""
    out = _run([
        "curl", "-sk", "--fail", version, "--tls13-ciphers", CIPHER,
        "-w", "%{size_download} %{time_total} %{http_version}\n",
        *[word for _ in range(times) for word in ("-o", "/dev/null", url)],
    ], cores)
    lines = [line.split() for line in out.split("\n") if line]
    wanted = {"--http1.1": "1.1", "--http2": "2"}[version]
    if any(line[2] != wanted for line in lines):
        raise RuntimeError(f"curl was given HTTP/{lines[0][2]} for {version}")
    return sum(int(line[0]) for line in lines), sum(float(line[1]) for line in lines)


def h2load_big(url, connections, times, cores):
    """(octets, seconds) of HTTP/2 downloads, one stream at a time on each connection."""
    out = _run([
        "h2load", "--tls13-ciphers", CIPHER, "-c", connections, "-m", 1,
        "-n", connections * times, url], cores)
    _h2load_good(out, connections * times)
    octets = int(re.search(r"\((\d+)\) data", out).group(1))
    return octets, _seconds(re.search(r"finished in ([\d.]+)(us|ms|s)", out))


def _h2load_good(out, wanted):
    good = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out)
    if int(good.group(2)) or int(good.group(3)) or (wanted and int(good.group(1)) != wanted):
        raise RuntimeError("h2load: " + good.group(0))
    return int(good.group(1))


def _seconds(match):
    return float(match.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[match.group(2)]


def h2load_small(url, connections, streams, requests, cores):
    """Requests/s, p50 and p99 in us, and how many requests were made."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="h2load-") as log:
        out = _run([
            "h2load", "--tls13-ciphers", CIPHER, "-c", connections, "-m", streams, "-n", requests,
            "--log-file", log.name, url], cores)
        log.seek(0)
        times = sorted(int(line.split()[2]) for line in log)
    made = _h2load_good(out, requests)
    seconds = _seconds(re.search(r"finished in ([\d.]+)(us|ms|s)", out))
    return {
        "requests": made, "rate": made / seconds,
        "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}


def wrk(url, connections, threads, seconds, cores):
    """Requests/s, p50 and p99 in us, and how many requests were made, over HTTP/1.1."""
    out = _run([
        "wrk", "--latency", "-c", connections, "-t", threads, "-d", f"{seconds}s", url], cores)
    if re.search(r"Socket errors|Non-2xx", out):
        raise RuntimeError("wrk: " + out)
    latency = {
        key: _seconds(re.search(key + r"%\s+([\d.]+)(us|ms|s)", out)) * 1e6 for key in ("50", "99")}
    return {
        "requests": int(re.search(r"(\d+) requests in", out).group(1)),
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "p50": latency["50"], "p99": latency["99"]}


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def small_request_us(port, path, times):
    """The median time of a 1 KiB request on a new connection, in us."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(request(path))
            got = b""
            while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < 1024:
                more = client.recv(65536)
                if not more:
                    raise RuntimeError("a small answer ended early")
                got += more
        taken.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(taken)


class Stalled:
    """Clients that ask and then never read, with the segments of an Ethernet.

    Loopback's own segments of 64 KiB would fill the buffers in other steps than a network does.
    """

    SEGMENT = 1448

    def __init__(self, port, path, count):
        self.sockets = []
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.SEGMENT)
            client.connect(("127.0.0.1", port))
            client.sendall(request(path))
            self.sockets.append(client)

    def answered(self):
        """How many have at least a head in their receive buffer."""
        count = 0
        for client in self.sockets:
            try:
                count += client.recv(12, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"HTTP/1.1 200"
            except (BlockingIOError, ConnectionError):
                continue
        return count

    def leave(self):
        for client in self.sockets:
            client.close()


def frames(data):
    """Cuts whole HTTP/2 frames off the front of a bytearray: (type, flags, stream, payload)."""
    at = 0
    while len(data) - at >= 9:
        length = int.from_bytes(data[at:at + 3], "big")
        if len(data) - at - 9 < length:
            break
        kind, flags, stream = data[at + 3], data[at + 4], struct.unpack_from(">I", data, at + 5)[0]
        yield kind, flags, stream & 0x7FFFFFFF, bytes(data[at + 9:at + 9 + length])
        at += 9 + length
    del data[:at]
