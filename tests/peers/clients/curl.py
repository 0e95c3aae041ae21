"""curl, over everything it speaks."""

from __future__ import annotations

from .base import Client, Seen, first_line, program

FLAGS = {
    ("h10", False): ["--http1.0"],
    ("h11", False): ["--http1.1"],
    ("h2", False): ["--http2-prior-knowledge"],
    ("h10", True): ["--http1.0", "-k"],
    ("h11", True): ["--http1.1", "-k"],
    ("h2", True): ["--http2", "-k"],
}


class Curl(Client):
    name = "curl"
    ways = list(FLAGS)

    def version(self) -> str:
        return " ".join(first_line(program("curl"), "--version").split()[:2])

    # How fast it reads, as its --limit-rate takes it.
    rate: str | None = None

    def fetch(self, url: str, protocol: str, tls: bool) -> Seen:
        # -q first: no file of the user's is read.
        flags = ["-q", "-sS", "-o", "body", "-w", "%{http_code}", *FLAGS[protocol, tls]]
        if self.rate is not None:
            flags += ["--limit-rate", self.rate]
        done = self.call([program("curl"), *flags, url])
        said = done.stderr.decode().strip()
        return Seen(int(done.stdout), done.error, self.saved("body"), said, done.starved_ms)
