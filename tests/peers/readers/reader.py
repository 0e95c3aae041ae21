"""Reads archives with tarfile and zipfile as each line of the input asks (base.Library)."""

import calendar
import hashlib
import json
import stat
import sys
import tarfile
import zipfile
import zlib

PIECE = 1 << 20
KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link"}


def octets(name):
    return name.encode("utf-8", "surrogateescape").hex()


def digest(file):
    hashed, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        hashed.update(piece)
        size += len(piece)
    return size, hashed.hexdigest()


def of_tar(path, mode):
    rows = []
    with tarfile.open(path, mode, encoding="utf-8", errors="surrogateescape") as archive:
        for entry in archive:
            kind, size, content = KINDS.get(entry.type, f"type {entry.type!r}"), 0, ""
            if kind == "file":
                with archive.extractfile(entry) as file:
                    size, content = digest(file)
                if size != entry.size:
                    raise tarfile.ReadError(f"{entry.name}: {size} of {entry.size} octets")
            elif kind == "link":
                content = octets(entry.linkname)
            rows.append([octets(entry.name), kind, entry.mode & 0o7777, nanoseconds(entry), size, content])
    return rows


def nanoseconds(entry):
    """The time as it stands in the archive: a float has too few digits for it."""
    said = entry.pax_headers.get("mtime")
    if said is None:
        return str(int(entry.mtime) * 10**9)
    whole, _, part = said.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return str(int(whole) * 10**9 + sign * int(part.ljust(9, "0")[:9] or 0))


def of_zip(path):
    rows = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            attributes, size, content = entry.external_attr >> 16, 0, ""
            with archive.open(entry) as file:
                if stat.S_ISLNK(attributes):
                    kind, content = "link", file.read().hex()
                elif entry.is_dir():
                    kind = "folder"
                else:
                    kind = "file"
                    size, content = digest(file)
            time = str(calendar.timegm(entry.date_time) * 10**9)
            rows.append([octets(entry.filename), kind, stat.S_IMODE(attributes), time, size, content])
    return rows


def read(asked):
    try:
        if asked["format"] == "zip":
            rows = of_zip(asked["path"])
        else:
            rows = of_tar(asked["path"], {"tar": "r:", "tar.gz": "r:gz"}[asked["format"]])
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, NotImplementedError) as error:
        return {"error": f"{type(error).__name__}: {error}", "entries": None}
    return {"error": None, "entries": rows}


for line in sys.stdin:
    print(json.dumps(read(json.loads(line))), flush=True)
