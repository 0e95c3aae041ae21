"""Browsers that look at pages of parts: Chromium by playwright-core, Firefox by WebDriver BiDi."""

from __future__ import annotations

import json
from pathlib import Path

from .base import Missing, Seen, Talker, first_line, program
from .chromium import playwright

WAYS = [("h11", False), ("h2", True)]
PROGRAMS = {"chromium": ("chromium", "playwright-core"), "firefox": ("firefox-esr", "ws")}


class Looks(Talker):
    """`look` tells what a person sees and what a script gets; it is asked for no downloads."""

    ways: list = []
    speaks = WAYS

    def __init__(self, folder: Path, kind: str):
        self.name = f"{kind}-parts"
        self.kind = kind
        super().__init__(folder)

    def version(self) -> str:
        cache = playwright()
        browser, module = PROGRAMS[self.kind]
        if not (cache / "node_modules" / module).is_dir():
            raise Missing(f"{module} is not in {cache}/node_modules (.ci/peers installs it)")
        path, node = program(browser), program("node")
        self.command = [node, str(Path(__file__).with_name("looks.mjs")), self.kind, path, str(cache)]
        return first_line(path, "--version")

    def look(self, url: str, **asked) -> tuple[Seen, dict]:
        """What clients/looks.mjs tells; empty where it could not look."""
        seen = self.fetch(url, "", False, **asked)
        return seen, {} if seen.error else json.loads(seen.message)
