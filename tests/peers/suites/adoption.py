"""docs/adoption.md: what it shows of a stock server and of an adopted one is what curl prints.

Every line after a dollar is run against the example that the block names. Of curl's messages only the number is compared: their words
change with its version.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from clients.base import DEADLINE, environment
from server import ROOT, Example

from . import Peers, Test, Wrong

PAGE = ROOT / "docs" / "adoption.md"
ADDRESS = "127.0.0.1:3000"
BLOCK = re.compile(r"^```console (before|after)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def transcripts() -> list[tuple[str, str, list[str]]]:
    """Of each command: the example, the command, the lines it prints."""
    found = []
    for example, text in BLOCK.findall(PAGE.read_text()):
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((example, line[2:], []))
            else:
                found[-1][2].append(line)
    return found


def tests(peers: Peers) -> list[Test]:
    found = transcripts()
    if {example for example, _, _ in found} != {"before", "after"}:
        raise SystemExit(f"{PAGE} has no transcripts of before and after")
    return [
        Test(f"adoption/{shown[0]}/{place}", "curl", lambda shown=shown: check(peers, *shown))
        for place, shown in enumerate(found)
    ]


def check(peers: Peers, example: str, command: str, due: list[str]) -> None:
    address = peers.example(example).url.removeprefix("http://")
    with tempfile.TemporaryDirectory(prefix="endwell-adoption-") as folder:
        done = subprocess.run(
            ["bash", "-c", command.replace("curl -sS", "curl -q -sS").replace(ADDRESS, address)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
            env=environment(),
            cwd=Path(folder),
            check=False,
        )
    printed = done.stdout.splitlines()
    if [number(line) for line in printed] != [number(line) for line in due]:
        raise Wrong("\n".join([f"$ {command}", "printed:", *printed, "the page says:", *due]))


def number(line: str) -> str:
    """A line; of curl's messages the number alone."""
    said = re.match(r"curl: \(\d+\)", line)
    return said[0] if said else line
