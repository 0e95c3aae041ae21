"""What each client must report for each ending, and the known exceptions.

A client is judged by its own words: exit code or error name, exactly. A name that changes with a new
version of a client fails the run, so that a person looks at it once.
"""

from __future__ import annotations

from dataclasses import dataclass

from cases import (
    BAD_ENDINGS,
    CONNECTION_RESET,
    GOOD,
    MISSING_LAST_CHUNK,
    REFUSED,
    SHORT_BODY,
    STREAM_RESET,
    Case,
    cases,
)

# client: {how the message ended: what the client calls it}.
ERRORS: dict[str, dict[str, str]] = {
    "curl": {
        SHORT_BODY: "exit 18",
        MISSING_LAST_CHUNK: "exit 18",
        CONNECTION_RESET: "exit 56",
        STREAM_RESET: "exit 92",
    },
    "wget": {SHORT_BODY: "exit 4", MISSING_LAST_CHUNK: "exit 4", REFUSED: "exit 8"},
    # nghttp exits with 0 whatever happens: its own error is this line.
    "nghttp": {STREAM_RESET: "Some requests were not processed. total=1, processed=0"},
    "python": {
        SHORT_BODY: "IncompleteRead",
        MISSING_LAST_CHUNK: "IncompleteRead",
        CONNECTION_RESET: "ConnectionResetError",
    },
    "python-read-n": {
        SHORT_BODY: "IncompleteRead",
        MISSING_LAST_CHUNK: "IncompleteRead",
        CONNECTION_RESET: "ConnectionResetError",
    },
    "node-http": {SHORT_BODY: "ECONNRESET", MISSING_LAST_CHUNK: "ECONNRESET"},
    "node-http2": {STREAM_RESET: "ERR_HTTP2_STREAM_ERROR"},
    "node-fetch": {
        SHORT_BODY: "TypeError UND_ERR_SOCKET",
        MISSING_LAST_CHUNK: "TypeError UND_ERR_SOCKET",
    },
    "go": {
        SHORT_BODY: "unexpected EOF",
        MISSING_LAST_CHUNK: "unexpected EOF",
        STREAM_RESET: "stream error: stream ID 1; INTERNAL_ERROR; received from peer",
    },
    "aioquic": {STREAM_RESET: "reset 0x10c"},
    "quic-go": {STREAM_RESET: "reset 0x10c"},
    # What Playwright's download.failure() gives for a download that Chromium marks as failed.
    "chromium": {
        SHORT_BODY: "canceled",
        MISSING_LAST_CHUNK: "canceled",
        STREAM_RESET: "canceled",
        REFUSED: "canceled",
    },
}


@dataclass(frozen=True)
class Swallows:
    """A client that takes a broken body for a whole one. A case that stops doing so fails the run."""

    client: str
    wire: str
    # None: with TLS and without.
    tls: bool | None
    reason: str
    source: str

    def fits(self, client: str, case: Case) -> bool:
        return (
            self.client == client
            and self.wire == case.wire
            and self.tls in (None, case.tls)
        )


_MEASURED = "seen with Python 3.11.2 and 3.11.7, and by this run with the version above"

EXCEPTIONS = [
    Swallows(
        "python",
        CONNECTION_RESET,
        True,
        "ssl gives a reset below TLS as an unexpected EOF, and SSLSocket.read takes that for the end",
        f"suppress_ragged_eofs, true by default, in CPython's Lib/ssl.py; {_MEASURED}",
    ),
    Swallows(
        "python-read-n",
        CONNECTION_RESET,
        True,
        "as python: a reset below TLS is taken for the end",
        f"suppress_ragged_eofs, true by default, in CPython's Lib/ssl.py; {_MEASURED}",
    ),
    Swallows(
        "python-read-n",
        SHORT_BODY,
        None,
        "read(n) does not compare what came with Content-Length, read() does",
        f"HTTPResponse.read in CPython's Lib/http/client.py; {_MEASURED}",
    ),
]

# Where a client gives its user less than it got. (client, ending): (at most so many octets, why).
LOSES_THE_TAIL = {
    ("python-read-n", CONNECTION_RESET): (
        8191,
        "what the read(8192) that raises had gathered stays in its buffer",
    ),
}

# What a client has got and its user has not read is gone when the reset comes. client: (why, source). Its error is right.
DROPS_UNREAD = {
    "quic-go": (
        "Read gives the reset before what lies in the stream's buffer; only RESET_STREAM_AT would change that",
        "ReceiveStream.readImpl and isRemoteCancellationEffective in receive_stream.go of v0.65.0",
    ),
}


def exception(client: str, case: Case) -> Swallows | None:
    return next((e for e in EXCEPTIONS if e.fits(client, case)), None)


def error(client: str, case: Case) -> str | None:
    """The error that this client must report, None for a success."""
    if case.wire == GOOD or exception(client, case):
        return None
    if case.wire == REFUSED:
        return ERRORS[client].get(REFUSED)
    return ERRORS[client][case.wire]


def mistakes(ways: dict[str, list[tuple[str, bool]]]) -> list[str]:
    """What is wrong with the tables above: a bad ending without a row, an exception without a case."""
    by_client = {client: cases(own) for client, own in ways.items()}
    unnamed = {
        f"{client} has no name for {case.wire}"
        for client, own in by_client.items()
        for case in own
        if case.wire in BAD_ENDINGS and case.wire not in ERRORS.get(client, {})
    }
    idle = {
        f"exception of {known.client} for {known.wire} fits no case"
        for known in EXCEPTIONS
        if not any(known.fits(known.client, case) for case in by_client.get(known.client, []))
    }
    return sorted(unnamed | idle)
