"""The servers that are measured: each started fresh for a group, on free ports of loopback."""

import os
import shutil
import socket
import subprocess
import time

from . import process
from .room import HERE

NGINX = """
user root; daemon off; worker_processes {workers};
pid {home}/nginx.pid; error_log {home}/error.log;
events {{ worker_connections 20000; }}
http {{
    include /etc/nginx/mime.types; default_type application/octet-stream;
    access_log off; sendfile on; tcp_nopush on;
    keepalive_requests 1000000000; keepalive_timeout 75s; send_timeout 600s;
    ssl_protocols TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};
    {more}
    server {{
        listen 127.0.0.1:{plain} backlog=8192 {listen};
        listen 127.0.0.1:{h2c} http2 backlog=8192;
        listen 127.0.0.1:{tls} ssl http2 backlog=8192;
        root {data};
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2 h2c
    }}
}}
http://:{plain} {{
    bind 127.0.0.1
    root * {data}
    file_server
}}
https://:{tls} {{
    bind 127.0.0.1
    tls {certificate} {key}
    root * {data}
    file_server
}}
"""

# What nginx does with more than its sendfile, by the name of the peer.
VARIANTS = {
    "nginx": ("", ""),
    "nginx-ofc": ("open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;", ""),
    "nginx-sndbuf64k": ("", "sndbuf=64k"),
}


def builds(given, program):
    """The binaries of endwell to measure, by name, as `--endwell [NAME=]PATH` says."""
    found = {}
    for one in given or [os.path.join(HERE, "..", "target", "release", "endwell")]:
        name, _, path = one.rpartition("=")
        path = os.path.abspath(path)
        if not os.access(path, os.X_OK):
            raise SystemExit(f"{program}: {path} is not a program; build it with cargo build --release")
        found[name or "endwell"] = path
    return found


def free_port():
    """A port of loopback that nothing has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One running peer.

    `plain`, `h2c` and `tls` are ports, None where it has none. `h2c` is another port than `plain`
    only in nginx 1.22, which speaks one of the two on a port.
    """

    def __init__(self, name, plain, h2c, tls):
        self.name, self.plain, self.h2c, self.tls = name, plain, h2c, tls
        self._started = {}
        # Where endwell writes its records, by kind, as JSON; peers have none.
        self.records = {}

    def start(self, kind, command, log, cores, **more):
        with open(log, "ab") as sink:
            self._started[kind] = subprocess.Popen(
                ["taskset", "-c", cores, *map(str, command)],
                stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, **more)

    def wait(self):
        """Until every port answers."""
        deadline = time.monotonic() + 10
        for port in {self.plain, self.h2c, self.tls} - {None}:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"{self.name} does not listen on {port}") from None
                    time.sleep(0.02)
        return self

    def pids(self, kind):
        """The processes that answer on the port of this kind."""
        started = self._started.get(kind) or self._started["all"]
        return process.family(started.pid)

    def stop(self):
        for started in self._started.values():
            started.terminate()
        for started in self._started.values():
            try:
                started.wait(5)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def _nginx(name, room, cores):
    home = room.home(name)
    server = Server(name, free_port(), free_port(), free_port())
    more, listen = VARIANTS[name]
    config = os.path.join(home, "nginx.conf")
    with open(config, "w") as out:
        out.write(NGINX.format(
            workers=len(cores.split(",")), home=home, more=more, listen=listen, data=room.data,
            certificate=room.certificate, key=room.key,
            plain=server.plain, h2c=server.h2c, tls=server.tls))
    server.start("all", ["nginx", "-p", home, "-c", config], home + "/out", cores)
    return server


def _caddy(name, room, cores):
    home = room.home(name)
    plain = free_port()
    server = Server(name, plain, plain, free_port())
    config = os.path.join(home, "Caddyfile")
    with open(config, "w") as out:
        out.write(CADDY.format(
            data=room.data, certificate=room.certificate, key=room.key, plain=plain, tls=server.tls))
    server.start(
        "all", ["caddy", "run", "--config", config, "--adapter", "caddyfile"], home + "/out", cores,
        env={**os.environ, "HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home})
    return server


def _miniserve(name, room, cores):
    home = room.home(name)
    server = Server(name, free_port(), None, free_port())
    command = ["miniserve", "-i", "127.0.0.1", room.data, "-p"]
    server.start("plain", [*command, server.plain], home + "/out", cores)
    server.start("tls", [
        *command, server.tls, "--tls-cert", room.certificate, "--tls-key", room.key,
    ], home + "/out", cores)
    return server


def _endwell(name, path, room, cores, records, flags):
    home = room.home(name)
    plain = free_port()
    server = Server(name, plain, plain, free_port())
    certificate = ["--tls-cert", room.certificate, "--tls-key", room.key]
    for kind, port, more in (("plain", plain, []), ("tls", server.tls, certificate)):
        log = ["--log", "/dev/null"]
        if records:
            server.records[kind] = f"{home}/{kind}.jsonl"
            log = ["--log", server.records[kind], "--log-format", "json"]
        command = [path, "serve", room.data, "--listen", f"127.0.0.1:{port}", *log, *more, *flags]
        server.start(kind, command, home + "/out", cores)
    return server


def start(names, builds, room, cores, records=False, flags=()):
    """Starts the named peers that are installed, and each build of endwell with these flags, on these cores."""
    servers = []
    try:
        for name in names:
            program = name.partition("-")[0]
            if shutil.which(program):
                begin = {"nginx": _nginx, "caddy": _caddy, "miniserve": _miniserve}[program]
                servers.append(begin(name, room, cores))
        for name, path in builds.items():
            servers.append(_endwell(name, path, room, cores, records, flags))
        return [server.wait() for server in servers]
    except BaseException:
        stop(servers)
        raise


def stop(servers):
    for server in servers:
        server.stop()
