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
        self._sink = os.path.join(self.path, "sink")

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

    @property
    def sink(self):
        """The program of sink.c; compiled on first use."""
        if not os.path.exists(self._sink):
            subprocess.run(
                ["gcc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", self._sink, HERE + "/sink.c"], check=True)
        return self._sink

    def home(self, name):
        path = os.path.join(self.path, "home-" + name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)
