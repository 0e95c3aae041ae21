"""Chromium without a window: its downloads, and a page."""

from __future__ import annotations

import os
from pathlib import Path

from .base import Missing, Seen, Talker, first_line, program


def playwright() -> Path:
    """Where .ci/peers puts playwright-core."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ENDWELL_PEERS_CACHE") or cache / "endwell-peers")


class Chromium(Talker):
    name = "chromium"
    ways = [("h11", False), ("h11", True), ("h2", True), ("h3", True)]

    def version(self) -> str:
        modules = playwright() / "node_modules" / "playwright-core"
        if not modules.is_dir():
            raise Missing(f"playwright-core is not in {modules.parent} (.ci/peers installs it)")
        chromium, node = program("chromium"), program("node")
        driver = str(Path(__file__).with_name("chromium.mjs"))
        self.command = [node, driver, str(modules), chromium]
        return first_line(chromium, "--version")

    def load(self, url: str, protocol: str, tls: bool) -> Seen:
        """Opens a page and waits for its load event; the octets are the page's text."""
        return self.fetch(f"{url}#page", protocol, tls)

    def keeps(self, url: str, protocol: str, tls: bool) -> Seen:
        """Opens a page that may break; the octets are what of it stays visible, the message is its readyState."""
        return self.fetch(f"{url}#kept", protocol, tls)
