"""curl in a pipe whose other end reads nothing, until something has been done to what is sent."""

from __future__ import annotations

import os
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .base import DEADLINE, Client, environment, program, starved_ms


@dataclass
class Stalled:
    """How the two ended."""

    curl: int
    said: str
    # What read curl's output.
    reader: int
    reader_said: str
    # How long both were ready to run and the machine did not let them.
    starved_ms: float


def stalled(client: Client, words: list[str], fault: Callable[[], None], command: list[str], out: Path) -> Stalled:
    """`curl -sSf WORDS | COMMAND > OUT`: the command starts when the first octet has come and the fault was made."""
    ours, theirs = os.pipe()
    with (client.folder / "said").open("wb+") as said, (client.folder / "reader-said").open("wb+") as reader_said:
        curl = subprocess.Popen(
            [program("curl"), "-q", "-sSf", *words],
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=said, env=environment())
        os.close(theirs)
        try:
            if not select.select([ours], [], [], DEADLINE)[0]:
                raise TimeoutError(f"no octet of the body came within {DEADLINE:.0f} s: {words}")
            fault()
            with out.open("wb") as file:
                reader = subprocess.Popen(
                    command, stdin=ours, stdout=file, stderr=reader_said, env=environment(), cwd=out.parent)
        except BaseException:
            curl.kill()
            curl.wait()
            raise
        finally:
            os.close(ours)
        starved = _wait(curl) + _wait(reader)
        for file in (said, reader_said):
            file.seek(0)
        return Stalled(
            curl.returncode, said.read().decode().strip(),
            reader.returncode, reader_said.read().decode(errors="replace").strip(), starved)


def _wait(process: subprocess.Popen) -> float:
    """Waits for its end; gives how long the machine did not let it run."""
    ended = os.pidfd_open(process.pid)
    try:
        # Seen to have ended, but not yet reaped: the kernel still knows how it was treated.
        in_time = bool(select.select([ended], [], [], DEADLINE)[0])
    finally:
        os.close(ended)
    starved = starved_ms(process.pid)
    if not in_time:
        process.kill()
    process.wait()
    if not in_time:
        raise TimeoutError(f"{process.args[0]} did not end within {DEADLINE:.0f} s")
    return starved
