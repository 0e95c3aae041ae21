"""What is tested. A suite is a file with `tests(peers) -> list[Test]`, named in `run`.

Tests of `endwell serve` go into a suite of their own beside these; `Peers.files` serves their folder.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from cases import CONNECTION_RESET, STREAM_RESET, Case, octets
from clients import Client, Seen
from server import Example, Files, Ids, Server, archiving


class Wrong(Exception):
    """What a test found."""


# The server waits 25 ms between the last octet and a reset, because clients drop what they have not
# read when both come at once. The kernel acknowledges for a program that does not run: a client that
# a busy machine holds back for longer loses octets, and no server can tell.
STARVED_MS = 20.0
REPEATS = 5


@dataclass
class Peers:
    """What tests need."""

    server: Server
    ids: Ids
    clients: dict[str, Client]
    # Downloads that were done again, and why.
    repeated: list[str] = field(default_factory=list)
    # Where folders to be served are made.
    folder: Path | None = None
    # Whether to test also what takes too long for every day.
    large: bool = False
    # What this machine lacks, told loudly; each once.
    lacks: list[str] = field(default_factory=list)
    # Of each lossy network: connections, datagrams, datagrams lost.
    lossy: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _files: dict[Callable, Files] = field(default_factory=dict)
    _examples: dict[str, Example] = field(default_factory=dict)
    _archives: tuple[Path, Server] | None = None
    _once: dict[type, object] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lack(self, what: str) -> None:
        """Tells what this machine lacks, so that less is shown than could be."""
        with self.lock:
            if what not in self.lacks:
                self.lacks.append(what)
                print(f"LACKING: {what}", flush=True)

    def files(self, fill: Callable[[Path], None]) -> str:
        """The URL of `endwell serve` over a folder that `fill` makes, once."""
        if fill not in self._files:
            folder = self.folder / f"served-{len(self._files)}"
            folder.mkdir()
            fill(folder)
            self._files[fill] = Files(folder)
        return self._files[fill].url

    def example(self, name: str) -> Example:
        """An example of the library, started once."""
        if name not in self._examples:
            self._examples[name] = Example(name)
        return self._examples[name]

    def archives(self) -> tuple[Path, Server]:
        """A folder, and `endwell serve` over it, which may be asked for archives of what is put there."""
        with self.lock:
            if self._archives is None:
                folder = self.folder / "archived"
                folder.mkdir()
                self._archives = folder, archiving(folder)
            return self._archives

    def once(self, what: type):
        """What a suite needs beside these, made of a folder once; it is stopped at the end."""
        with self.lock:
            if what not in self._once:
                self._once[what] = what(self.folder / what.__name__.lower())
            return self._once[what]

    def stop(self) -> None:
        """Stops every server."""
        for other in self._once.values():
            other.stop()
        for server in (self.server, *self._files.values(), *self._examples.values(), *(self._archives or ())[1:]):
            server.stop()

    def check(
        self,
        client: Client,
        case: Case,
        judge: Callable[[Case, Seen, list[dict]], list[str]],
        name: str,
    ) -> None:
        """Downloads and judges; raises Wrong. Only a client that the machine held back gets more tries."""
        for left in reversed(range(REPEATS)):
            id = self.ids.next()
            url = self.server.url(case.tls) + case.target(id)
            seen = client.fetch(url, case.protocol, case.tls)
            wrong = judge(case, seen, self.server.records(id))
            if not wrong:
                return
            if not (left and only_starved(case, seen)):
                break
            self.repeated.append(f"{name}: it waited {seen.starved_ms:.0f} ms for a core")
        wrong.append(f"it said: {seen.message or 'nothing'} (it waited {seen.starved_ms:.1f} ms for a core)")
        raise Wrong("\n".join([*wrong, f"asked for: {url}"]))


def only_starved(case: Case, seen: Seen) -> bool:
    """Whether the client told the failure, and lost octets because it was not let run."""
    return (
        seen.starved_ms >= STARVED_MS
        and case.wire in (STREAM_RESET, CONNECTION_RESET)
        and seen.error is not None
        and octets(case.sent).startswith(seen.octets or b"")
    )


@dataclass
class Test:
    name: str
    # Tests of one client run one after another.
    client: str
    # Raises Wrong.
    run: Callable[[], None]
    # Runs when nothing else does: it needs a client that the machine lets run at once.
    quiet: bool = False
