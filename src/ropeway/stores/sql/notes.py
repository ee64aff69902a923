"""The notes of a store in a database: a small table."""

from __future__ import annotations

from random import random

from ...demands import check_note
from .desk import Desk
from .record import micros
from .session import Session

SWEEP = 0.1  # of the new notes
_BEYOND = "{"  # above every character of a key, and below what crowd.py writes


class SqlNotes:
    """Facts in the table `note`; what is over is swept with some of the new ones."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        check_note(key, value, lifetime)
        sweeps = random() < SWEEP  # a fleet of workers writes many notes, and what is over is never shown

        def work(session: Session) -> None:
            if sweeps:
                session.run("sweep_notes")
                session.run("note_down", key=key, value=value, lifetime=micros(lifetime))
            else:
                session.run_whole("note_down", key=key, value=value, lifetime=micros(lifetime))

        self._desk.write(work, durable=False)

    def notes(self, prefix: str) -> dict[str, bytes]:
        if not prefix.isascii() or "\0" in prefix:
            return {}
        rows = self._desk.read(lambda session: session.run("notes", prefix=prefix, beyond=prefix + _BEYOND))
        return {key: bytes(value) for key, value in rows}

    def forget(self, key: str) -> bool:
        if not key.isascii() or "\0" in key:
            return False

        def work(session: Session) -> bool:
            if not session.run("note_lives", key=key):
                return False  # and nothing is dropped: by now another may have written it anew, and is not told
            session.run("forget_note", key=key)
            return True

        return self._desk.write(work, durable=False)
