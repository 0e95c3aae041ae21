"""A person who looks at the page of a folder: Chromium with axe-core, a keyboard and a narrow screen."""

from __future__ import annotations

from pathlib import Path

from .base import Missing, Talker, first_line, program
from .chromium import playwright

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "listing.schema.json"


class Listing(Talker):
    name = "chromium-listing"
    # It is shown no bad ending: it looks at what pages are like.
    ways = []

    def version(self) -> str:
        cache = playwright()
        for module in ("playwright-core", "axe-core", "ajv"):
            if not (cache / "node_modules" / module).is_dir():
                raise Missing(f"{module} is not in {cache}/node_modules (.ci/peers installs it)")
        chromium, node = program("chromium"), program("node")
        driver = str(Path(__file__).with_name("listing.mjs"))
        self.command = [node, driver, str(cache), chromium, str(SCHEMA)]
        return first_line(chromium, "--version")
