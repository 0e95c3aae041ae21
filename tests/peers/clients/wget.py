"""GNU Wget; it speaks HTTP/1.1 only."""

from __future__ import annotations

import re

from .base import Client, Seen, first_line, program


class Wget(Client):
    name = "wget"
    ways = [("h11", False), ("h11", True)]

    def version(self) -> str:
        return " ".join(first_line(program("wget"), "--version").split()[:3])

    def fetch(self, url: str, protocol: str, tls: bool) -> Seen:
        flags = ["--no-config", "--no-hsts", "--tries=1", "-S", "-O", "body", "--content-on-error"]
        if tls:
            flags.append("--no-check-certificate")
        done = self.call([program("wget"), *flags, url])
        said = done.stderr.decode(errors="replace")
        status = re.search(r"^ *HTTP/1\.[01] (\d+)", said, re.MULTILINE)
        last = said.strip().splitlines()[-1] if said.strip() else ""
        octets = self.saved("body")
        return Seen(int(status[1]) if status else None, done.error, octets, last, done.starved_ms)
