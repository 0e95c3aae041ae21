"""The clients of the soak: each asks at random, and notes what it saw of every request."""

import json
import random
import ssl
import time

from . import versions
from .http import Http1, Http2, Plan, close, connect

# Names and lengths of the files that stay as they are.
STEADY = {"s0": 0, "s1": 1, "s1k": 1024, "s100k": 100_000, "s1m": 1 << 20, "s8m": 8 << 20}
# Files that are replaced, rewritten and cut all the time.
MOVING = ["m0", "m1", "m2", "m3"]
MOVING_OCTETS = (1 << 20, 6 << 20)
# Requests on one connection at most.
KEPT = 12
# Weights of what a client is like: reads all; reads slowly; leaves in the middle; asks and never reads.
MANNERS = (("good", 70), ("slow", 12), ("leaves", 14), ("stalls", 4))


class Client:
    """One client after the other, until the time is over."""

    def __init__(self, name, ports, notes, seed):
        self.name, self.ports, self.notes = name, ports, notes
        self.random, self.count = random.Random(seed), 0

    def run(self, until):
        while time.time() < until:
            kind = self.random.choice(("1.0", "1.1", "1.1", "h2c", "tls 1.1", "tls h2", "tls h2"))
            manner = self.random.choices(*zip(*MANNERS))[0]
            try:
                self._connection(kind, manner, until)
            except (OSError, ssl.SSLError) as error:
                # No connection, so no request; a server that accepts no more shows in the count.
                self.notes.write(json.dumps({"unconnected": str(error)}) + "\n")

    def _connection(self, kind, manner, until):
        tls = kind.startswith("tls")
        h2 = kind.endswith(("h2", "h2c"))
        connection = connect(
            self.ports["tls" if tls else "plain"], (["h2"] if h2 else ["http/1.1"]) if tls else None)
        abrupt = self.random.random() < 0.5
        try:
            if manner == "stalls":
                self._stall(connection, kind, until)
            elif h2:
                self._h2(Http2(connection, "https" if tls else "http"), kind, manner, abrupt, until)
            else:
                version = "1.0" if kind == "1.0" else "1.1"
                self._h1(Http1(connection, version), kind, manner, abrupt, until)
        finally:
            close(connection, abrupt and manner in ("leaves", "stalls"))

    def _plan(self, manner, abrupt):
        if manner == "slow":
            return Plan(step=self.random.choice((4096, 65536)), pause=0.002)
        if manner == "leaves":
            return Plan(step=65536, leave_at=self.random.randrange(1, 3 << 20), abrupt=abrupt)
        return Plan()

    def _request(self, manner):
        """(tag, method, path, fields, what a right answer is)."""
        self.count += 1
        tag = f"{self.name}-{self.count}"
        big = manner in ("leaves", "stalls")
        dice = self.random.random()
        if dice < 0.45 or big:
            name = self.random.choice(MOVING if dice < 0.3 else ["s1m", "s8m"] if big else list(STEADY))
            return tag, "GET", f"/{name}?n={tag}", [], ("file", name)
        if dice < 0.6:
            return tag, "GET", f"/{self.random.choice(MOVING)}?n={tag}", [], ("file", "moving")
        name = self.random.choice(list(STEADY))
        if dice < 0.7:
            return tag, "HEAD", f"/{name}?n={tag}", [], ("status", 200)
        if dice < 0.8:
            return tag, "GET", f"/{name}?n={tag}", [("If-None-Match", "*")], ("status", 304)
        if dice < 0.9:
            begin = self.random.randrange(0, 1 << 20)
            end = begin + self.random.randrange(0, 1 << 19)
            return tag, "GET", f"/s8m?n={tag}", [("Range", f"bytes={begin}-{end}")], ("part", begin, end + 1)
        if dice < 0.95:
            return tag, "GET", f"/missing?n={tag}", [], ("status", 404)
        return tag, "GET", f"/?n={tag}", [], ("status", 200)

    def _h1(self, http, kind, manner, abrupt, until):
        for _ in range(self.random.randrange(1, KEPT)):
            tag, method, path, fields, right = self._request(manner)
            seen = http.ask(method, path, [f"{name}: {value}" for name, value in fields],
                            self._plan(manner, abrupt))
            self._note(tag, kind, manner, seen, right)
            if not http.usable or time.time() > until:
                return

    def _h2(self, http, kind, manner, abrupt, until):
        for _ in range(self.random.randrange(1, KEPT // 2)):
            asked = [self._request(manner) for _ in range(self.random.choice((1, 1, 2, 4)))]
            answers = http.ask([one[1:4] for one in asked], self._plan(manner, abrupt))
            for (tag, _, _, _, right), seen in zip(asked, answers):
                self._note(tag, kind, manner, seen, right)
            if not http.usable or time.time() > until:
                return

    def _stall(self, connection, kind, until):
        """Asks and reads nothing; HTTP/1 only, where the request needs no answer to be sent."""
        if not kind.endswith(("1.0", "1.1")):
            return
        tag, method, path, _, _ = self._request("stalls")
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(max(0, min(self.random.uniform(0.1, 4), until - time.time())))
        self.notes.write(json.dumps({"tag": tag, "kind": kind, "manner": "stalls", "ending": "left"}) + "\n")

    def _note(self, tag, kind, manner, seen, right):
        wrong = None
        if seen.ending == "complete":
            wrong = self._judge(seen, right)
        note = {"tag": tag, "kind": kind, "manner": manner, "status": seen.status,
                "ending": seen.ending, "octets": len(seen.body)}
        if wrong:
            note["wrong"] = wrong
        self.notes.write(json.dumps(note) + "\n")

    @staticmethod
    def _judge(seen, right):
        """What is wrong with an answer that looks complete, or None."""
        what, *rest = right
        if what == "status":
            return None if seen.status == rest[0] else f"status {seen.status}, not {rest[0]}"
        if what == "part":
            begin, end = rest
            if seen.status != 206:
                return f"status {seen.status}, not 206"
            whole = versions.content(0, STEADY["s8m"])
            return None if seen.body == whole[begin:end] else "another part"
        if seen.status != 200:
            return f"status {seen.status}, not 200"
        if not versions.is_one_version(seen.body):
            return "octets of more than one version"
        name = rest[0]
        if name in STEADY and len(seen.body) != STEADY[name]:
            return f"{len(seen.body)} octets, not {STEADY[name]}"
        return None


def unsettle(folder, until, seed):
    """Replaces, rewrites and cuts the moving files while they are sent."""
    dice, version = random.Random(seed), 1
    sizes = {}
    while time.time() < until:
        name = dice.choice(MOVING)
        path, version = f"{folder}/{name}", version + 1
        what = dice.random()
        if what < 0.4 or name not in sizes:
            sizes[name] = dice.randrange(*MOVING_OCTETS)
            versions.replace(path, version, sizes[name])
        elif what < 0.7:
            versions.rewrite(path, version)
        else:
            sizes[name] = dice.randrange(sizes[name] // 4, sizes[name])
            versions.shorten(path, sizes[name])
            if sizes[name] < 65536:
                sizes.pop(name)
        time.sleep(dice.uniform(0.005, 0.08))
