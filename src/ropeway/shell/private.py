"""Whether a store is this user's alone. Only there a command line may start to run by itself: whoever else could put one could run it.

A folder may have doors that its mode does not show: a server in front of it lets others put jobs. So what is run without being told to
carries the seal of the user's own key as well, over the job's id and its body.
"""

from __future__ import annotations

import hmac
import os

from ..errors import ConfigError
from ..job import Job
from ..stores import ENGINES
from ..url import parse_url

SEAL = "ropeway-seal"


def seal(key: bytes, job: Job) -> str:
    """What the header says of a command line that the owner of this key has put."""
    return hmac.digest(key, f"{job.id}\0".encode() + job.body, "sha256").hex()


def is_sealed(key: bytes, job: Job, body: bytes) -> bool:
    """Whether it was."""
    told = job.headers.get(SEAL, "").encode("utf-8", "replace")
    return hmac.compare_digest(told, hmac.digest(key, f"{job.id}\0".encode() + body, "sha256").hex().encode())


def shared_because(url: str) -> str:
    """Why others may put jobs there, as a person would say it; nothing when only this user, or root, can. The folder must be there."""
    try:
        parsed = parse_url(url, {scheme: row[3] for scheme, row in ENGINES.items()})
    except ConfigError:
        return "its URL is not understood"
    if parsed.scheme not in ("dir", "sqlite"):
        return f"{parsed.scheme}: is no folder of yours"
    folder = os.path.abspath(parsed.rest if parsed.scheme == "dir" else os.path.dirname(os.path.abspath(parsed.rest)))
    try:
        found = os.stat(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if found.st_mode & 0o022:
        return f"others may write into {folder}"
    return ""
