"""Programs that extract: GNU tar, bsdtar, unzip, 7z."""

from __future__ import annotations

from pathlib import Path

from clients.base import first_line, program

from .base import Extracting


class GnuTar(Extracting):
    name = "gnu-tar"
    formats = ("tar", "tar.gz", "tar.zst")

    def version(self) -> str:
        program("zstd")
        return first_line(program("tar"), "--version").replace("tar (GNU tar)", "GNU tar")

    def commands(self, archive: Path, format: str, into: Path) -> list[list[str]]:
        through = {"tar": [], "tar.gz": ["--gzip"], "tar.zst": ["--zstd"]}[format]
        return [[program("tar"), "-xp", *through, "-f", str(archive), "-C", str(into)]]


class BsdTar(Extracting):
    name = "bsdtar"
    formats = ("tar", "tar.gz", "tar.zst", "zip")

    def version(self) -> str:
        return " ".join(first_line(program("bsdtar"), "--version").split()[:2])

    def commands(self, archive: Path, format: str, into: Path) -> list[list[str]]:
        return [[program("bsdtar"), "-xpf", str(archive), "-C", str(into)]]


class Unzip(Extracting):
    name = "unzip"
    formats = ("zip",)

    def version(self) -> str:
        return " ".join(first_line(program("unzip"), "-v").split()[:2])

    def commands(self, archive: Path, format: str, into: Path) -> list[list[str]]:
        # -^: names as they are, also with control characters.
        return [[program("unzip"), "-q", "-o", "-^", str(archive), "-d", str(into)]]


class SevenZip(Extracting):
    name = "7z"
    formats = ("tar", "tar.gz", "tar.zst", "zip")

    def version(self) -> str:
        program("7z")
        # Its first line is empty, and what it says of itself alone is a help text.
        return " ".join(first_line("sh", "-c", "7z i | grep -m1 7-Zip").split()[:3])

    def commands(self, archive: Path, format: str, into: Path) -> list[list[str]]:
        kind = "zip" if format == "zip" else "tar"
        extract = [program("7z"), "x", "-y", "-bd", f"-t{kind}", f"-o{into}"]
        # It takes one layer at a time.
        inner = str(into.parent / "inner.tar")
        if format == "tar.gz":
            return [["sh", "-c", '7z x -so -tgzip "$1" > "$2"', "sh", str(archive), inner], [*extract, inner]]
        if format == "tar.zst":
            return [[program("zstd"), "-q", "-d", str(archive), "-o", inner], [*extract, inner]]
        return [[*extract, str(archive)]]
