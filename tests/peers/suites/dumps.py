"""Programs that answer, from `endwell serve`: a dump whose database goes away is a dump that failed.

A PostgreSQL cluster of our own, whose backend is terminated while `pg_dump` writes; a damaged SQLite database.
Every octet that the program wrote arrives, curl ends in its own error, and the record says why.
"""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import expectations
from cases import CONNECTION_RESET, MISSING_LAST_CHUNK, STREAM_RESET
from clients import DEADLINE, Client
from clients.curl import FLAGS
from clients.stalled import Stalled, stalled
from server import ROOT, Server, gateway, now

from . import REPEATS, STARVED_MS, Peers, Test, Wrong

CLIENT = "curl"
# The rows are more than all that lies between pg_dump and a client that does not read.
ROWS = 200_000
# Nobody: PostgreSQL refuses to run as root.
NOBODY = 65534
RECIPE = ROOT / "packaging" / "commands" / "sqlite-dump"
WIRE = {"h10": CONNECTION_RESET, "h11": MISSING_LAST_CHUNK, "h2": STREAM_RESET}


class Dumps:
    """The databases, and `endwell serve` in front of programs that dump them."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self._bin = postgres()
        self._data = folder / "data"
        self._socket = folder / "socket"
        for path in (self._data, self._socket):
            path.mkdir()
        if os.geteuid() == 0:
            folder.parent.chmod(0o755)
            for path in (self._data, self._socket):
                os.chown(path, NOBODY, NOBODY)
        self._started = False
        self._run("initdb", "-D", self._data, "-U", "endwell", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses= -k {self._socket} -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-l", self._data / "log", "-o", options, "-w", "start")
        self._started = True
        self.sql("create table rows as select n, repeat(md5(n::text), 4) as text"
                 f" from generate_series(1, {ROWS}) as n")
        good, damaged = folder / "good.db", folder / "damaged.db"
        fill(good)
        shutil.copy(good, damaged)
        with damaged.open("r+b") as file:
            file.seek(damaged.stat().st_size // 3 // 4096 * 4096)
            file.write(b"\xff" * 8192)
        self.pg_dump = f"{self._bin / 'pg_dump'} --host={self._socket} --username=endwell --no-password postgres"
        empty = folder / "empty"
        empty.mkdir()
        command = [gateway(), "serve", empty, "--tls-self-signed", "--log-format", "json"]
        for scheme in ("http", "https"):
            command += ["--listen", f"{scheme}://127.0.0.1:0"]
        for at in (
            f"/rows.sql={self.pg_dump}",
            f"/good.sql={RECIPE} {good}",
            f"/damaged.sql={RECIPE} {damaged}",
            f"/none.sql={RECIPE} {folder / 'none.db'}",
            f"/trap.sql=sqlite3 -readonly {damaged} .dump",
        ):
            command += ["--command", at]
        self.server = Server(command)

    def _run(self, program: str, *arguments) -> str:
        """Runs a program of PostgreSQL as somebody who may."""
        command = [str(self._bin / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        # pg_ctl leaves a server behind that keeps what it was given: no pipe, or it would be read for ever.
        with (self._data.parent / "said").open("wb+") as said:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=6 * DEADLINE,
                cwd=self._data, env={**os.environ, "HOME": str(self._data), "LC_ALL": "C.UTF-8"})
            said.seek(0)
            text = said.read().decode()
        if done.returncode:
            raise Wrong(f"{program} ended with {done.returncode}: {text}")
        return text

    def sql(self, text: str, database: str = "postgres") -> str:
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self._socket, "-U", "endwell",
            "-d", database, "-c", text).strip()

    def restored(self, dump: Path) -> str:
        """What a dump holds, as a new database tells it."""
        name = f"restored_{now():.6f}".replace(".", "_")
        self.sql(f"create database {name}")
        self._run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self._socket, "-U", "endwell", "-d", name,
                  "-f", dump)
        return self.sql("select count(*), sum(n), md5(string_agg(text, '' order by n)) from rows", name)

    def terminate(self) -> None:
        """Ends the backend of the one pg_dump that runs."""
        ended = self.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                         " where application_name = 'pg_dump'")
        if ended != "1":
            raise Wrong(f"{ended} backends of pg_dump, 1 due")

    def stop(self) -> None:
        self.server.stop()
        if self._started:
            self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")


def postgres() -> Path:
    """The folder of PostgreSQL's programs; Debian has the server's outside of PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=os.path.getmtime)
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        raise Wrong("MISSING: initdb of PostgreSQL is not installed")
    return Path(initdb).resolve().parent


def fill(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table rows (n integer primary key, text)")
        database.executemany("insert into rows (text) values (?)", ((f"{n} " * 40,) for n in range(20_000)))
    database.close()


def tests(peers: Peers) -> list[Test]:
    curl = peers.clients[CLIENT]
    all_of = [("sqlite-whole", sqlite_whole), ("pg_dump-whole", whole), ("pg_dump-client-leaves", leaves)]
    for protocol, tls in FLAGS:
        way = protocol + ("-tls" if tls else "")
        all_of.append((f"pg_dump-backend-terminated/{way}", lambda p, c, w=(protocol, tls): terminated(p, c, w)))
        all_of.append((f"sqlite-damaged/{way}", lambda p, c, w=(protocol, tls): damaged(p, c, w)))
    all_of += [("sqlite-none", none), ("sqlite-by-itself", trap)]
    return [Test(f"dumps/{name}", CLIENT, lambda r=run: r(peers, curl)) for name, run in all_of]


def download(peers: Peers, curl: Client, path: str, way: tuple[str, bool], meanwhile=lambda: None) -> tuple[Stalled, Path, dict]:
    """What curl saved, and the record."""
    dumps = peers.once(Dumps)
    id = peers.ids.next()
    saved = curl.folder / "dump"
    url = f"{dumps.server.url(way[1])}{path}?id={id}"
    seen = stalled(curl, [*FLAGS[way], url], meanwhile, ["cat"], saved)
    records = dumps.server.records(id)
    if len(records) != 1:
        raise Wrong(f"{len(records)} records of one request\nasked for: {url}")
    return seen, saved, records[0]


def failed(peers: Peers, curl: Client, path: str, way: tuple[str, bool], message: str, meanwhile=lambda: None) -> bytes:
    """Downloads what fails; gives what arrived, which is all that was produced."""
    for left in reversed(range(REPEATS)):
        seen, saved, record = download(peers, curl, path, way, meanwhile)
        octets = saved.stat().st_size
        lost = record["octets_sent"] - octets
        if lost > 0 and left and seen.starved_ms >= STARVED_MS and way[0] != "h11":
            peers.repeated.append(f"dumps{path}: it waited {seen.starved_ms:.0f} ms for a core")
            continue
        break
    wrong = []
    due = expectations.ERRORS["curl"][WIRE[way[0]]]
    tls_end = way == ("h10", True)
    if f"exit {seen.curl}" != due and not (tls_end and seen.curl != 0):
        wrong.append(f"curl exit {seen.curl}, {due!r} due: {seen.said}")
    if lost or record["octets_produced"] != octets:
        wrong.append(f"{octets} octets saved of {record['octets_produced']} produced, {record['octets_sent']} sent")
    if (record["ending"], record["error_type"]) != ("failed", "command_failed") or message not in record["message"]:
        wrong.append(f"not failed as it should, by {message!r}")
    if wrong:
        raise Wrong("\n".join([*wrong, f"the record: {record}"]))
    return saved.read_bytes()


def whole(peers: Peers, curl: Client) -> None:
    seen, saved, record = download(peers, curl, "/rows.sql", ("h11", False))
    if (seen.curl, record["ending"]) != (0, "complete"):
        raise Wrong(f"curl exit {seen.curl}: {seen.said}\nthe record: {record}")
    dumps = peers.once(Dumps)
    due = dumps.sql("select count(*), sum(n), md5(string_agg(text, '' order by n)) from rows")
    restored = dumps.restored(saved)
    if restored != due:
        raise Wrong(f"the dump restores to {restored}, {due} due")


def terminated(peers: Peers, curl: Client, way: tuple[str, bool]) -> None:
    dumps = peers.once(Dumps)
    got = failed(peers, curl, "/rows.sql", way, "pg_dump ended with exit status 1", dumps.terminate)
    if b"database dump complete" in got or not got.startswith(b"--\n-- PostgreSQL database dump\n"):
        raise Wrong(f"{len(got)} octets that are no part of a dump")


def leaves(peers: Peers, curl: Client) -> None:
    """The client is ended in the middle: so is the query, in the database."""
    dumps = peers.once(Dumps)
    url = f"{dumps.server.url(False)}/rows.sql?id={peers.ids.next()}"
    client = subprocess.Popen(["curl", "-qsS", url], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    client.stdout.read(1)
    running = "select count(*) from pg_stat_activity where application_name = 'pg_dump'"
    before = dumps.sql(running)
    client.kill()
    client.wait()
    until = now() + DEADLINE
    while dumps.sql(running) != "0":
        if now() > until:
            raise Wrong("the backend of a client that has left still runs")
        time.sleep(0.05)
    if before != "1":
        raise Wrong(f"{before} backends while it ran, 1 due")


def sqlite_whole(peers: Peers, curl: Client) -> None:
    seen, saved, record = download(peers, curl, "/good.sql", ("h11", False))
    if (seen.curl, record["ending"]) != (0, "complete"):
        raise Wrong(f"curl exit {seen.curl}: {seen.said}\nthe record: {record}")
    with sqlite3.connect(":memory:") as database:
        database.executescript(saved.read_text())
        rows = database.execute("select count(*), sum(length(text)) from rows").fetchone()
    due = (20_000, sum(40 * len(f"{n} ") for n in range(20_000)))
    if rows != due:
        raise Wrong(f"the dump restores to {rows}, {due} due")


def damaged(peers: Peers, curl: Client, way: tuple[str, bool]) -> None:
    got = failed(peers, curl, "/damaged.sql", way, "the dump is not whole: its last line is ROLLBACK")
    if not got.endswith(b"ROLLBACK; -- due to errors\n"):
        raise Wrong(f"{len(got)} octets, and not to the end: {got[-100:]!r}")


def none(peers: Peers, curl: Client) -> None:
    """A database that is not there: a 500, before the first octet."""
    dumps = peers.once(Dumps)
    url = f"{dumps.server.url(False)}/none.sql?id={peers.ids.next()}"
    done = subprocess.run(
        ["curl", "-qsS", "-w", "%{http_code}", "-o", os.devnull, url], capture_output=True, check=False,
        timeout=DEADLINE)
    if done.stdout != b"500":
        raise Wrong(f"status {done.stdout!r}, 500 due")


def trap(peers: Peers, curl: Client) -> None:
    """Why the recipe is needed: sqlite3 itself calls a damaged database whole."""
    seen, saved, record = download(peers, curl, "/trap.sql", ("h11", False))
    ends = saved.read_bytes().endswith(b"ROLLBACK; -- due to errors\n")
    if (seen.curl, record["ending"], ends) != (0, "complete", True):
        raise Wrong(f"sqlite3 tells it by itself now: take the recipe away\nthe record: {record}")
