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
    # What Playwright's download.failure() gives for a download that Chromium marks as failed.
    "chromium": {
        SHORT_BODY: "canceled",
        MISSING_LAST_CHUNK: "canceled",
        STREAM_RESET: "canceled",
        REFUSED: "canceled",
    },
}


@dataclass(frozen=True)
class Exception_:
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


EXCEPTIONS: list[Exception_] = []

# Where a client gives its user fewer octets than it got. (client, ending): why.
LOSES_THE_TAIL: dict[tuple[str, str], str] = {}


def exception(client: str, case: Case) -> Exception_ | None:
    return next((e for e in EXCEPTIONS if e.fits(client, case)), None)


def error(client: str, case: Case) -> str | None:
    """The error that this client must report, None for a success."""
    if case.wire == GOOD or exception(client, case):
        return None
    if case.wire == REFUSED:
        return ERRORS[client].get(REFUSED)
    return ERRORS[client][case.wire]
