"""Pages of parts: what `crates/endwell/examples/parts.rs` is asked for, and what must come of it.

A page here is a heading, parts of a line each, and an end. The octets, the ending, the record and what a person sees are told
apart from the library: nothing of it is asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from cases import GOOD, MISSING_LAST_CHUNK, REFUSED, STREAM_RESET
from server import Server, built

ORDERS = ("in", "out")
WAYS = (("h11", False), ("h2", True))
# What the work of a part does: how it fails, as the record calls it; None: not at all.
BEHAVIOURS = {
    "ok": None,
    "never": None,
    "nested": None,
    "list": None,
    "error": "producer_error",
    "panic": "producer_panicked",
    "timeout": "part_timeout",
    "catchpanic": "producer_error",
}
WORST = {"note": 0, "degrading": 1, "fatal": 2}
HEAD = b"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Parts</title>\n"
SCRIPTS = (
    b"<script nonce=\"cGFydHM=\">window.seen=['inline'];window.problems=[];addEventListener('load',()=>seen.push('load'));"
    b"addEventListener('DOMContentLoaded',()=>seen.push('ready'));addEventListener('error',e=>problems.push(String(e.message)));"
    b"addEventListener('securitypolicyviolation',e=>problems.push('csp '+e.violatedDirective));</script>"
    b'<script nonce="cGFydHM=" async src="/seen/async.js"></script><script nonce="cGFydHM=" defer src="/seen/defer.js"></script>'
    b"<script nonce=\"cGFydHM=\" type=module>seen.push('module')</script>\n"
)
HEADING = b"<body><h1>Parts</h1>\n"
END = b"<p id=end>The end\n"
FOOT = b"</body></html>\n"
REDIRECT = b'<script>location.replace("%b")</script><meta http-equiv="refresh" content="0;url=%b">'


class Parts(Server):
    """The example, started once."""

    def __init__(self, _folder):
        super().__init__([built() / "examples" / "parts"])


@dataclass(frozen=True)
class Part:
    """A part; `delay` in milliseconds, from when it is declared."""

    name: str
    severity: str
    behaviour: str
    delay: int = 0
    # Said by the example itself: parts inside of a part, or items of a list.
    inside: tuple["Part", ...] = ()

    @staticmethod
    def nested(name: str, severity: str, delay: int) -> "Part":
        """With two inside, of which one fails with this severity."""
        inside = Part("inside", "note", "ok", 20), Part("broken", severity, "error", 40)
        return Part(name, severity, "nested", delay, inside)

    @staticmethod
    def list(name: str, severity: str, delay: int) -> "Part":
        """With three items, of which the second has a part that fails with this severity."""
        items = (
            Part(f"item{number}", severity if number == 2 else "note", "error" if number == 2 else "ok", delay)
            for number in (1, 2, 3))
        return Part(name, severity, "list", delay, tuple(items))

    @property
    def argument(self) -> str:
        return f"{self.name}:{self.severity}:{self.behaviour}:{self.delay}"

    @property
    def kind(self) -> str | None:
        return BEHAVIOURS[self.behaviour]

    def settled(self, since: int = 0) -> float:
        """When its own work is over, in milliseconds; a list is from the beginning."""
        return inf if self.behaviour == "never" else since + (0 if self.behaviour == "list" else self.delay)

    def failures(self, since: int = 0, prefix: str = "") -> list[tuple[float, str, str, str]]:
        """When which fails, with its severity and kind."""
        at, name = self.settled(since), prefix + self.name
        found = [] if self.kind is None else [(at, name, self.severity, self.kind)]
        if self.behaviour == "catchpanic":
            found.append((at, name, max(self.severity, "degrading", key=WORST.get), "producer_panicked"))
        for number, part in enumerate(self.inside, 1):
            within = f"{name}[{number}]/" if self.behaviour == "list" else f"{name}/"
            found += part.failures(at, within)
        return found


class Ends(Exception):
    """The page ends here."""


@dataclass(frozen=True)
class Case:
    """A page, and how it is asked for."""

    name: str
    parts: tuple[Part, ...]
    order: str = "in"
    protocol: str = "h11"
    tls: bool = False
    # What is said of caches: `public` may be kept for ten minutes, `private` must be asked for anew.
    cache: str = "private"
    # The head waits so long for parts that may be fatal.
    hold: int = 0
    # With scripts of all kinds, and a policy that lets none run but those.
    scripts: bool = False
    redirect: str = ""
    # Asked for as a browser asks for a document.
    document: bool = False

    def __str__(self) -> str:
        way = self.protocol + ("-tls" if self.tls else "")
        return f"{way}/{self.order}/{self.cache}/{self.name}"

    def target(self, id: int) -> str:
        more = "&scripts=1&csp=nonce" * self.scripts + f"&redirect={self.redirect}" * bool(self.redirect)
        parts = ",".join(part.argument for part in self.parts)
        return f"/page?id={id}&order={self.order}&cache={self.cache}&hold={self.hold}&parts={parts}{more}"

    @property
    def ends_at(self) -> float:
        """When a part is fatal."""
        every = [failure for part in self.parts for failure in part.failures()]
        return min((at for at, _, severity, _ in every if severity == "fatal"), default=inf)

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """What the record lists: name, severity, kind. Those after the end of the page do not happen."""
        every = [failure for part in self.parts for failure in part.failures()]
        return [tuple(failure) for at, *failure in sorted(every, key=lambda one: one[0]) if at <= self.ends_at]

    @property
    def worst(self) -> tuple[str, str, str] | None:
        """The failure that decides: the first of the worst; None: nothing failed."""
        return max(self.failures, key=lambda failure: WORST[failure[1]], default=None)

    @property
    def ending(self) -> str:
        severity = self.worst and self.worst[1]
        return {None: "complete", "note": "complete", "degrading": "degraded", "fatal": "failed"}[severity]

    @property
    def refused(self) -> bool:
        """Whether it fails before its first octet."""
        return self.ends_at <= self.hold

    @property
    def wire(self) -> str:
        if self.refused:
            return REFUSED
        if self.ending == "complete" or (self.ending == "degraded" and self.document and self.cache == "private"):
            return GOOD
        return STREAM_RESET if self.protocol == "h2" else MISSING_LAST_CHUNK

    @property
    def status(self) -> int:
        return 500 if self.refused else 200

    @property
    def signal_out(self) -> str:
        if self.protocol == "h2":
            return "reset_stream:0x2" if self.wire == STREAM_RESET else "end_stream"
        signals = {GOOD: "last_chunk", REFUSED: "exact_length", MISSING_LAST_CHUNK: "missing_last_chunk"}
        return signals[self.wire]

    @property
    def octets(self) -> bytes:
        """What must arrive, when all that came stands in its place."""
        page = [HEAD, SCRIPTS * self.scripts, HEADING]
        try:
            for part in self.parts:
                self._write(part, 0, page)
            page.append(END)
            if self.ends_at == inf:
                page.append(FOOT)
        except Ends:
            pass
        if self.redirect and self.ending == "failed":
            # The octets of the page so far end between two tags.
            redirect = REDIRECT.replace(b"<script>", b'<script nonce="cGFydHM=">' if self.scripts else b"<script>")
            page.append(redirect % (self.redirect.encode(), self.redirect.encode()))
        return b"".join(page)

    def _write(self, part: Part, since: int, page: list[bytes]) -> None:
        name, at = part.name.encode(), part.settled(since)
        if at > self.ends_at or at == inf:
            if self.order == "in":
                raise Ends
            page.append(b"<p class=placeholder>%b is on its way</p>" % name)
            return
        if part.kind is not None:
            if part.behaviour != "catchpanic":
                page.append(b'<p id="%b" class=fallback>%b cannot be shown now</p>' % (name, name))
            if part.severity == "fatal" and self.order == "in":
                raise Ends
            return
        if part.behaviour == "list":
            page.append(b"<ul>\n")
            for item in part.inside:
                page.append(b"<li>")
                self._write(item, at, page)
                page.append(b"</li>\n")
            page.append(b"</ul>\n")
            return
        page.append(b'<p id="%b" class=content>%b is here</p>\n' % (name, name))
        for inner in part.inside:
            self._write(inner, at, page)


def fails(behaviour: str, severity: str) -> tuple[Part, ...]:
    """A page with one part that fails, after those beside it have come."""
    return Part("first", "degrading", "ok", 20), Part("second", severity, behaviour, 60), Part("third", "degrading", "ok")


# What happens in each page, by its name.
PAGES = {
    "good": (Part("first", "degrading", "ok", 30), Part("second", "fatal", "ok"), Part("third", "note", "ok", 10)),
    **{
        f"{severity}-{behaviour}": fails(behaviour, severity)
        for severity in WORST
        for behaviour in ("error", "panic", "timeout", "catchpanic")
    },
    "several": (
        Part("first", "note", "error", 50), Part("second", "degrading", "panic"), Part("third", "note", "timeout", 70),
        Part("fourth", "degrading", "ok", 20)),
    "several-fatal": (
        Part("first", "note", "error"), Part("second", "degrading", "error", 20), Part("third", "fatal", "error", 60),
        Part("fourth", "degrading", "never"), Part("fifth", "fatal", "ok")),
    **{f"nested-{severity}": (Part.nested("outer", severity, 10), Part("last", "note", "ok")) for severity in WORST},
    **{f"list-{severity}": (Part.list("items", severity, 30), Part("last", "note", "ok")) for severity in ("note", "degrading")},
}


def resolve(page: bytes) -> bytes:
    """What a browser makes of a page whose parts came out of order: each content in its place, without what put it there.

    Everything that is not known as such stays where it is, so that an octet too many or too few is seen.
    """
    page = re.sub(rb"(<script[^>]*>)function endwell\(.*?\}endwell\(", rb"\1endwell(", page, count=1, flags=re.DOTALL)
    fills = re.compile(
        rb'(?:<template id="endwell-(\d+)-new">((?:(?!</template><script)[\s\S])*)</template>)?<script[^>]*>endwell\((\d+),([01])\)</script>')
    started = set()
    while found := fills.search(page):
        named, content, place, last = found.groups()
        if named not in (None, place):
            raise ValueError(f"content for place {named.decode()} is moved to {place.decode()}")
        page = page[:found.start()] + page[found.end():]
        mark, close = b'<template id="endwell-%b"></template>' % place, b'<template id="endwell-%b-end"></template>' % place
        end = page.find(close)
        start = end if place in started else page.find(mark)
        if not 0 <= start <= end:
            raise ValueError(f"there is no place {place.decode()} before what comes for it")
        started.add(place)
        # The end stays for what is still to come.
        rest = page[end + len(close):] if last == b"1" else page[end:]
        page = page[:start] + (content or b"") + rest
    # Places whose content did not come.
    return re.sub(rb'<template id="endwell-\d+(-end)?"></template>', b"", page)
