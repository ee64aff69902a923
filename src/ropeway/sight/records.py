"""The last 1,000 log records of the process, as short rows without secrets.

They are heard where records are made, and not by a handler: with a handler on the root logger, warnings of a program that has set up no
logging would not reach stderr any more, and its `basicConfig` would do nothing.

What logging pays is an append: a record is made fit to be shown when somebody looks. That is right only for what cannot change until then
and holds no more memory than its text would. So a record whose arguments are numbers and short texts is kept by what it was made of (never
the record itself: what a program adds to it, a request say, would live on with it), and any other is put into words at once.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import count
from typing import Any, NamedTuple

from ..failure import clean, traceback_of
from .chain import Factory, Place
from .secrets import censored

RECORDS = 1000
LONGEST = 4096  # characters of a text
SHORT = 512  # characters of an argument that may wait for its look
FEW = 8  # arguments that may

Row = dict[str, Any]

_NUMBERS = frozenset({int, float, bool, type(None)})


class Kept(NamedTuple):
    """A record in words."""

    number: int
    at: float
    thread: str | None
    level: str
    logger: str
    where: str
    text: str
    traceback: str


# One that waits to be put into words: number, when, thread, and what the record was made of (name, level, path, line, message, arguments).
_Raw = tuple[int, float, str | None, tuple[Any, ...]]


class Records:
    """Hears from `start` until `stop`."""

    def __init__(self, most: int = RECORDS) -> None:
        self._kept: deque[Kept | _Raw] = deque(maxlen=most)
        self._numbers = count(1)
        self._on = False
        self._place = Place(self._maker)

    def start(self) -> None:
        """Hear what is logged from now on."""
        if not self._on:
            self._on = True
            self._place.take()

    def stop(self) -> None:
        """No longer. Where another has put his factory around ours, it stays, and does nothing."""
        self._on = False
        self._place.leave()

    def _maker(self, before: Factory) -> Factory:
        """The factory around that one. A factory of the program's may have changed the record, taken a secret out of it say: then what it
        was made of does not count, and each record is put into words as it came out."""
        append, numbers, plain = self._kept.append, self._numbers, before is logging.LogRecord

        def made(*given: Any, **more: Any) -> logging.LogRecord:
            record = before(*given, **more)
            try:
                if plain and self._on:
                    _, _, _, _, message, arguments, error, _, stack = given
                    if error is None and stack is None and type(message) is str and len(message) <= LONGEST and len(arguments) <= FEW:
                        for one in arguments:
                            kind = type(one)
                            if kind not in _NUMBERS and (kind is not str or len(one) > SHORT):
                                break
                        else:
                            append((next(numbers), record.created, record.threadName, given))
                            return record
            except Exception:  # noqa: BLE001, S110 - made by other means than a logger's: looked at below
                pass
            if self._on:
                try:
                    append(_kept(next(numbers), record))
                except Exception:  # noqa: BLE001, S110 - whatever goes wrong here is no business of the program's
                    pass
            return record

        return made

    def since(self, number: int = 0) -> list[Row]:
        """The rows after that number."""
        for _ in range(10):
            try:
                kept = [one for one in list(self._kept) if one[0] > number]
            except RuntimeError:  # one was added meanwhile
                continue
            return [_row(one if isinstance(one, Kept) else _in_words(one)) for one in kept]
        return []


def _kept(number: int, record: logging.LogRecord) -> Kept:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    trace = traceback_of(error) if isinstance(error, BaseException) else ""
    where = f"{record.filename}:{record.lineno}"
    return Kept(number, record.created, record.threadName, record.levelname, record.name, where, _text(record), trace)


def _in_words(raw: _Raw) -> Kept:
    number, at, thread, given = raw
    record = logging.LogRecord(*given)
    return Kept(number, at, thread, record.levelname, record.name, f"{record.filename}:{record.lineno}", _text(record), "")


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()[: 2 * LONGEST]
    except Exception:  # noqa: BLE001 - a log call with wrong arguments
        return f"{record.msg!r:.{2 * LONGEST}} with arguments that do not fit"


def _row(kept: Kept) -> Row:
    row: Row = {"n": kept.number, "at": kept.at, "level": clean(kept.level, 40), "logger": clean(kept.logger, 200)}
    row |= {"thread": clean(kept.thread or "", 200), "where": clean(kept.where, 200), "text": clean(censored(kept.text), LONGEST)}
    return row | ({"traceback": censored(kept.traceback)} if kept.traceback else {})
