"""Python's http.client, with `read()` and with `read(n)`, which are not equally careful."""

from __future__ import annotations

import platform
import ssl
import sys
from pathlib import Path

from .base import Talker


class Python(Talker):
    ways = [("h10", False), ("h11", False), ("h10", True), ("h11", True)]
    command = [sys.executable, str(Path(__file__).with_name("client.py"))]

    def __init__(self, folder: Path, name: str):
        self.name = name
        super().__init__(folder)

    def version(self) -> str:
        return f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
