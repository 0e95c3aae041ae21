"""Caches in front of the server: nginx, Varnish and Squid, each started on a free port and asked by curl."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .base import Client, Missing, Seen, environment, first_line, program

# A cache that is not there by then: varnishd compiles its configuration first, with a C compiler.
START_DEADLINE = 60.0
# Two programs may pick the same free port between the look and the bind.
STARTS = 3
# Whoever is root starts them as this user: they need no rights, and Varnish and Squid give them up anyway.
USER = "nobody"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cache(Client):
    """One cache; `fetch` asks the origin through it."""

    # It is shown bad endings by a suite of its own.
    ways = []
    # Commands that must be there.
    needs: list[str]

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._process: subprocess.Popen | None = None
        self._own: Path | None = None
        self._port = 0
        # Whom it asks.
        self._origin = ""
        self.hit = False

    def version(self) -> str:
        for name in (*self.needs, "curl"):
            self.path(name)
        return self.says()

    def says(self) -> str:
        raise NotImplementedError

    def path(self, name: str) -> str:
        """Where a program is: Debian keeps servers outside of a user's PATH."""
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
        if path is None:
            raise Missing(f"{name} is not installed (.ci/peers installs it)")
        return path

    def command(self, folder: Path, port: int, origin: str) -> list[str]:
        """Writes the configuration into `folder`; gives the command that runs in the foreground."""
        raise NotImplementedError

    def is_hit(self, fields: dict[str, str]) -> bool:
        """Whether these fields say that the origin was not asked."""
        raise NotImplementedError

    def late_ms(self, path: str) -> float:
        """How long it had the head of the last answer to `path` before it began to answer itself, by its own
        log; 0 where it does not say."""
        return 0.0

    def fetch(self, url: str, protocol: str, tls: bool, more: tuple[str, ...] = ()) -> Seen:
        """Asks for a URL of the origin, over HTTP/1.1, with `more` fields; `hit` then tells whether the cache had it."""
        assert (protocol, tls) == ("h11", False)
        origin, _, path = url.removeprefix("http://").partition("/")
        if self._process is not None and origin != self._origin:
            self.close()
        if self._process is None:
            self._start(origin)
            self._origin = origin
        asked = f"http://127.0.0.1:{self._port}/{path}"
        flags = ["-q", "-sS", "--http1.1", "-o", "body", "-D", "head", "-w", "%{http_code}"]
        flags += [word for field in more for word in ("-H", field)]
        done = self.call([program("curl"), *flags, asked])
        lines = self.saved("head").decode("latin-1").splitlines()
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        self.hit = self.is_hit(fields)
        return Seen(int(done.stdout), done.error, self.saved("body"), done.stderr.decode().strip())

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None

    def _start(self, origin: str) -> None:
        said = ""
        for _ in range(STARTS):
            self._own = Path(tempfile.mkdtemp(prefix=f"endwell-{self.name}-"))
            self._port = free_port()
            command = self.command(self._own, self._port, origin)
            as_user = {}
            if os.geteuid() == 0:
                as_user = {"user": USER, "group": "nogroup", "extra_groups": []}
                for path in (self._own, *self._own.rglob("*")):
                    shutil.chown(path, USER)
            with (self.folder / "said").open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(),
                    cwd=self._own,
                    **as_user,
                )
            if self._listens():
                return
            said = (self.folder / "said").read_text(errors="replace")[-600:]
            self.close()
        raise TimeoutError(f"{self.name} did not start: {said.strip()}")

    def _listens(self) -> bool:
        until = time.monotonic() + START_DEADLINE
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self._process.poll() is None
            except OSError:
                time.sleep(0.02)
        return False


class Nginx(Cache):
    """`proxy_cache`; `version` is what it speaks to the origin."""

    needs = ["nginx"]

    def __init__(self, folder: Path, speaks: str):
        self.name = "nginx-cache" if speaks == "1.1" else "nginx-cache-http10"
        self._speaks = speaks
        super().__init__(folder)

    def says(self) -> str:
        return first_line(self.path("nginx"), "-v")

    def command(self, folder: Path, port: int, origin: str) -> list[str]:
        temporary = "".join(
            f"    {kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(f"""\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
{temporary}    proxy_cache_path {folder}/cache keys_zone=one:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{origin};
            proxy_http_version {self._speaks};
            proxy_set_header Connection "";
            proxy_cache one;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
""")
        log = str(folder / "error.log")
        return [self.path("nginx"), "-e", log, "-p", str(folder), "-c", str(folder / "nginx.conf")]

    def is_hit(self, fields: dict[str, str]) -> bool:
        return fields.get("x-cache") == "hit"


class Varnish(Cache):
    """Answers while it fetches; with `late` only a second after it has the origin's head, unless the URL says
    `collect`: then it has all of it first (`do_stream`)."""

    # It compiles its configuration.
    needs = ["varnishd", "varnishlog", "cc"]

    def __init__(self, folder: Path, late: bool):
        self.name = "varnish-late" if late else "varnish"
        self._late = late
        super().__init__(folder)

    def says(self) -> str:
        return first_line(self.path("varnishd"), "-V")

    def command(self, folder: Path, port: int, origin: str) -> list[str]:
        host, _, origin_port = origin.partition(":")
        waits = "vtc.sleep(1s);" if self._late else ""
        (folder / "default.vcl").write_text(f"""\
vcl 4.1;
{"import vtc;" if self._late else ""}
backend origin {{ .host = "{host}"; .port = "{origin_port}"; }}
sub vcl_backend_response {{ if (bereq.url ~ "[&]collect") {{ set beresp.do_stream = false; }} }}
sub vcl_deliver {{ set resp.http.X-Hits = obj.hits; {waits} }}
""")
        address = f"127.0.0.1:{port}"
        return [
            *(self.path("varnishd"), "-F", "-j", "none", "-n", str(folder / "work")),
            *("-f", str(folder / "default.vcl"), "-a", address, "-s", "malloc,64m"),
            # What it is waited for locks memory, which an ordinary user may not.
            *("-p", "vsl_space=1m", "-p", "thread_pool_min=10", "-p", "thread_pools=1"),
        ]

    def is_hit(self, fields: dict[str, str]) -> bool:
        return fields.get("x-hits", "0") != "0"

    def late_ms(self, path: str) -> float:
        asked = ["-n", str(self._own / "work"), "-d", "-g", "request", "-q", f'ReqURL eq "{path}"', "-i", "Timestamp"]
        lines = self.call([self.path("varnishlog"), *asked]).stdout.decode("latin-1").splitlines()
        last = {}
        for words in (line.split() for line in lines):
            # "- Timestamp Process: 1795282525.146865 0.304837 0.304019": a dash more for what it asks itself.
            if len(words) > 3 and words[1] == "Timestamp":
                last[words[0], words[2]] = float(words[3])
        began, had = last.get(("-", "Process:")), last.get(("--", "Beresp:"))
        return 1e3 * (began - had) if began and had else 0.0


class Squid(Cache):
    name = "squid"
    needs = ["squid"]

    def says(self) -> str:
        return first_line(self.path("squid"), "-v")

    def command(self, folder: Path, port: int, origin: str) -> list[str]:
        host, _, origin_port = origin.partition(":")
        (folder / "squid.conf").write_text(f"""\
http_port 127.0.0.1:{port} accel defaultsite={host} no-vhost
cache_peer {host} parent {origin_port} 0 no-query originserver name=origin
http_access allow all
cache_mem 64 MB
maximum_object_size_in_memory 8 MB
access_log none
cache_log {folder}/cache.log
pid_filename none
netdb_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
""")
        # -n: a name for its shared memory, so that another Squid of this machine is left alone.
        name = f"endwell{port}"
        return [self.path("squid"), "-N", "-n", name, "-f", str(folder / "squid.conf")]

    def is_hit(self, fields: dict[str, str]) -> bool:
        return fields.get("x-cache", "").startswith("hit")
