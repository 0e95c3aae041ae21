"""Go's net/http: HTTP/1.1, and HTTP/2 over TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .base import Missing, Talker, environment, first_line, program


class Go(Talker):
    name = "go"
    ways = [("h11", False), ("h11", True), ("h2", True)]

    def version(self) -> str:
        """Also builds the client: Go has no other way to run it."""
        go = program("go")
        built = self.folder / "client"
        done = subprocess.run(
            [go, "build", "-o", str(built), "."],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
            env={**environment(), "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"},
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise Missing(f"client.go cannot be built: {done.stderr.strip()[:600]}")
        self.command = [str(built)]
        return first_line(go, "version")
