"""The table of cases: fault x protocol x TLS x promise x size.

Gives: for each case the target to ask for, the octets that must arrive, how the message must end on the
wire, and what the record must say. Written apart from the server: the figures here are not computed by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

# How a message ends on the wire: what clients are judged by (expectations.py).
GOOD = "good"
REFUSED = "500"
SHORT_BODY = "short body"
MISSING_LAST_CHUNK = "missing last chunk"
CONNECTION_RESET = "connection reset"
STREAM_RESET = "stream reset"
BAD_ENDINGS = (SHORT_BODY, MISSING_LAST_CHUNK, CONNECTION_RESET, STREAM_RESET)


@dataclass(frozen=True)
class Fault:
    """What a fault of the server's script leaves behind."""

    ending: str
    error_type: str | None
    # How much was produced before it: nothing, up to the cut, or all.
    produced: str


FAULTS = {
    "none": Fault("complete", None, "all"),
    "drop": Fault("failed", "producer_dropped", "cut"),
    "panic": Fault("failed", "producer_panicked", "cut"),
    "first": Fault("failed", "producer_error", "nothing"),
    "committed": Fault("failed", "producer_error", "nothing"),
    "mid": Fault("failed", "producer_error", "cut"),
    "pause": Fault("failed", "producer_error", "cut"),
    "last": Fault("failed", "producer_error", "all"),
    "aborted": Fault("failed", "producer_dropped", "cut"),
    "degraded": Fault("degraded", "producer_error", "all"),
}

# Octets in all: (octets before the fault, octets a frame).
SIZES = {40: (30, 10), 300_000: (225_001, 16_384)}

PROTOCOLS = ("h10", "h11", "h2", "h3")
# A failed message of these resets its stream, with this code: INTERNAL_ERROR (RFC 9113 section 7),
# H3_REQUEST_CANCELLED (RFC 9114 section 4.1.1).
RESET_CODES = {"h2": "0x2", "h3": "0x10c"}


@dataclass(frozen=True)
class Case:
    fault: str
    protocol: str
    tls: bool
    promise: bool
    size: int
    cut: int
    frame: int

    def __str__(self) -> str:
        promise = "length" if self.promise else "open"
        return f"{self.way}/{self.fault}/{promise}/{self.size}"

    @property
    def way(self) -> str:
        """Protocol and transport: `h11`, `h2-tls`; HTTP/3 has no other than TLS."""
        return self.protocol + ("-tls" if self.tls and self.protocol != "h3" else "")

    def target(self, id: int) -> str:
        promise = str(self.promise).lower()
        return (
            f"/script?fault={self.fault}&size={self.size}&cut={self.cut}"
            f"&frame={self.frame}&promise={promise}&id={id}"
        )

    @property
    def produced(self) -> int:
        """Octets that the producer hands over."""
        return {"nothing": 0, "cut": self.cut, "all": self.size}[FAULTS[self.fault].produced]

    @property
    def sent(self) -> int:
        """Octets of the body that must arrive: a promise is not fulfilled unless all went well."""
        if self.promise and self.produced == self.size and self.fault != "none":
            return self.size - 1
        return self.produced

    @property
    def wire(self) -> str:
        if self.fault == "none":
            return GOOD
        if self.fault == "first":
            return REFUSED
        if self.protocol in RESET_CODES:
            return STREAM_RESET
        if self.promise:
            return SHORT_BODY
        return MISSING_LAST_CHUNK if self.protocol == "h11" else CONNECTION_RESET

    @property
    def status(self) -> int:
        return 500 if self.wire == REFUSED else 200

    @property
    def signal_out(self) -> str:
        """What the record says was put on the wire."""
        whole = self.wire in (GOOD, REFUSED)
        if self.protocol in RESET_CODES:
            return "end_stream" if whole else f"reset_stream:{RESET_CODES[self.protocol]}"
        if self.wire == REFUSED or (whole and self.promise):
            return "exact_length"
        if whole and self.protocol == "h11":
            return "last_chunk"
        if whole:
            return "close_notify" if self.tls else "fin"
        return self.wire.replace(" ", "_").replace("connection_reset", "reset_connection")


def cases(ways: list[tuple[str, bool]]) -> list[Case]:
    """Every case over these ways: (protocol, TLS)."""
    return [
        Case(fault, protocol, tls, promise, size, *SIZES[size])
        for (protocol, tls), fault, promise, size in product(ways, FAULTS, (True, False), SIZES)
    ]


def _letters(length: int) -> bytes:
    state = 0x2545F491
    letters = bytearray(length)
    for at in range(length):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        letters[at] = 97 + state % 26
    return bytes(letters)


LARGEST = 4_700_000
_ALL = b""


def octets(length: int) -> bytes:
    """The first octets of the body that the server's script produces (`tests/support/script.rs`)."""
    global _ALL
    if len(_ALL) < length:
        _ALL = _letters(length)
    return _ALL[:length]
