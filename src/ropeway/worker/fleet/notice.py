"""What a worker tells of itself: one note, `worker/<id>`, as JSON. To a reader it comes from outside: checked, and dropped if odd."""

from __future__ import annotations

import os
import re

import msgspec
from msgspec import Struct

from ...demands import check_note_key
from ...errors import BadName

PREFIX = "worker/"
ORDERS = "_orders."
MOST_JOBS = 50  # of those that run now, named in the note; the number is told whole
MOST_QUEUES = 50
MOST_TASKS = 200  # with more than that registered, none is named


class Current(Struct):
    """A job that runs now. `since`: when it began, seconds since 1970."""

    id: str
    queue: str
    task: str = ""
    since: float = 0.0


class Notice(Struct):
    """One worker, as it stood at `at`. Moments are seconds since 1970; `who` tells this process from all others (living.py)."""

    id: str
    host: str
    pid: int
    who: str
    started: float
    at: float
    name: str = ""
    version: str = ""
    state: str = "idle"  # idle, busy, paused, quiet (ends when done), stopping
    patterns: list[str] = []
    queues: list[str] = []  # what the patterns meant when it last asked
    pool: str = ""
    slots: int = 0
    running: int = 0  # jobs that have begun
    held: int = 0  # jobs claimed, begun or not
    jobs: list[Current] = []
    totals: dict[str, int] = {}  # ended runs by outcome: done, failed, retried, buried, lost, expired, returned, ran
    memory: int = 0  # bytes
    cpu: float = 0.0  # seconds, of all its threads
    idle: float = 0.0  # seconds for which nothing has run
    utilisation: float = 0.0  # share of its slots' time since its start that jobs had
    claimed: float | None = None  # when a claim last brought something
    answered: float | None = None  # when the store last answered it
    every: float = 0.0  # seconds until the next such note, if nothing changes
    priority: int = 0  # its nice value: low first, 0 for most
    supervisor: int = 0  # the pid of the process that watches over it
    commands: bool = False  # it runs shell jobs
    others: bool = True  # it runs jobs that are not
    tasks: list[str] | None = None  # what it has registered, by name; None: it takes whatever comes, or does not say


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Notice)


def new_id() -> str:
    """A name for this worker that no other ever has: host, pid, and three bytes by chance."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", os.uname().nodename)[:40].lstrip("-") or "host"
    return f"{host}-{os.getpid()}-{os.urandom(3).hex()}"


def pack(notice: Notice) -> bytes:
    """The note's value."""
    return _encoder.encode(notice)


def unpack(key: str, value: bytes) -> Notice | None:
    """The notice in a note; None for what is none, or speaks for another than its key."""
    try:
        check_note_key(key)
        notice = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadName):
        return None
    return notice if key == PREFIX + notice.id else None
