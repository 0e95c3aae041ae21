"""People who download folders as archives: curl, and every reader of one kind of archive."""

from __future__ import annotations

from pathlib import Path

from readers import Reader, all_readers

from .base import Client, first_line, program


class Archives(Client):
    # What it downloads is judged by the archives' own suites.
    ways = []

    def __init__(self, folder: Path, format: str):
        self.format = format
        self.name = f"archives-{format}"
        super().__init__(folder)
        self.readers: list[Reader] = []
        # What the readers said of octets that they have seen, by digest.
        self.judged: dict[str, list[str]] = {}

    def version(self) -> str:
        """Also makes the readers ready."""
        curl = " ".join(first_line(program("curl"), "--version").split()[:2])
        self.readers = [reader for reader in all_readers(self.folder) if self.format in reader.formats]
        return ", ".join([curl, *(reader.version() for reader in self.readers)])

    def close(self) -> None:
        for reader in self.readers:
            reader.close()
