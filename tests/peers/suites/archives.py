"""A folder that fails while it is downloaded as an archive, by `endwell serve`: nobody takes it for whole.

Every octet that was produced arrives, the record says failed, curl ends in its own error, and every reader
rejects what was saved; so does a reader at the end of a pipe, `curl -sf URL | tar x`.

How a fault is made at a known place: the first entry is larger than all that lies between server and client.
curl's output is not read at first, so the server stands in that entry, at the latest, when the fault is made in
the same entry ("inside") or in a later one, which then fails between entries.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import expectations
import otherwise
from cases import CONNECTION_RESET, MISSING_LAST_CHUNK, SHORT_BODY, STREAM_RESET
from clients import DEADLINE, FORMATS
from clients.archives import Archives
from clients.base import environment
from clients.curl import FLAGS
from clients.stalled import Stalled, stalled
from readers import remove, room
from server import now

from . import REPEATS, STARVED_MS, Peers, Test, Wrong

# Octets that do not compress, more than lies on the way. The buffers of both ends of loopback together hold less than
# 12 MiB; zstd with a worker for each core takes tens of MiB before the first octet comes out.
ON_THE_WAY = {"tar": 12 << 20, "tar.gz": 12 << 20, "tar.zst": 64 << 20, "zip": 12 << 20}
FIRST = random.Random(1).randbytes(max(ON_THE_WAY.values()))
SECOND = random.Random(2).randbytes(3 << 20)
# The files are no news: what was modified just now is looked at more often.
AGE = 3600 * 10**9


def plant(folder: Path, format: str) -> None:
    """Makes the folder whose download as such an archive is to fail."""
    (folder / "4-folder").mkdir(parents=True)
    (folder / "1-first").write_bytes(memoryview(FIRST)[:ON_THE_WAY[format]])
    (folder / "2-second").write_bytes(SECOND)
    (folder / "3-later").write_bytes(b"later" * 4000)
    for name in "abc":
        (folder / "4-folder" / name).write_bytes(name.encode() * 30_000)
    (folder / "5-last").write_bytes(b"last")
    past = os.stat(folder).st_mtime_ns - AGE
    for path in (*folder.rglob("*"), folder):
        os.utime(path, ns=(past, past))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """As many octets, others."""
    with path.open("r+b") as file:
        file.write(b"LATER")


# Name: what happens to the folder. `inside` an entry that is being sent, or `between` two.
FAULTS: dict[str, Callable[[Path], None]] = {
    "unreadable/between": lambda folder: (folder / "3-later").chmod(0),
    "vanishes/between": lambda folder: (folder / "3-later").unlink(),
    "shrinks/between": lambda folder: os.truncate(folder / "3-later", 10_000),
    "grows/between": lambda folder: append(folder / "3-later"),
    "changes/between": lambda folder: rewrite(folder / "3-later"),
    "folder-deleted/between": lambda folder: shutil.rmtree(folder / "4-folder"),
    "shrinks/inside": lambda folder: os.truncate(folder / "1-first", (folder / "1-first").stat().st_size - 1_000),
    "grows/inside": lambda folder: append(folder / "1-first"),
    "folder-deleted/inside": shutil.rmtree,
}
WAYS = list(FLAGS)
# What extracts from a pipe, for the readers that can. bsdtar takes a ZIP from its front, as a stream.
PIPED = {
    "tar": ["tar", "-x"],
    "tar.gz": ["tar", "-xz"],
    "tar.zst": ["tar", "-x", "--zstd"],
    "zip": ["bsdtar", "-xf", "-"],
}
UNCOMPRESS = {"tar.gz": ["gzip", "-dc"], "tar.zst": ["zstd", "-dcq"]}
# Archives with a Content-Length: of what is sent as it is, the length is known before.
PROMISED = ("tar", "zip")


def tests(peers: Peers) -> list[Test]:
    groups = [peers.clients[f"archives-{format}"] for format in FORMATS]
    return [
        Test(f"{group.name}/{name}", group.name, lambda g=group, r=run: r(peers, g))
        for group in groups
        for name, run in _of_group()
    ]


def _of_group() -> Iterator[tuple[str, Callable[[Peers, Archives], None]]]:
    for protocol, tls in WAYS:
        way = protocol + ("-tls" if tls else "")
        for fault in FAULTS:
            yield f"{way}/{fault}", lambda p, g, a=(protocol, tls), f=fault: rejected(p, g, a, f)
        yield f"{way}/pipe", lambda p, g, a=(protocol, tls): piped(p, g, a, "shrinks/inside")
        yield f"{way}/pipe-between", lambda p, g, a=(protocol, tls): piped(p, g, a, "unreadable/between")
    yield "shell", shell


def wire(format: str, protocol: str) -> str:
    """How the failure must look, as cases.py calls it."""
    if protocol == "h2":
        return STREAM_RESET
    if format in PROMISED:
        return SHORT_BODY
    return MISSING_LAST_CHUNK if protocol == "h11" else CONNECTION_RESET


@dataclass
class Download:
    """A download that was broken."""

    seen: Stalled
    url: str
    record: dict

    @property
    def curl(self) -> str:
        return f"exit {self.seen.curl}"

    def __str__(self) -> str:
        return f"curl said: {self.seen.said}\nthe record: {self.record}"


def download(peers: Peers, group: Archives, way: tuple[str, bool], fault: str, command: list[str], out: Path) -> Download:
    """Downloads a new folder, makes the fault when the server can go no further, and pipes all into a command."""
    root, server = peers.archives()
    id = peers.ids.next()
    folder = root / f"{group.name}-{id}"
    plant(folder, group.format)
    url = f"{server.url(way[1])}/{folder.name}/?archive={group.format}&id={id}"
    try:
        seen = stalled(group, [*FLAGS[way], url], lambda: FAULTS[fault](folder), command, out)
    finally:
        if folder.exists():
            remove(folder)
    records = server.records(id)
    if len(records) != 1:
        raise Wrong(f"{len(records)} records of one request\nasked for: {url}")
    return Download(seen, url, records[0])


def rejected(peers: Peers, group: Archives, way: tuple[str, bool], fault: str) -> None:
    """Everything produced is saved, the failure is told, and no reader accepts what was saved."""
    for left in reversed(range(REPEATS)):
        with room(group.folder) as scratch:
            saved = scratch / f"saved.{group.format}"
            seen = download(peers, group, way, fault, ["cat"], saved)
            octets = saved.stat().st_size
            wrong = judge_ending(group.format, way, seen)
            lost = seen.record.get("octets_sent", 0) - octets
            # As in `Peers.check`: a client that was held back for the whole grace loses its tail.
            if not wrong and lost > 0 and left and seen.seen.starved_ms >= STARVED_MS and wire(group.format, way[0]) in (
                    STREAM_RESET, CONNECTION_RESET):
                peers.repeated.append(f"{group.name}/{fault}: it waited {seen.seen.starved_ms:.0f} ms for a core")
                continue
            if lost or seen.record.get("octets_produced") != octets:
                wrong.append(
                    f"{octets} octets saved, {seen.record.get('octets_produced')} produced and"
                    f" {seen.record.get('octets_sent')} sent by the record")
            wrong += accepted(peers, group, saved)
            break
    if wrong:
        raise Wrong("\n".join([*wrong, str(seen), f"asked for: {seen.url}"]))


def judge_ending(format: str, way: tuple[str, bool], seen: Download) -> list[str]:
    """curl's exit code, and what the record says."""
    due = expectations.ERRORS["curl"][wire(format, way[0])]
    wrong = [] if seen.curl == due else [f"curl {seen.curl}, {due!r} due"]
    for field, value in (("ending", "failed"), ("status", 200)):
        if seen.record.get(field) != value:
            wrong.append(f"record: {field} is {seen.record.get(field)!r}, {value!r} due")
    return wrong


def accepted(peers: Peers, group: Archives, saved: Path) -> list[str]:
    """Readers that take a broken archive for whole, and known exceptions that no longer do.

    Of a compressed archive also what lies in it as far as it goes: in `zstd -dc | tar -x` the first exit code is lost.
    """
    wrong = judged(group, saved, group.format, group.format)
    if group.format in UNCOMPRESS:
        inner = saved.with_name("inner.tar")
        with inner.open("wb") as out:
            subprocess.run(
                UNCOMPRESS[group.format], stdin=saved.open("rb"), stdout=out, stderr=subprocess.DEVNULL, check=False,
                timeout=DEADLINE)
        wrong += judged(group, inner, "tar", f"tar in {group.format}")
    return wrong


def judged(group: Archives, saved: Path, format: str, called: str) -> list[str]:
    """The same octets are shown to the readers once: most ways save the same."""
    with saved.open("rb") as file:
        digest = called + hashlib.file_digest(file, "sha256").hexdigest()
    if digest not in group.judged:
        group.judged[digest] = [
            line
            for reader in group.readers
            for line in _judged_by(reader, saved, format, called)
        ]
    return group.judged[digest]


def _judged_by(reader, saved: Path, format: str, called: str) -> Iterator[str]:
    reading = reader.read(saved, format)
    known = otherwise.BROKEN.get((reader.name, called))
    if reading.accepted and not known:
        yield f"SILENT TRUNCATION: {reader.name} accepts it as {called}"
    if not reading.accepted and known:
        yield f"a known exception no longer happens: {reader.name} rejects {called} ({reading.error}): take it off the list"


def piped(peers: Peers, group: Archives, way: tuple[str, bool], fault: str) -> None:
    """`curl -sf URL | tar -x`: two exit codes, neither of them 0."""
    with room(group.folder) as scratch:
        seen = download(peers, group, way, fault, PIPED[group.format], scratch / "out")
    wrong = judge_ending(group.format, way, seen)
    if seen.seen.reader == 0:
        wrong.append(f"SILENT TRUNCATION: {' '.join(PIPED[group.format])} gives 0: {seen.seen.reader_said}")
    if wrong:
        raise Wrong("\n".join([*wrong, str(seen), f"asked for: {seen.url}"]))


# As people type it; only that tar begins when the fault was made.
PIPELINE = "curl -q -sf -D head '{url}' | (until [ -e go ]; do sleep 0.02; done; exec {reader} 2>said); echo ${{PIPESTATUS[@]}}"


def shell(peers: Peers, group: Archives) -> None:
    """Two exit codes, neither of them 0, and what came before the failure is there."""
    root, server = peers.archives()
    id = peers.ids.next()
    folder = root / f"{group.name}-{id}"
    plant(folder, group.format)
    url = f"{server.url(False)}/{folder.name}/?archive={group.format}&id={id}"
    line = PIPELINE.format(url=url, reader=" ".join(PIPED[group.format]))
    with room(group.folder) as scratch:
        pipeline = subprocess.Popen(
            ["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment(), cwd=scratch)
        try:
            deadline = now() + DEADLINE
            while not (scratch / "head").exists() or not (scratch / "head").stat().st_size:
                if now() > deadline:
                    raise Wrong(f"no head came within {DEADLINE:.0f} s\nasked for: {url}")
                time.sleep(0.02)
            FAULTS["unreadable/between"](folder)
            (scratch / "go").touch()
            codes = pipeline.communicate(timeout=DEADLINE)[0].split()
        finally:
            pipeline.kill()
            pipeline.wait()
            remove(folder)
        first = next(scratch.rglob("1-first"), None)
        kept = first is not None and first.read_bytes() == FIRST[:ON_THE_WAY[group.format]]
        said = (scratch / "said").read_text(errors="replace")
    if len(codes) != 2 or "0" in codes:
        raise Wrong(f"PIPESTATUS is {codes}: two codes are due, neither of them 0: {said}\nasked for: {url}")
    if not kept:
        raise Wrong(f"the entry before the failure was not extracted: {said}\nasked for: {url}")
