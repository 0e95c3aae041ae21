"""Pages of parts in Chromium and Firefox: what a person sees, what runs, what a script of the page gets.

A document that no cache may keep ends in order although a part failed, as a browser would not run all of its scripts otherwise; one that
caches may keep is whole, and broken at its end. A fatal part leads to an error page. Under a policy that lets only scripts with the page's nonce
run, nothing is complained about. With ENDWELL_PEERS_PICTURES=FOLDER a screenshot of each is put there.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from cases import GOOD
from parts import ORDERS, PAGES, WAYS, Case, Part, Parts, resolve

from . import REPEATS, Peers, Test, Wrong

BROWSERS = ("chromium-parts", "firefox-parts")
# What a browser makes of a document that breaks behind its last octet: its readyState, and whether modules still run.
BROKEN = {"chromium-parts": ("loading", False), "firefox-parts": ("interactive", True)}
# Which shows the Server-Timing of trailers to scripts, and asks for trailers; what is said here is measured, and fails when it changes.
READS_TRAILERS = {("firefox-parts", "h2")}
# Several that come late, and not in their order.
JUMBLED = (
    Part.nested("slow", "degrading", 200),
    Part("lost", "degrading", "error", 150),
    Part("quick", "note", "ok"),
    Part.list("items", "note", 120),
    Part("late", "note", "timeout", 100),
    Part("last", "degrading", "ok", 50),
)
GOOD = Part("slow", "degrading", "ok", 200), Part("quick", "note", "ok"), Part("last", "fatal", "ok", 100)


# What there is of it without the scripts that put the rest into its place.
AT_ONCE = [
    "slow is on its way", "lost is on its way", "quick is here", "item1 is on its way", "item2 is on its way", "item3 is on its way",
    "late is on its way", "last is on its way",
]


def tests(peers: Peers) -> list[Test]:
    found = []
    for browser in BROWSERS:
        for protocol, tls in WAYS:
            for order in ORDERS:
                way = {"order": order, "protocol": protocol, "tls": tls, "scripts": True}
                for name, page, look in (
                    ("good", Case("good", GOOD, **way), whole),
                    ("good-public", Case("good", GOOD, cache="public", **way), whole),
                    ("noted", Case("noted", PAGES["note-error"], **way), whole),
                    ("degraded", Case("degraded", JUMBLED, **way), whole),
                    ("degraded-public", Case("degraded", JUMBLED, cache="public", **way), broken),
                    ("fatal", Case("fatal", PAGES["fatal-error"], redirect="/elsewhere", **way), led_away),
                    ("no-scripts", Case("no-scripts", JUMBLED, **way), without_scripts),
                    ("fetch-good", Case("good", GOOD, **way), fetched),
                    ("fetch-degraded", Case("degraded", JUMBLED, **way), fetched),
                    ("fetch-degraded-public", Case("degraded", JUMBLED, cache="public", **way), fetched),
                    ("fetch-fatal", Case("fatal", PAGES["fatal-error"], **way), fetched),
                ):
                    path = f"{browser}/{protocol}{'-tls' if tls else ''}/{order}/{name}"
                    found.append(Test(path, browser, lambda b=browser, c=page, l=look, n=path: check(peers, b, c, l, n)))
    return found


def check(peers: Peers, browser: str, page: Case, look, name: str) -> None:
    page = replace(page, document=look is not fetched)
    for left in reversed(range(REPEATS)):
        wrong = once(peers, browser, page, look, name)
        if not wrong:
            return
        # A browser that the machine held back for longer than the grace drops what came before the break. How long that was is
        # not known of its many processes.
        if not left or page.wire == GOOD:
            raise Wrong("\n".join(wrong))
        peers.repeated.append(f"{name}: it waited an unknown time for a core ({wrong[0][:200]})")


def once(peers: Peers, browser: str, page: Case, look, name: str) -> list[str]:
    server = peers.once(Parts)
    id = peers.ids.next()
    url = server.url(page.tls) + page.target(id)
    pictures = os.environ.get("ENDWELL_PEERS_PICTURES")
    asked = {"picture": str(Path(pictures) / f"{name.replace('/', '-')}.png")} if pictures else {}
    wrong = look(peers.clients[browser], page, url, asked)
    ends = {(record["ending"], record["signal_out"]) for record in server.records(id)}
    due = {(page.ending, page.signal_out)}
    # A browser that is led elsewhere may leave before the reset.
    if ends != due and not (look is led_away and ends == {("failed", "none")}):
        wrong.append(f"the records say {sorted(ends)}, {sorted(due)} due")
    return [*wrong, f"asked for: {url}"] if wrong else []


def lines(page: Case) -> list[str]:
    """What a person reads of the parts, from top to bottom."""
    return re.findall(r"<p [^>]*>([^<]*)</p>", page.octets.decode())


def see(client, url: str, **asked) -> tuple[dict, list[str]]:
    seen, told = client.look(url, look="document", **asked)
    return told, [f"{seen.error}: {seen.message}"] if seen.error else []


def judge(page: Case, told: dict, due: list[str]) -> list[str]:
    """What every look at a document must find."""
    wrong = []
    shown = [box["text"] for box in told["boxes"]]
    if shown != due:
        wrong.append(f"it shows {shown}, {due} due")
    tops = [box["top"] for box in told["boxes"]]
    if tops != sorted(tops) or any(one["bottom"] > next["top"] for one, next in zip(told["boxes"], told["boxes"][1:])):
        wrong.append(f"the parts do not stand below one another: {tops}")
    if told["overflows"]:
        wrong.append("it is wider than the window")
    violations = [one for one in (told["seen"] or {}).get("violations", []) if "favicon.ico" not in one]
    if violations:
        wrong.append(f"the policy was violated: {violations}")
    return wrong


def complaints(told: dict, *known: str) -> list[str]:
    """What the console said, but for what is due."""
    unknown = [one for one in told["complaints"] if not any(word in one for word in ("favicon.ico", *known))]
    return [f"the console said: {unknown}"] if unknown else []


def whole(client, page: Case, url: str, asked: dict) -> list[str]:
    """The page is there, has loaded, and its scripts of every kind have run."""
    due = timing(client, page)
    told, wrong = see(client, url, until="#end", state="complete", events=["load"], timing=due, **asked)
    if wrong:
        return wrong
    wrong = judge(page, told, lines(page)) + complaints(told)
    if [one["error"] for one in told["ended"]] != [None]:
        wrong.append(f"the answer ended {told['ended']}")
    if told["state"] != "complete" or "load" not in told["seen"]["events"]:
        wrong.append(f"it is {told['state']}, events {told['seen']['events']}")
    if {*told["ran"]} != {"inline", "async", "defer", "module", "ready", "load"}:
        wrong.append(f"of its scripts ran {told['ran']}")
    if (names := sorted(one["name"] for one in told["timing"])) != due:
        wrong.append(f"Server-Timing has {names}, {due} due")
    return wrong


def timing(client, page: Case) -> list[str]:
    """The names that Server-Timing has of what failed, where a browser takes trailers and shows them."""
    if (client.name, page.protocol) not in READS_TRAILERS:
        return []
    return sorted(re.sub(r"[^\w.-]", "_", name) for name, *_ in page.failures)


def broken(client, page: Case, url: str, asked: dict) -> list[str]:
    """The page is whole to a person; the browser knows that it is not."""
    state, runs = BROKEN[client.name]
    told, wrong = see(client, url, until="#end", state=state, events=["DOMContentLoaded"] * runs, **asked)
    if wrong:
        return wrong
    wrong = judge(page, told, lines(page)) + complaints(told, "net::ERR_")
    if len(told["ended"]) != 1 or told["ended"][0]["error"] is None:
        wrong.append(f"the answer ended {told['ended']}, which is no error")
    if told["state"] != state or "load" in told["seen"]["events"]:
        wrong.append(f"it is {told['state']}, events {told['seen']['events']}")
    if {*told["ran"]} != {"inline", "async", *(["defer", "module", "ready"] if runs else [])}:
        wrong.append(f"of its scripts ran {told['ran']}")
    return wrong


def led_away(client, page: Case, url: str, asked: dict) -> list[str]:
    """The reader ends on the error page."""
    told, wrong = see(client, url, until="h1", lands="/elsewhere", state="complete", **asked)
    if wrong:
        return wrong
    wrong = complaints(told, "net::ERR_")
    if not told["url"].endswith("/elsewhere") or told["text"].strip() != "Elsewhere":
        wrong.append(f"{told['url']} shows {told['text'][:200]!r}")
    return wrong


def without_scripts(client, page: Case, url: str, asked: dict) -> list[str]:
    """Who runs no scripts reads all of it in order, and out of order what was there at once."""
    told, wrong = see(client, url, until="#end", state="complete", scripts=False, **asked)
    return wrong or judge(page, told, lines(page) if page.order == "in" else AT_ONCE) + complaints(told)


def fetched(client, page: Case, url: str, _asked: dict) -> list[str]:
    """A script gets every octet, and an error unless the page is good."""
    seen, told = client.look(url, look="fetch", **{"from": "/elsewhere"})
    if seen.error:
        return [f"{seen.error}: {seen.message}"]
    wrong = []
    good = page.ending == "complete"
    for how in ("error", "whole"):
        if (told[how] is None) != good:
            wrong.append(f"{how}: {told[how]}, and the page is {page.ending}")
    if resolve(told["text"].encode()) != page.octets:
        wrong.append(f"it got {told['text'][-300:]!r}, {page.octets[-300:]!r} due")
    return wrong
