"""Files whose every octet tells which version of the file it belongs to."""

import os
import random

# A prime, so that octets lost in the middle shift what follows.
UNIT = 65_521


def content(version, octets):
    """The whole content; its first 8 octets are the version."""
    unit = version.to_bytes(8, "big") + random.Random(version).randbytes(UNIT - 8)
    return (unit * (octets // UNIT + 1))[:octets]


def is_one_version(body):
    """Whether these octets are the whole of one version, as long as they are."""
    if len(body) < 8:
        return True
    return bytes(body) == content(int.from_bytes(body[:8], "big"), len(body))


def replace(path, version, octets):
    """A new version under the name; who has the old one open keeps it."""
    with open(path + ".new", "wb") as out:
        out.write(content(version, octets))
    os.rename(path + ".new", path)


def rewrite(path, version):
    """A new version into the same file, of the same length."""
    with open(path, "r+b") as out:
        out.write(content(version, os.fstat(out.fileno()).st_size))


def shorten(path, octets):
    os.truncate(path, octets)
