"""Libraries that open archives: Python's tarfile and zipfile, Node's tar, Go's archive/tar and archive/zip."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from clients.base import Missing, environment, first_line, program
from clients.chromium import playwright

from .base import Library, Reading, room, run

HERE = Path(__file__).parent


class Unpacked(Library):
    """A library that knows no zstd: its users put `zstd -d` before it."""

    def read(self, archive: Path, format: str) -> Reading:
        if format != "tar.zst":
            return super().read(archive, format)
        with room(self.folder) as scratch:
            inner = scratch / "inner.tar"
            done = run([program("zstd"), "-q", "-d", str(archive.resolve()), "-o", str(inner)], scratch)
            if done.returncode:
                return Reading(f"zstd exit {done.returncode}: {done.stderr.decode().strip()}")
            return super().read(inner, "tar")


class Python(Unpacked):
    name = "python"
    formats = ("tar", "tar.gz", "tar.zst", "zip")
    command = [sys.executable, str(HERE / "reader.py")]

    def version(self) -> str:
        return f"Python {platform.python_version()}"


class Node(Unpacked):
    formats = ("tar", "tar.gz", "tar.zst")

    def __init__(self, folder: Path, name: str):
        self.name = name
        super().__init__(folder)

    def version(self) -> str:
        module = playwright() / "node_modules" / "tar"
        if not module.is_dir():
            raise Missing(f"tar is not in {module.parent} (.ci/peers installs it)")
        node = program("node")
        self.command = [node, str(HERE / "reader.mjs"), str(module)]
        version = json.loads((module / "package.json").read_text())["version"]
        return f"npm's tar {version} on Node {first_line(node, '--version')}"


class Go(Unpacked):
    name = "go"
    formats = ("tar", "tar.gz", "tar.zst", "zip")

    def version(self) -> str:
        """Also builds the reader."""
        go = program("go")
        built = self.folder / "reader"
        done = subprocess.run(
            [go, "build", "-o", str(built), "."],
            capture_output=True,
            text=True,
            cwd=HERE,
            env={**environment(), "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"},
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise Missing(f"reader.go cannot be built: {done.stderr.strip()[:600]}")
        self.command = [str(built)]
        return first_line(go, "version")
