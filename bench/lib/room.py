"""Where a run keeps its files: a folder that goes when the run ends."""

import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
GIB = 1 << 30


class Room:
    """The data that is served (`data`), one certificate for all, a home for each server."""

    def __init__(self, within="/dev/shm"):
        self.path = tempfile.mkdtemp(prefix="endwell-bench-", dir=within)
        os.chmod(self.path, 0o755)
        self.data = os.path.join(self.path, "data")
        os.mkdir(self.data)
        self._make("1k.bin", 1024)
        self._certificate()

    def _make(self, name, size):
        """Octets that do not compress, written in one pass."""
        block = os.urandom(min(size, MIB))
        with open(os.path.join(self.data, name), "wb") as out:
            for _ in range(max(1, size // MIB)):
                out.write(block)

    def need(self, name, size):
        """The file of this name; made on first use."""
        path = os.path.join(self.data, name)
        if not os.path.exists(path):
            self._make(name, size)
        return path

    def _certificate(self):
        self.certificate = os.path.join(self.path, "cert.pem")
        self.key = os.path.join(self.path, "key.pem")
        subprocess.run([
            "openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec",
            "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", self.key, "-out", self.certificate,
        ], check=True, stderr=subprocess.DEVNULL)

    def _program(self, name):
        """The program of a C file beside this folder; compiled on first use."""
        built = os.path.join(self.path, name)
        if not os.path.exists(built):
            subprocess.run(
                ["gcc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", built, f"{HERE}/{name}.c"], check=True)
        return built

    @property
    def sink(self):
        """Asks over HTTP/1.1, many times, on many connections."""
        return self._program("sink")

    @property
    def drain(self):
        """Reads one stream to its end, of a server or of a program."""
        return self._program("drain")

    def home(self, name):
        path = os.path.join(self.path, "home-" + name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)
