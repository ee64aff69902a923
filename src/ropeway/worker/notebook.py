"""What jobs log while they run: the last lines of each, kept with the attempt when it fails, and told to who asks while they are here.

They are heard where records are made, as sight/records.py does. Whose a record is says the context that it was made in, so a run that logs
nothing pays nothing, and what a thread of the job's own logs is not known to be its. Of each job the last lines are kept, and these of the
last jobs that logged anything.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import Any

from ..failure import clean
from ..sight.chain import Factory, Place
from ..sight.secrets import censored
from ..tasks.context import running
from .run import Run

LINES = 100  # of a run
LONGEST = 400  # characters of a line
JOBS = 200  # that are known
KEPT = 8192  # characters that stay with an attempt that failed

Line = tuple[float, str, str, str]  # when, level, logger, what
Row = dict[str, Any]

_known: OrderedDict[str, tuple[int, deque[Line]]] = OrderedDict()  # by job: the attempt, and what it has said
_lock = threading.Lock()
_users = 0


def hear() -> None:
    """Hear what jobs log in this process, until `unhear` was called as often."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _place.take()


def unhear() -> None:
    """No longer. Where another has put his factory around ours, it stays, and does nothing."""
    global _users
    with _lock:
        _users -= 1
        if not _users:
            _place.leave()


def _around(before: Factory) -> Factory:
    def made(*given: Any, **more: Any) -> logging.LogRecord:
        record = before(*given, **more)
        run = running.get()
        if run is not None and _users and not run.ended:
            try:
                _note(run, (record.created, record.levelname, record.name, record.getMessage()[: 2 * LONGEST]))
            except Exception:  # noqa: BLE001, S110 - a log call with wrong arguments is no business of ours
                pass
        return record

    return made


_place = Place(_around)


def _note(run: Run, line: Line) -> None:
    log = run.log
    if log is None:
        log = run.log = deque(maxlen=LINES)
        job = run.lent.job.id
        with _lock:
            _known.pop(job, None)
            _known[job] = run.lent.attempt, log
            while len(_known) > JOBS:
                _known.popitem(last=False)
    log.append(line)


def told(job: str) -> list[Row]:
    """The lines of the last run of this job in this process that logged any."""
    found = _known.get(job)
    return [] if found is None else [_row(found[0], line) for line in _lines(found[1])]


def as_text(log: deque[Line]) -> str:
    """The lines as they stay with the attempt, the last ones when they are many."""
    rows = [_row(0, line) for line in _lines(log)]
    text = "\n".join(f"{_moment(row['at'])} {row['level']} {row['logger']}: {row['text']}" for row in rows)
    return text if len(text) <= KEPT else "...\n" + text[-(KEPT - 4) :].partition("\n")[2]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lines(log: deque[Line]) -> list[Line]:
    for _ in range(10):
        try:
            return list(log)
        except RuntimeError:  # one was added meanwhile
            continue
    return []


def _row(attempt: int, line: Line) -> Row:
    at, level, logger, text = line
    return {"attempt": attempt, "at": at, "level": clean(level, 40), "logger": clean(logger, 100), "text": clean(censored(text), LONGEST)}
