"""nghttp, of nghttp2: HTTP/2 only."""

from __future__ import annotations

from .base import Client, Seen, first_line, program


class Nghttp(Client):
    name = "nghttp"
    ways = [("h2", False), ("h2", True)]

    def version(self) -> str:
        return first_line(program("nghttp"), "--version")

    def fetch(self, url: str, protocol: str, tls: bool) -> Seen:
        done = self.call([program("nghttp"), "--no-verify-peer", url])
        said = [line for line in done.stderr.decode().splitlines() if not line.startswith("[WARNING]")]
        error = done.error or (said[-1] if said else None)
        return Seen(None, error, done.stdout, "; ".join(said), done.starved_ms)
