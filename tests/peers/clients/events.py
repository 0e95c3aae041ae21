"""Clients that read streams of events: Chromium's EventSource, eventsource-parser (npm), httpx-sse (PyPI)."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import Missing, Talker, first_line, program
from .chromium import playwright

WAYS = [("h11", False), ("h11", True), ("h2", True)]


class Events(Talker):
    """What they share: they are asked for reasons in band only, not for endings."""

    ways: list = []
    # What a test of them asks over.
    speaks = WAYS


class Browser(Events):
    name = "chromium-events"
    speaks = [*WAYS, ("h3", True)]

    def version(self) -> str:
        modules = playwright() / "node_modules" / "playwright-core"
        if not modules.is_dir():
            raise Missing(f"playwright-core is not in {modules.parent} (.ci/peers installs it)")
        chromium, node = program("chromium"), program("node")
        self.command = [node, str(Path(__file__).with_name("events.mjs")), str(modules), chromium]
        return first_line(chromium, "--version")


class Parser(Events):
    name = "eventsource-parser"
    speaks = [*WAYS, ("h2", False)]

    def version(self) -> str:
        cache = playwright()
        module = cache / "node_modules" / "eventsource-parser" / "package.json"
        if not module.exists():
            raise Missing(f"eventsource-parser is not in {module.parents[1]} (.ci/peers installs it)")
        node = program("node")
        self.command = [node, str(Path(__file__).with_name("parser.mjs")), str(cache)]
        ask = f"console.log('eventsource-parser', require('{module}').version, 'on Node', process.version)"
        return first_line(node, "-e", ask)


class HttpxSse(Events):
    name = "httpx-sse"
    speaks = [*WAYS, ("h2", False)]

    def version(self) -> str:
        packages = playwright() / "python"
        for package in ("httpx", "httpx_sse", "h2"):
            if not (packages / package).is_dir():
                raise Missing(f"{package} is not in {packages} (.ci/peers installs it)")
        self.command = [sys.executable, str(Path(__file__).with_name("sse.py")), str(packages)]
        ask = (
            f"import sys; sys.path.insert(0, {str(packages)!r}); from importlib.metadata import version as v;"
            "print('httpx-sse', v('httpx-sse'), 'on httpx', v('httpx'), 'and h2', v('h2'))"
        )
        return first_line(sys.executable, "-c", ask)
