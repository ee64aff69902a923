"""The task of the ride: one job computes the SHA-256 of one file. Any number of workers run it: ropeway work --app hashes:broker."""

from __future__ import annotations

import hashlib

import ropeway

broker = ropeway.connect()  # the store that $ROPEWAY_URL names


@broker.task(queue="files", keep="1d", retry=ropeway.Retry(3, base="100ms", give_up_on=OSError))
def digest(path: str) -> str:
    """The file's SHA-256, in hex. A file that cannot be read is not tried again: its job ends as dead, with the reason."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
