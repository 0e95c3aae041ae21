"""HTTP/3: aioquic (PyPI) and quic-go (Go modules), each with several requests on one connection."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable

from .base import Missing, Seen, Talk, Talker, environment, first_line, program
from .chromium import playwright


@dataclass
class Stream:
    """A request of a connection."""

    url: str
    # The number of the stream whose end is waited for.
    after: int | None = None
    # The octets after which it is stopped.
    leaves: int | None = None
    # The octets after which the whole connection is closed.
    closes: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Connection:
    """What came of the streams of a connection, and the code with which the peer closed it."""

    seen: list[Seen]
    closed: str | None


class Http3(Talker):
    """A library that is asked for a connection."""

    library: str
    # Whether a reset takes what the library has got and its user has not read yet.
    drops_unread = True
    # What starts it elsewhere: in another network namespace.
    prefix: list[str] = []

    def __init__(self, folder: Path, lossy: bool = False):
        """`lossy`: asked through a network that loses datagrams, by a suite of its own (`suites/loss.py`)."""
        self.name = self.library + ("-lossy" if lossy else "")
        self.ways = [] if lossy else [("h3", True)]
        super().__init__(folder)

    def fetch(self, url: str, protocol: str, tls: bool) -> Seen:
        return self.connect([Stream(url)]).seen[0]

    def connect(
        self,
        streams: list[Stream],
        window: int | None = None,
        meanwhile: Callable[[], object] | None = None,
        until: Callable[[], object] | None = None,
    ) -> Connection:
        """Asks for all; `meanwhile` is called when the first octets have come and nothing more is read.

        That is so of the whole connection of aioquic, and of the first stream of quic-go, whose others go on.

        The connection is closed when all has ended, or when `until` has returned, which is called then.
        """
        if self._running is None:
            self._running = Talk([*self.prefix, *self.command], self.folder)
        saves = [f"body-{number}" for number in range(len(streams))]
        asked = {
            "streams": [
                {**asdict(stream), "save": str(self.folder / save)} for stream, save in zip(streams, saves)],
            "window": window,
            "hold": meanwhile is not None,
            "stay": until is not None,
        }
        before = waited_ms(self._running.pid)
        try:
            answer = self._running.ask(asked)
            if answer.get("held"):
                meanwhile()
                answer = self._running.ask({})
            if answer.get("stays"):
                until()
                answer = self._running.ask({})
        except BaseException:
            self.close()
            raise
        waited = waited_ms(self._running.pid) - before if self.drops_unread else 0.0
        return Connection(
            [self._seen(one, save, waited) for one, save in zip(answer["streams"], saves)], answer["closed"])

    def _seen(self, one: dict, save: str, waited: float) -> Seen:
        octets = self.saved(save) if one["saved"] else b""
        return Seen(one["status"], one["error"], octets, one["message"], waited, one["trailers"])


class Aioquic(Http3):
    library = "aioquic"
    # It tells of a reset after all that came before, however late it is asked: what it loses is lost.
    drops_unread = False

    def version(self) -> str:
        packages = playwright() / "python"
        if not (packages / "aioquic").is_dir():
            raise Missing(f"aioquic is not in {packages} (.ci/peers installs it)")
        self.command = [sys.executable, str(Path(__file__).with_name("h3.py")), str(packages)]
        ask = (
            f"import sys; sys.path.insert(0, {str(packages)!r}); from importlib.metadata import version as v;"
            "print('aioquic', v('aioquic'))"
        )
        return first_line(sys.executable, "-c", ask)


class QuicGo(Http3):
    library = "quic-go"

    def version(self) -> str:
        """Also builds the client. Its go.mod may ask for a newer Go, which Go then gets as a module."""
        go = program("go")
        source, built = Path(__file__).with_name("quicgo"), self.folder / "client"
        done = subprocess.run(
            [go, "build", "-o", str(built), "."],
            capture_output=True, text=True, cwd=source, env={**environment(), "GOFLAGS": "", "GOWORK": "off"},
            timeout=600, check=False)
        if done.returncode:
            raise Missing(f"quicgo cannot be built: {done.stderr.strip()[:600]}")
        self.command = [str(built)]
        asked = [line for line in (source / "go.mod").read_text().splitlines() if "quic-go/quic-go" in line]
        return f"{asked[0].removeprefix('require ')}, {first_line(go, 'version')}"


def waited_ms(pid: int) -> float:
    """How long the threads of a process were ready to run without a core, in all."""
    total = 0.0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[1]) / 1e6
    except (OSError, IndexError, ValueError):
        pass
    return total
