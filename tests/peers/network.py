"""A network that loses datagrams: two network namespaces with a wire between them, and on the wire loss and delay.

Three ways, the best that can be had here:

1. two namespaces; the kernel's netem loses and delays on both ends of the wire;
2. two namespaces; a relay of ours in the server's loses and delays (a kernel without netem);
3. loopback and that relay (who may not make namespaces).

The relay is there in each: the servers under test listen on loopback alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RELAY = Path(__file__).with_name("udp.py")
# Of a network that belongs to nobody outside of the two namespaces.
SERVER, CLIENT = "10.203.0.1", "10.203.0.2"
DEVICE = "wire"


class Refused(Exception):
    """Something that this machine does not let us have."""


def ran(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise Refused(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{' '.join(command[-12:])}`: {(done.stderr + done.stdout).strip()}")
    return done.stdout


class Namespace:
    """A network namespace that goes with us, whatever ends us: a process holds it, and its input is ours."""

    def __init__(self):
        if shutil.which("unshare") is None or shutil.which("nsenter") is None:
            raise Refused("unshare and nsenter (util-linux) are not installed")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo here; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "here\n":
            raise Refused(f"`unshare --net`: {self._holder.communicate()[1].strip()}")
        self.pid = str(self._holder.pid)
        # What starts a program in it.
        self.prefix = [shutil.which("nsenter"), f"--net=/proc/{self.pid}/ns/net", "--"]

    def run(self, *command: str) -> str:
        return ran(*self.prefix, *command)

    def close(self) -> None:
        self._holder.communicate()


@dataclass
class Weather:
    """What happens to datagrams, in each direction."""

    # The part that is lost.
    loss: float
    # In seconds.
    delay: float


class Network:
    """What lies between a client and a server that listens on a port of loopback."""

    def __init__(self, weather: Weather, seed: int):
        self.weather, self.seed = weather, seed
        self._spaces: list[Namespace] = []
        self._relay: subprocess.Popen | None = None
        # What this machine does not have, in the words of its programs.
        self.lacks: list[str] = []
        self.netem = False
        try:
            self._wire()
        except Refused as refused:
            self._leave()
            self.lacks.append(f"NO NETWORK NAMESPACES ({refused}): loopback instead of two hosts")
        else:
            self._qdisc()

    @property
    def servers(self) -> list[str]:
        """What starts a program on the server's side."""
        return self._spaces[0].prefix if self._spaces else []

    @property
    def clients(self) -> list[str]:
        """What starts a program on the client's side."""
        return self._spaces[1].prefix if self._spaces else []

    def _wire(self) -> None:
        self._spaces.append(Namespace())
        self._spaces.append(Namespace())
        here, there = self._spaces
        ran("ip", "link", "add", DEVICE, "netns", here.pid, "type", "veth", "peer", "name", DEVICE, "netns", there.pid)
        for space, address in ((here, SERVER), (there, CLIENT)):
            space.run("ip", "address", "add", f"{address}/30", "dev", DEVICE)
            space.run("ip", "link", "set", DEVICE, "up")
            space.run("ip", "link", "set", "lo", "up")

    def _qdisc(self) -> None:
        weather = ("delay", f"{self.weather.delay * 1000:g}ms", "loss", f"{self.weather.loss * 100:g}%")
        try:
            for space in self._spaces:
                space.run("tc", "qdisc", "add", "dev", DEVICE, "root", "netem", "limit", "100000", *weather)
            self.netem = True
        except Refused as refused:
            self.lacks.append(f"NO NETEM ({refused}): a relay of ours loses and delays instead of the kernel")

    def lead(self, port: int) -> tuple[str, int]:
        """Where the client's side finds what listens on this port of the server's loopback."""
        address = SERVER if self._spaces else "127.0.0.1"
        weather = Weather(0, 0) if self.netem else self.weather
        self._relay = subprocess.Popen(
            [*self.servers, sys.executable, RELAY, address, str(port), str(weather.loss), str(weather.delay),
             str(self.seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return address, int(self._relay.stdout.readline())

    def lost(self) -> tuple[int, int]:
        """How many datagrams came, and how many of them were lost."""
        if not self.netem:
            self._relay.stdin.write("\n")
            self._relay.stdin.flush()
            told = json.loads(self._relay.stdout.readline())
            return told["came"], told["lost"]
        told = [json.loads(space.run("tc", "-s", "-j", "qdisc", "show", "dev", DEVICE))[0] for space in self._spaces]
        lost = sum(one["drops"] for one in told)
        return sum(one["packets"] for one in told) + lost, lost

    def _leave(self) -> None:
        for space in self._spaces:
            space.close()
        self._spaces = []

    def close(self) -> None:
        if self._relay is not None:
            self._relay.communicate()
        self._leave()

    def __str__(self) -> str:
        how = "netem" if self.netem else f"a relay in user space, seed {self.seed}"
        where = "between two network namespaces" if self._spaces else "on loopback"
        return f"{self.weather.loss:.0%} loss and {self.weather.delay * 1000:.0f} ms each way {where}, by {how}"
