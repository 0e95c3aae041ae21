"""The peers: each a real client, driven as its users drive it.

A client gives `name`, `ways` (protocol, TLS), `version()` and `fetch(..)`. To add one: a file here,
a line in `all_clients`, a row in `expectations.ERRORS`.
"""

from __future__ import annotations

from pathlib import Path

from .base import DEADLINE, Client, Missing, Seen

# What a folder can be downloaded as.
FORMATS = ("tar", "tar.gz", "tar.zst", "zip")

__all__ = ["DEADLINE", "FORMATS", "Client", "Missing", "Seen", "all_clients"]


def all_clients(folder: Path) -> list[Client]:
    """Every client, those that take longest first. `folder` is theirs to build in."""
    from .caches import Nginx, Squid, Varnish
    from .archives import Archives
    from .chromium import Chromium
    from .curl import Crawler, Curl
    from .events import Browser, HttpxSse, Parser
    from .go import Go
    from .listing import Listing
    from .looks import Looks
    from .nghttp import Nghttp
    from .node import Node
    from .python import Python
    from .quic import Aioquic, QuicGo
    from .wget import Wget

    return [
        Chromium(folder),
        Listing(folder),
        Browser(folder),
        Looks(folder, "chromium"),
        Looks(folder, "firefox"),
        Parser(folder),
        HttpxSse(folder),
        # Slow by nature: through a network that loses datagrams.
        Aioquic(folder, lossy=True),
        QuicGo(folder, lossy=True),
        Aioquic(folder),
        QuicGo(folder),
        Curl(folder),
        Crawler(folder),
        Wget(folder),
        Python(folder, "python"),
        Python(folder, "python-read-n"),
        Go(folder),
        Node(folder, "node-http", [("h11", False), ("h11", True)]),
        Node(folder, "node-http2", [("h2", False), ("h2", True)]),
        Node(folder, "node-fetch", [("h11", False), ("h11", True)]),
        Nghttp(folder),
        Nginx(folder, "1.1"),
        Nginx(folder, "1.0"),
        Varnish(folder, late=False),
        Varnish(folder, late=True),
        Squid(folder),
        *(Archives(folder, format) for format in FORMATS),
    ]
