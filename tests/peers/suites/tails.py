"""Reasons in band: what clients of event streams, of lines and a browser make of a body that says why it broke.

The routes are those of `crates/endwell/examples/{sse,ndjson,html}.rs`. Every client must see what was whole, then
the reason, then the break itself; a client that comes back must get each token once.
"""

from __future__ import annotations

import json

from . import REPEATS, STARVED_MS, Peers, Test, Wrong

BROWSER = "chromium-events"
TOKENS = ["What", " failed", " must", " not", " look", " whole", ",", " ever", ".", "\n"]
DIES_AT = 5
PROBLEM = {
    "title": "Bad Gateway",
    "status": 502,
    "ending": "failed",
    "error": "connection_terminated",
    "retry": "if_idempotent",
}
DETAIL = {**PROBLEM, "detail": "the model is being restarted"}
# What each client calls the break, over HTTP/1.1 and HTTP/2.
BREAKS = {
    "eventsource-parser": {"h11": "TypeError UND_ERR_SOCKET", "h2": "Error ERR_HTTP2_STREAM_ERROR"},
    "httpx-sse": {"h11": "RemoteProtocolError", "h2": "RemoteProtocolError"},
}
SIGNALS = {"h11": "missing_last_chunk", "h2": "reset_stream:0x2", "h3": "reset_stream:0x10c"}


def tests(peers: Peers) -> list[Test]:
    browser = peers.clients[BROWSER]
    found = []
    for protocol, tls in browser.speaks:
        way = f"{protocol}{'-tls' if tls and protocol != 'h3' else ''}"
        for path in ("/tokens", "/halves", "/axum"):
            found.append(test(peers, browser, path, protocol, tls, way, reconnects))
        found.append(test(peers, browser, "/page", protocol, tls, way, shows))
    for name in ("eventsource-parser", "httpx-sse"):
        client = peers.clients[name]
        for protocol, tls in client.speaks:
            way = f"{protocol}{'-tls' if tls else ''}"
            for path in ("/tokens", "/halves", "/axum", "/v1/chat/completions"):
                found.append(test(peers, client, path, protocol, tls, way, sees))
    client = peers.clients["httpx-sse"]
    for protocol, tls in client.speaks:
        way = f"{protocol}{'-tls' if tls else ''}"
        found.append(test(peers, client, "/rows", protocol, tls, way, reads_lines))
    return found


def test(peers: Peers, client, path: str, protocol: str, tls: bool, way: str, judge) -> Test:
    name = f"{client.name}/tail/{way}{path}"

    def run() -> None:
        for left in reversed(range(REPEATS)):
            id = peers.ids.next()
            url = f"{peers.server.url(tls)}{path}?id={id}"
            seen = client.fetch(url, protocol, tls)
            wrong = check(peers, client.name, path, protocol, seen, id, judge)
            if not wrong:
                return
            # A client that the machine held back for longer than the grace loses what came before the break. How long
            # that was is not known of a browser's many processes.
            waited = "an unknown time" if client.name == BROWSER else f"{seen.starved_ms:.0f} ms"
            if not left or (client.name != BROWSER and seen.starved_ms < STARVED_MS):
                break
            peers.repeated.append(f"{name}: it waited {waited} for a core ({wrong[0]})")
        raise Wrong("\n".join([*wrong, f"it got: {seen.error}: {seen.message}", f"asked for: {url}"]))

    return Test(name, client.name, run)


def check(peers: Peers, client: str, path: str, protocol: str, seen, id: int, judge) -> list[str]:
    try:
        told = json.loads(seen.message)
    except ValueError:
        return ["it told nothing"]
    wrong = judge(client, path, protocol, seen.error, told)
    records = peers.server.records(id)
    if path == "/page":
        # The browser is closed when the page has told its reader, which may be before the break.
        due, told = "failed", [record["ending"] for record in records]
    else:
        due, told = ("failed", SIGNALS[protocol]), [(record["ending"], record["signal_out"]) for record in records]
    # The first of them: a stream that was resumed has two.
    if told[:1] != [due]:
        wrong.append(f"records {told}, the first due is {due}")
    return wrong


def problem(path: str) -> dict:
    """axum's own events get the tail that fits their type: no text is told."""
    return PROBLEM if path == "/axum" else DETAIL


def judge_error(path: str, event: dict) -> list[str]:
    """The reason is the last line of the data, and all of it unless an event was cut."""
    before, _, last = event["data"].rpartition("\n")
    wrong = []
    if json.loads(last) != problem(path):
        wrong.append(f"the reason is {last}")
    cut = '{"token":' if path == "/halves" else ""
    if before != cut:
        wrong.append(f"before the reason stands {before!r}, {cut!r} due")
    return wrong


def tokens(events: list[dict]) -> list[str]:
    """What an application takes out of whole events."""
    return [json.loads(event["data"])["token"] for event in events if event["type"] == "message"]


def reconnects(_client, path: str, _protocol: str, error: str | None, fired: list[dict]) -> list[str]:
    """EventSource: five tokens, the reason, the loss, a second connection, the other five."""
    wrong = [] if error is None else [f"{error}"]
    kinds = [event["type"] for event in fired]
    due = ["open", *["message"] * DIES_AT, "error", "lost", "open", *["message"] * (10 - DIES_AT)]
    if kinds != due:
        return [*wrong, f"it fired {kinds}, {due} due"]
    if tokens(fired) != TOKENS:
        wrong.append(f"the tokens are {tokens(fired)}")
    reason = fired[due.index("error")]
    wrong += judge_error(path, reason)
    if reason["id"] != str(DIES_AT - 1):
        wrong.append(f"the last event ID is {reason['id']!r} after the reason")
    if fired[due.index("lost")]["state"] != 0:
        wrong.append("it does not reconnect")
    return wrong


def sees(client: str, path: str, protocol: str, error: str | None, events: list[dict]) -> list[str]:
    """A parser of events: what was whole, the reason, and the break of the transport."""
    wrong = []
    if error != BREAKS[client][protocol]:
        wrong.append(f"the break is {error!r}, {BREAKS[client][protocol]!r} due")
    events = [event for event in events if event["type"] != "retry"]
    if not events:
        return [*wrong, "no event"]
    whole, reason = events[:-1], events[-1]
    if reason["type"] != "error":
        return [*wrong, f"the last event is of type {reason['type']!r}"]
    if path == "/v1/chat/completions":
        got = [json.loads(event["data"])["choices"][0]["delta"]["content"] for event in whole]
        # Clients of the large APIs ignore the type of an event and look for this member.
        if "error" not in json.loads(reason["data"]):
            wrong.append("the data has no member `error`")
    else:
        got = tokens(whole)
    if got != TOKENS[:DIES_AT]:
        wrong.append(f"the tokens are {got}")
    return wrong + judge_error(path, reason)


def reads_lines(client: str, _path: str, protocol: str, error: str | None, lines: list[str]) -> list[str]:
    """A reader of lines: whole rows, the cut one that does not parse, the reason."""
    wrong = []
    if error != BREAKS[client][protocol]:
        wrong.append(f"the break is {error!r}, {BREAKS[client][protocol]!r} due")
    if len(lines) < 2:
        return [*wrong, f"{len(lines)} lines"]
    *rows, cut, reason = lines
    if [json.loads(row)["row"] for row in rows] != list(range(1000)):
        wrong.append(f"{len(rows)} rows")
    try:
        wrong.append(f"the cut row passes for {json.loads(cut)}")
    except ValueError:
        pass
    reason = json.loads(reason)
    if (reason["error"], reason["retry"], reason["detail"]) != ("producer_error", "safe", "ask again: Safe"):
        wrong.append(f"the reason is {reason}")
    return wrong


def shows(_client, _path: str, _protocol: str, error: str | None, page: dict) -> list[str]:
    """A browser: the page tells the person who reads it, under a policy that lets only its own scripts run."""
    wrong = [] if error is None else [f"{error}"]
    shown = "This page is not all there (failed): please load it again"
    if not page["shown"].startswith(shown) or "Order 3" not in page["shown"]:
        wrong.append(f"it shows {page['shown']!r}")
    if page["complaints"]:
        wrong.append(f"the policy stopped something: {page['complaints']}")
    return wrong
