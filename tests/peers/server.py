"""The servers under test: `cargo run -p endwell --example faulty`, and `endwell serve`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parents[2]
# A record is written when the connection has settled: the client has left by then.
RECORD_DEADLINE = 10.0
START_DEADLINE = 10.0


def built() -> Path:
    """Where cargo puts what it builds."""
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"


def binary() -> Path:
    """Where cargo puts the example."""
    return built() / "examples" / "faulty"


def gateway() -> Path:
    """Where cargo puts the command."""
    path = built() / "endwell"
    if not path.exists():
        raise SystemExit(f"no server at {path}: run `cargo build -p endwell-cli`")
    return path


class Server:
    """A running server with a plain and an encrypted listener; its records, by the `id` of the request."""

    def __init__(self, command: list):
        if not Path(command[0]).exists():
            raise SystemExit(f"no server at {command[0]}: run `cargo build -p endwell --example faulty`")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.noise: list[str] = []
        self._urls: list[str] = []
        self._records: dict[int, list[dict]] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._read_urls, daemon=True).start()
        threading.Thread(target=self._read_records, daemon=True).start()
        with self._news:
            if not self._news.wait_for(lambda: len(self._urls) == 2, START_DEADLINE):
                raise SystemExit(f"the server printed no two URLs: {self._urls} {self.noise}")

    def url(self, tls: bool) -> str:
        """`http://127.0.0.1:PORT` or the same with https."""
        return self._urls[1 if tls else 0]

    def records(self, id: int, least: int = 1) -> list[dict]:
        """The records of a request; waits for so many. Several when the client asked again."""
        with self._news:
            self._news.wait_for(lambda: len(self._records.get(id, [])) >= least, RECORD_DEADLINE)
            return list(self._records.get(id, []))

    def alive(self) -> bool:
        return self._process.poll() is None

    def drain(self) -> None:
        """Asks it to end as an administrator does: what runs may run to its end."""
        self._process.terminate()

    def ended(self, deadline: float) -> int:
        """Waits for its end; its exit code."""
        return self._process.wait(deadline)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read_urls(self) -> None:
        for line in self._process.stderr:
            with self._news:
                if line.startswith("listening on "):
                    # HTTP/3 is told on a line of its own, with a URL that stood before it.
                    url = line.split()[2]
                    self._urls += [url] * (url not in self._urls)
                else:
                    self.noise.append(line.rstrip())
                self._news.notify_all()

    def _read_records(self) -> None:
        for line in self._process.stdout:
            try:
                record = json.loads(line)
            except ValueError:
                self.noise.append(f"not a record: {line.rstrip()}")
                continue
            asked = parse_qs(urlsplit(record["target"]).query)
            with self._news:
                id = int(asked.get("id", ["0"])[0])
                self._records.setdefault(id, []).append(record)
                self._news.notify_all()


class Files:
    """`endwell serve` over a folder."""

    def __init__(self, folder: Path):
        path = gateway()
        self._process = subprocess.Popen(
            [path, "serve", folder, "--listen", "127.0.0.1:0", "--log", os.devnull],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stderr:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                return
        raise SystemExit(f"{path} ended with exit {self._process.wait()} before it listened")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Example:
    """An example of the library that takes its address as argument and prints it."""

    def __init__(self, name: str):
        path = built() / "examples" / name
        if not path.exists():
            raise SystemExit(f"no server at {path}: run `cargo build -p endwell --example {name}`")
        self._process = subprocess.Popen(
            [path, "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Where its panics go.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit(f"{path} ended with exit {self._process.wait()} before it listened")
        self.url = line.split()[-1]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def archiving(folder: Path) -> Server:
    """`endwell serve` over a folder, hidden files too, with records."""
    return serving(folder, "--hidden", "--http3")


def serving(folder: Path, *more: str) -> Server:
    """`endwell serve` over a folder on two ports, with records, and with these arguments.

    Root may read what nobody may: where it runs these tests, the server does without that right.
    """
    command = [gateway(), "serve", folder, "--tls-self-signed", "--log-format", "json", *more]
    for scheme in ("http", "https"):
        command += ["--listen", f"{scheme}://127.0.0.1:0"]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise SystemExit("setpriv is not installed (it is part of util-linux)")
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    return Server(command)


class Ids:
    """Tells requests apart."""

    def __init__(self):
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self._last += 1
            return self._last


def now() -> float:
    return time.monotonic()
