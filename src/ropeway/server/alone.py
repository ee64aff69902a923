"""One server for one embedded store: the second one notices the first and says so. By a note, which names a process that lives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import msgspec

from ..broker import Broker
from ..errors import ConfigError, Unsupported
from ..living import identity, is_dead

PRESENCE = 30.0  # seconds that a server is known without a word of it


class Alone:
    """A context manager: while it is open, this server is the one of its store. Entering raises ConfigError if there is one already."""

    def __init__(self, broker: Broker, at: str) -> None:
        self._broker = broker
        self._embedded = broker.link.url.partition(":")[0] in ("dir", "sqlite")
        self._key = f"server/{broker.link.new_id()}"
        self._me = msgspec.json.encode({"at": at, "host": os.uname().nodename, "who": identity()})
        self._end: Callable[[], None] = lambda: None

    def __enter__(self) -> Alone:
        if self._embedded:
            try:
                self._look()
            except Unsupported:
                self._embedded = False
        return self

    def _look(self) -> None:
        notes = self._broker.notes
        notes.note(self._key, self._me, PRESENCE)
        for key, note in notes.notes("server/").items():
            if key < self._key and (first := _living(note)):
                notes.forget(self._key)
                raise ConfigError(
                    f"{self._broker.url} is served already, at {first}; nothing was started. One server does for all: use that one"
                )
        self._renew()

    def _renew(self) -> None:
        ended = threading.Event()

        def stay() -> None:
            while not ended.wait(PRESENCE / 3):
                self._broker.notes.note(self._key, self._me, PRESENCE)

        threading.Thread(target=stay, name="ropeway-presence", daemon=True).start()
        self._end = ended.set

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._embedded:
            self._broker.notes.forget(self._key)


def _living(note: bytes) -> str:
    """Where the server of this note is, if it lives; one on another host does until its note is over."""
    try:
        known = msgspec.json.decode(note, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return "" if is_dead(known.get("who", "")) else known.get("at", "")
