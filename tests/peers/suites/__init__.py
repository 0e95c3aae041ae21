"""What is tested. A suite is a file with `tests(peers) -> list[Test]`, named in `run`.

Tests of the `endwell` command (`endwell serve` against the same clients) go into a suite of their own
beside these, with a server of their own beside `server.Server`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from clients import Client
from server import Ids, Server


class Wrong(Exception):
    """What a test found."""


@dataclass
class Peers:
    """What tests need."""

    server: Server
    ids: Ids
    clients: dict[str, Client]


@dataclass
class Test:
    name: str
    # Tests of one client run one after another.
    client: str
    # Raises Wrong.
    run: Callable[[], None]
    # Runs when nothing else does: it needs a client that the machine lets run at once.
    quiet: bool = False
