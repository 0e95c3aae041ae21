"""What all clients share: a deadline for each call, and how they are run."""

from __future__ import annotations

import json
import os
import queue
import select
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

# Seconds for one call of a client. Most take half a second; Chromium lays out a folder of 10 000 entries for each of
# several widths in one call, which took 25 s on a machine with five other busy processes on two cores.
DEADLINE = 120.0


class Missing(Exception):
    """A client that is not installed: the run fails."""


@dataclass
class Seen:
    """What a client reported of one response."""

    # None: the client does not say.
    status: int | None
    # Exit code or error name; None is the client's word for success.
    error: str | None
    # What it saved; None: it hands nothing over.
    octets: bytes | None
    # What a person would have read.
    message: str = ""
    # How long it was ready to run and the machine did not let it, where that is known.
    starved_ms: float = 0.0
    # Fields after the body, where the client gives them.
    trailers: dict[str, str] = field(default_factory=dict)


def environment() -> dict[str, str]:
    """No proxy, no language, no quirk of the person who runs this."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "LC_ALL": "C", "NODE_NO_WARNINGS": "1", "NODE_TLS_REJECT_UNAUTHORIZED": "0"}


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed (.ci/peers installs it)")
    return path


def first_line(*command: str) -> str:
    """What a program says of itself."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE, env=environment(), check=False
        )
    except OSError as error:
        raise Missing(f"{command[0]}: {error}") from error
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        raise Missing(f"`{' '.join(command)}` gives exit {done.returncode}: {lines[:1]}")
    return lines[0]


@dataclass
class Done:
    """A program that ran to its end."""

    code: int
    stdout: bytes
    stderr: bytes
    starved_ms: float

    @property
    def error(self) -> str | None:
        return f"exit {self.code}" if self.code else None


def starved_ms(pid: int) -> float:
    """How long a process was runnable without a core: the second figure of the kernel's schedstat."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e6
    except (OSError, IndexError, ValueError):
        return 0.0


class Client:
    """One real client."""

    name: str
    # The protocols it speaks: (protocol, TLS).
    ways: list[tuple[str, bool]]

    def __init__(self, folder: Path):
        self.folder = folder / self.name
        self.folder.mkdir()

    def version(self) -> str:
        """Raises Missing."""
        raise NotImplementedError

    def fetch(self, url: str, protocol: str, tls: bool) -> Seen:
        raise NotImplementedError

    def close(self) -> None:
        """Ends what it started."""

    def call(self, command: list[str]) -> Done:
        """Runs a program to its end, in time."""
        with (self.folder / "stdout").open("wb+") as out, (self.folder / "stderr").open("wb+") as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(),
                cwd=self.folder,
            )
            # Seen to have ended, but not yet reaped: the kernel still knows how it was treated.
            ended = os.pidfd_open(process.pid)
            in_time = bool(select.select([ended], [], [], DEADLINE)[0])
            os.close(ended)
            starved = starved_ms(process.pid)
            if not in_time:
                process.kill()
            code = process.wait()
            if not in_time:
                raise TimeoutError(f"{command[0]} did not end within {DEADLINE:.0f} s")
            out.seek(0)
            err.seek(0)
            return Done(code, out.read(), err.read(), starved)

    def saved(self, name: str) -> bytes:
        """What a program saved; a file that was never made is empty. Removes it."""
        path = self.folder / name
        if not path.exists():
            return b""
        octets = path.read_bytes()
        path.unlink()
        return octets


class Talker(Client):
    """A client that is a library: a small program of ours, asked line by line in JSON.

    It reads `{"url", "client", "protocol", "tls", "save"}` and answers
    `{"status", "error", "message", "saved"}`; `saved` says whether the octets lie in `save`.
    """

    command: list[str]
    _running: Talk | None = None

    def fetch(self, url: str, protocol: str, tls: bool, **more) -> Seen:
        if self._running is None:
            self._running = Talk(self.command, self.folder)
        asked = {"url": url, "client": self.name, "protocol": protocol, "tls": tls, **more}
        before = starved_ms(self._running.pid)
        try:
            answer = self._running.ask({**asked, "save": str(self.folder / "body")})
        except TimeoutError:
            self.close()
            raise
        starved = starved_ms(self._running.pid) - before
        octets = self.saved("body") if answer["saved"] else None
        return Seen(answer["status"], answer["error"], octets, answer["message"], starved)

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None


class Talk:
    """A program that answers lines."""

    def __init__(self, command: list[str], folder: Path):
        self._stderr = (folder / "stderr").open("w+")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(),
            cwd=folder,
        )
        self.pid = self._process.pid
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, request: dict, deadline: float = DEADLINE) -> dict:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=deadline)
        except queue.Empty:
            raise TimeoutError(f"no answer within {deadline:.0f} s") from None
        except BrokenPipeError:
            line = ""
        if not line:
            self._stderr.seek(0)
            raise TimeoutError(f"it ended: {self._stderr.read()[-600:].strip()}")
        return json.loads(line)

    def close(self) -> None:
        """Ends it: it goes when its input ends, and is killed when it does not."""
        try:
            self._process.stdin.close()
            self._process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._stderr.close()
