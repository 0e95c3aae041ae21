"""docs/adoption.md and docs/pages.md: what they show of examples is what curl prints.

Every line after a dollar is run against the example that the block names. Of curl's messages only the number is compared: their words
change with its version. Of a duration only that it is there.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from clients.base import DEADLINE, environment
from parts import Parts
from server import ROOT

from . import Peers, Test, Wrong

# The pages, and the examples whose transcripts they show.
PAGES = {"adoption": {"before", "after"}, "pages": {"parts"}}
ADDRESS = "127.0.0.1:3000"
BLOCK = re.compile(r"^```console (\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def transcripts(page: Path) -> list[tuple[str, str, list[str]]]:
    """Of each command: the example, the command, the lines it prints."""
    found = []
    for example, text in BLOCK.findall(page.read_text()):
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((example, line[2:], []))
            else:
                found[-1][2].append(line)
    return found


def tests(peers: Peers) -> list[Test]:
    every = []
    for name, examples in PAGES.items():
        page = ROOT / "docs" / f"{name}.md"
        found = transcripts(page)
        if {example for example, _, _ in found} != examples:
            raise SystemExit(f"{page} has no transcripts of {' and '.join(examples)}, or of others too")
        every += [
            Test(f"{name}/{shown[0]}/{place}", "curl", lambda shown=shown: check(peers, *shown))
            for place, shown in enumerate(found)
        ]
    return every


def check(peers: Peers, example: str, command: str, due: list[str]) -> None:
    url = peers.once(Parts).url(False) if example == "parts" else peers.example(example).url
    address = url.removeprefix("http://")
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
    """A line; of curl's messages the number alone, and no duration."""
    said = re.match(r"curl: \(\d+\)", line)
    return said[0] if said else re.sub(r"dur=[\d.]+", "dur=", line)
