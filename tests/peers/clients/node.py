"""Node's http, http2 and fetch. None of them can send an HTTP/1.0 request, and only to those is an
answer ever close-delimited: that fetch takes a reset there for the end is not met here."""

from __future__ import annotations

from pathlib import Path

from .base import Talker, first_line, program


class Node(Talker):
    def __init__(self, folder: Path, name: str, ways: list[tuple[str, bool]]):
        self.name = name
        self.ways = ways
        super().__init__(folder)

    def version(self) -> str:
        node = program("node")
        self.command = [node, str(Path(__file__).with_name("client.mjs"))]
        return "Node " + first_line(node, "--version")
