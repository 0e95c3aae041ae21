"""The servers that are measured, each with HTTP/3 on a UDP port of loopback, and what else it has on TCP."""

import os
import shutil
import subprocess
import time

from lib.peers import Server, free_port

PEERS = ("caddy", "quic-go")
READY = 10

CADDY = """
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2 h3
    }}
}}
https://:{tls} {{
    bind 127.0.0.1
    tls {certificate} {key}
    root * {data}
    file_server
}}
"""


def _caddy(room, _client, cores):
    home = room.home("caddy")
    server = Server("caddy", None, None, free_port())
    config = os.path.join(home, "Caddyfile")
    with open(config, "w") as out:
        out.write(CADDY.format(data=room.data, certificate=room.certificate, key=room.key, tls=server.tls))
    server.start(
        "all", ["caddy", "run", "--config", config, "--adapter", "caddyfile"], home + "/out", cores,
        env={**os.environ, "HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home})
    return server


def _quic_go(room, client, cores):
    home = room.home("quic-go")
    server = Server("quic-go", None, None, None)
    port = free_port()
    server.start(
        "all", [client, "serve", "-listen", f"127.0.0.1:{port}", "-cert", room.certificate, "-key", room.key,
                room.data], home + "/out", cores)
    server.quic = port
    return server


def _endwell(name, path, room, cores):
    home = room.home(name)
    server = Server(name, None, None, free_port())
    server.start("all", [
        path, "serve", room.data, "--listen", f"127.0.0.1:{server.tls}", "--http3", "--log", os.devnull,
        "--tls-cert", room.certificate, "--tls-key", room.key], home + "/out", cores)
    return server


def start(names, found, room, client, cores):
    """Starts the named peers that are installed, and each build of endwell."""
    running = []
    try:
        for name in names:
            if name == "quic-go":
                running.append(_quic_go(room, client, cores))
            elif name == "caddy" and shutil.which("caddy"):
                running.append(_caddy(room, client, cores))
        for name, path in found.items():
            running.append(_endwell(name, path, room, cores))
        for server in running:
            server.quic = getattr(server, "quic", server.tls)
            server.wait()
            _answers(server, room, client)
    except BaseException:
        stop(running)
        raise
    return running


def _answers(server, room, client):
    """Until it answers over HTTP/3."""
    deadline = time.monotonic() + READY
    while True:
        done = subprocess.run(
            [client, "get", f"https://127.0.0.1:{server.quic}/1k.bin"], capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        if time.monotonic() > deadline:
            with open(os.path.join(room.home(server.name), "out")) as out:
                raise RuntimeError(
                    f"{server.name} does not answer over HTTP/3: {done.stderr.strip()}; it said: {out.read()[-600:]}")


def stop(running):
    for server in running:
        server.stop()
