"""What is measured of archives and commands: a server's stream beside that of the programs people use."""

import os
import random

from . import piped
from .room import GIB, MIB
from .table import Figure

BIG, SMALL, TEXT, MANY = "big", "small", "text", "many"
SMALL_FILES, SMALL_OCTETS, MANY_FILES = 20_000, 2048, 100_000
# The folder of a small file: as source trees and mail have it.
A_FOLDER = 100


class Streams:
    """A group: every row is one stream of each peer, told by the same figures."""

    # Flags of `endwell serve`, given the room.
    def flags(self, room):
        return ()

    def prepare(self, room):
        raise NotImplementedError

    # Programs that are peers: {name: a function of the room that measures}.
    def programs(self, room):
        raise NotImplementedError

    def of_server(self, server, room):
        """{figure: value} of endwell."""
        raise NotImplementedError


def known(values):
    """Of a program, no memory is known: what it was before its exec counts with it."""
    return {figure: value for figure, value in values.items() if value is not None}


def folder(room, name):
    path = os.path.join(room.data, name)
    if os.path.isdir(path):
        return None
    os.mkdir(path)
    return path


def age(room, name):
    """Nothing in it is news: what was modified just now is looked at more often."""
    for where, below, files in os.walk(os.path.join(room.data, name), topdown=False):
        for one in (*below, *files):
            os.utime(os.path.join(where, one), (1e9, 1e9))
    os.utime(os.path.join(room.data, name), (1e9, 1e9))


def big(room):
    if path := folder(room, BIG):
        for number in range(4):
            with open(f"{path}/{number}.bin", "wb") as out:
                for _ in range(256):
                    out.write(os.urandom(MIB))
        age(room, BIG)


def small(room):
    if path := folder(room, SMALL):
        for number in range(SMALL_FILES):
            where = f"{path}/{number // A_FOLDER}"
            if number % A_FOLDER == 0:
                os.mkdir(where)
            with open(f"{where}/{number}.txt", "wb") as out:
                out.write(os.urandom(SMALL_OCTETS))
        age(room, SMALL)


def text(room):
    """Lines of a log: four to five times smaller by zstd -3."""
    if path := folder(room, TEXT):
        dice = random.Random(1)
        lines = "".join(
            f'{{"ts":"2026-11-{dice.randrange(1, 31):02}T{dice.randrange(24):02}:{dice.randrange(60):02}:00.{dice.randrange(1000):03}Z",'
            f'"remote":"10.0.{dice.randrange(256)}.{dice.randrange(256)}","target":"/{dice.choice("abcdefgh")}/{dice.randrange(10**6)}",'
            f'"status":{dice.choice((200, 200, 200, 304, 404))},"octets_sent":{dice.randrange(10**7)},"ending":"complete"}}\n'
            for _ in range(200_000)).encode()
        for number in range(4):
            with open(f"{path}/{number}.jsonl", "wb") as out:
                for turn in range(3):
                    begin = dice.randrange(len(lines))
                    out.write(lines[begin:] + lines[:begin])
        age(room, TEXT)


def many(room):
    if path := folder(room, MANY):
        for number in range(MANY_FILES):
            where = f"{path}/{number // 1000}"
            if number % 1000 == 0:
                os.mkdir(where)
            os.close(os.open(f"{where}/{number}", os.O_CREAT | os.O_WRONLY))
        age(room, MANY)


TAR = ["tar", "-b512", "-cf", "-"]
ZIP = ["zip", "-q", "-0", "-r", "-"]
ZSTD = ["zstd", "-q", "-3", "-T0"]


class Row:
    """An archive of a folder, and the program that makes the same.

    `units` are files, where those are what is counted; else GB/s of what the peer's TAR or ZIP would have.
    """

    def __init__(self, name, kind, of, make, peer, commands, rate, cpu, files=0):
        self.name, self.kind, self.of, self.make, self.peer, self.commands = name, kind, of, make, peer, commands
        self.files = files
        self.rate = f"{name}: files/s" if files else f"{name}: GB/s"
        self.cpu = f"{name}: CPU us/file" if files else f"{name}: CPU s/GiB"
        self.peak = f"{name}: peak RSS MiB"
        self.size = f"{name}: octets of the stream"
        self.figures = [
            Figure(self.rate, "up", rate, (peer,)), Figure(self.cpu, "down", cpu, (peer,)),
            Figure(self.peak, "down", None, (peer,)), Figure(self.size, "down", None, (peer,))]

    def told(self, stream, inside):
        """`inside`: the octets of the files, which are the same for all peers."""
        count = self.files or inside / 1e9
        return known({
            self.rate: count / stream.seconds,
            self.cpu: stream.cpu / self.files * 1e6 if self.files else stream.cpu / (inside / GIB),
            self.peak: stream.peak_mib, self.size: stream.octets})


ROWS = [
    Row("tar 4 x 256 MiB", "tar", BIG, big, "tar", [[*TAR, BIG]], 1.5, 0.6),
    Row("tar 20 000 x 2 KiB", "tar", SMALL, small, "tar", [[*TAR, SMALL]], 1.3, 0.85, SMALL_FILES),
    Row("zip -0 4 x 256 MiB", "zip", BIG, big, "zip", [[*ZIP, BIG]], 6, 0.15),
    Row("zip -0 20 000 x 2 KiB", "zip", SMALL, small, "zip", [[*ZIP, SMALL]], 4, 0.3, SMALL_FILES),
    Row("tar.zst of text", "tar.zst", TEXT, text, "tar | zstd", [[*TAR, TEXT], ZSTD], 1.0, None),
    Row("tar.zst 4 x 256 MiB", "tar.zst", BIG, big, "tar | zstd", [[*TAR, BIG], ZSTD], 1.0, None),
    Row("tar.zst 20 000 x 2 KiB", "tar.zst", SMALL, small, "tar | zstd", [[*TAR, SMALL], ZSTD], 1.0, None, SMALL_FILES),
    Row("tar.gz of text", "tar.gz", TEXT, text, "tar | gzip", [[*TAR, TEXT], ["gzip", "-6"]], None, None),
]


def octets_inside(room, name):
    return sum(
        os.path.getsize(os.path.join(where, one))
        for where, _, files in os.walk(os.path.join(room.data, name)) for one in files)


class Archive(Streams):
    """A folder as an archive, beside the program that writes the same into the same sink."""

    def __init__(self, name, rows, cores):
        self.name, self.rows, self.cores = name, rows, cores
        self.figures = [figure for row in rows for figure in row.figures]
        self.inside = {}

    def prepare(self, room):
        for row in self.rows:
            row.make(room)
            self.inside[row.of] = octets_inside(room, row.of)

    def programs(self, room):
        peers = dict.fromkeys(row.peer for row in self.rows)
        return {peer: lambda p=peer: self._of_program(p, room) for peer in peers}

    def _of_program(self, peer, room):
        out = {}
        for row in self.rows:
            if row.peer == peer:
                out |= row.told(piped.of_programs(room, row.commands, room.data, self.cores), self.inside[row.of])
        return out

    def of_server(self, server, room):
        out = {}
        for row in self.rows:
            stream = piped.of_server(room, server, f"/{row.of}/?archive={row.kind}", self.cores)
            out |= row.told(stream, self.inside[row.of])
        return out


class Plain(Streams):
    """A TAR of large entries, beside the same octets as one plain file, by the same server."""

    name = "plain"

    def __init__(self, cores):
        self.cores = cores
        self.figures = [Figure("entries, or a file, of 1 GiB: GB/s", "up", 0.9), Figure("the same: CPU s/GiB", "down")]

    def prepare(self, room):
        big(room)
        room.need("1g.bin", GIB)

    def programs(self, room):
        return {}

    def of_server(self, server, room):
        return self._told(piped.of_server(room, server, f"/{BIG}/?archive=tar", self.cores))

    def beside(self, server, room):
        """What the server is compared with: itself."""
        return {"plain file": self._told(piped.of_server(room, server, "/1g.bin", self.cores))}

    def _told(self, stream):
        values = (stream.rate, stream.cpu / (stream.octets / GIB))
        return dict(zip((figure.name for figure in self.figures), values))


class First(Streams):
    """The time to the first octet of a folder of 100 000 entries, which nobody has listed before."""

    name = "first"
    goal_seconds = 0.3

    def __init__(self, cores):
        self.cores = cores
        self.figures = [
            figure for kind in ("tar", "zip", "tar.zst") for figure in (
                Figure(f"100 000 entries, {kind}: s to the first octet", "down", 1.0, ("at most",)),
                Figure(f"100 000 entries, {kind}: s in all", "down", None, ("tar",)),
                Figure(f"100 000 entries, {kind}: peak RSS MiB", "down", None, ("tar",)))]

    def prepare(self, room):
        many(room)
        self.turn = 0

    def programs(self, room):
        def tar():
            stream = piped.of_programs(room, [[*TAR, MANY]], room.data, self.cores)
            return {
                "100 000 entries, tar: s to the first octet": stream.first,
                "100 000 entries, tar: s in all": stream.seconds}
        return {"tar": tar}

    def of_server(self, server, room):
        out = {}
        for kind in ("tar", "zip", "tar.zst"):
            # Another time of modification: what the server remembers of the folder no longer counts.
            self.turn += 1
            os.utime(os.path.join(room.data, MANY), (1e9 + self.turn,) * 2)
            stream = piped.of_server(room, server, f"/{MANY}/?archive={kind}", self.cores)
            out |= {
                f"100 000 entries, {kind}: s to the first octet": stream.first,
                f"100 000 entries, {kind}: s in all": stream.seconds,
                f"100 000 entries, {kind}: peak RSS MiB": stream.peak_mib}
        return out

    def beside(self, server, room):
        limit = {figure.name: self.goal_seconds for figure in self.figures if figure.against == ("at most",)}
        return {"at most": limit}


class Command(Streams):
    """A program's output, beside the same program piped to nc."""

    name = "command"

    def __init__(self, cores):
        self.cores = cores
        self.figures = [
            Figure("command, 1 GiB: GB/s", "up", 0.9, ("nc",)),
            Figure("command, 1 GiB: CPU s/GiB of server or nc, and program", "down", None, ("nc",)),
            Figure("command, 1 GiB: peak RSS MiB", "down", None, ("nc",))]

    def prepare(self, room):
        room.need("1g.bin", GIB)

    def flags(self, room):
        return ["--command", f"/dump=cat {room.data}/1g.bin"]

    def programs(self, room):
        commands = [["cat", "1g.bin"], ["nc", "-N", "127.0.0.1", "{port}"]]
        return {"nc": lambda: self._told(piped.of_programs(room, commands, room.data, self.cores))}

    def of_server(self, server, room):
        return self._told(piped.of_server(room, server, "/dump", self.cores))

    def _told(self, stream):
        values = (stream.rate, stream.cpu / (stream.octets / GIB), stream.peak_mib)
        return known(dict(zip((figure.name for figure in self.figures), values)))


def groups(cores):
    """All, by name, in the order in which they run."""
    of = lambda kind: [row for row in ROWS if row.kind.startswith(kind)]  # noqa: E731
    every = (
        Archive("tar", [row for row in ROWS if row.kind == "tar"], cores), Plain(cores), Archive("zip", of("zip"), cores),
        Archive("zst", of("tar.zst"), cores), Archive("gz", of("tar.gz"), cores), First(cores), Command(cores))
    return {group.name: group for group in every}
