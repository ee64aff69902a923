"""What processes under test write down of what they do: outside the store, so that no fault of the store can lose the evidence.

One file a process, one JSON line an event, one writev a line (a call that the engines do not use, so that a fault aimed at theirs never
hits the evidence) on an O_APPEND descriptor: a process killed within a write leaves a torn last
line of its own file, which is passed over, and harms nobody else's. What is about to be done is written before the call, what came of it
after: an intent without an outcome is an outcome that nobody knows.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from ..clock import SYSTEM

TAIL = 8192  # bytes: longer than any line


class Line(Struct, omit_defaults=True):
    """One thing that one process did, or was told.

    `what` is put.call, put.ok, put.refused (a definite no), put.unknown; claim; VERB.call, VERB.ok, VERB.lost for ack, nack, bury and
    extend; kill, stop (written by who does it, just before it is done). `at` is seconds by the boot clock, which all processes of one
    machine share. The lists go by position.
    """

    at: float
    who: str  # the process; never used twice in a run, as process ids are
    what: str
    ids: list[str] = []
    digests: list[str] = []  # put.call, claim: of the bodies
    receipts: list[str] = []  # claim and settling
    attempts: list[int] = []  # claim
    untils: list[float] = []  # claim, extend.ok: end of the lease
    called: float = 0.0  # claim: when the call began
    victim: str = ""  # kill, stop
    lanes: list[str] = []  # put.call


class Ledger:
    """The writing side, for one process."""

    def __init__(self, folder: Path, who: str) -> None:
        self.who = who
        self._fd = os.open(folder / f"{who}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, what: str, **fields: object) -> float:
        """One line now; its moment."""
        at = SYSTEM.boot()
        line = Line(at, self.who, what, **fields)  # type: ignore[arg-type]
        os.writev(self._fd, (msgspec.json.encode(line), b"\n"))
        return at

    def close(self) -> None:
        os.close(self._fd)


def lines_of(path: Path) -> list[Line]:
    """The lines of one process. A torn last line is passed over; damage anywhere else raises."""
    decode = msgspec.json.Decoder(Line).decode
    return [decode(line) for line in path.read_bytes().split(b"\n")[:-1]]  # what follows the last newline is nothing, or torn


def last_word(path: Path) -> str:
    """What a process wrote last, while it goes on writing; "" when it wrote nothing yet."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
        return msgspec.json.decode(lines[-2], type=Line).what if len(lines) > 1 else ""
    except (FileNotFoundError, msgspec.DecodeError):
        return ""


def read(folder: Path) -> list[Line]:
    """All lines of all processes, by time."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in lines_of(path)]
    lines.sort(key=lambda line: line.at)
    return lines
