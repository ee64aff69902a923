"""What `copy` does: carry all jobs from one store to another, say how far it is, and what is there in the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing

from ..carry import Carried, complaint, copy, meant
from ..errors import Conflict, RopewayError
from ..link import Link
from ..url import hidden
from .output import is_terminal
from .session import Session
from .table import Column, render, terminal_width
from .verdict import CONFLICT, DONE, FAILED, NOTHING, Failure, verdict

_CLEAR = "\r\x1b[2K"


def copy_store(session: Session, source: str, target: str, patterns: Sequence[str], *, running: bool) -> int:
    """Copy the queues that the patterns mean, or all."""
    with closing(Link(source, session.clock, name="cli")) as one, closing(Link(target, session.clock, name="cli")) as other:
        return _copy(session, one, other, patterns, running)


def _copy(session: Session, source: Link, target: Link, patterns: Sequence[str], running: bool) -> int:
    target.store  # noqa: B018 - its URL is read before anything is asked of the other one
    names = meant(source.store, patterns)
    if not names:
        raise Failure(NOTHING, f"{hidden(source.url)} has no such queues; nothing was copied. See: ropeway -u {hidden(source.url)} ls")
    progress = _Progress(session, source, target, names)
    try:
        carried = copy(source.store, target.store, names, running=running, told=progress.told)
    except Conflict as error:
        raise Failure(CONFLICT, str(error).replace("say that they shall be copied too", "add --running")) from None
    except RopewayError as error:
        if not progress.begun:
            raise
        code, text = verdict(error)
        raise Failure(code, f"{text}. Run it again: what is there is passed over") from error
    finally:
        progress.end()
    _tell(session, target, carried)
    if said := complaint(carried):
        short = any(one.missing or one.running for one in carried)
        raise Failure(FAILED if short and not any(one.refused for one in carried) else CONFLICT, f"{said}. It can be run again")
    return DONE


def _tell(session: Session, target: Link, carried: Sequence[Carried]) -> None:
    counts = target.store.counts([one.queue for one in carried])
    rows = [
        {
            "queue": one.queue,
            "jobs": one.jobs,
            "refused": one.refused,
            "left_running": one.running,
            "missing": one.missing,
            "target": {state: getattr(counts[one.queue], state) for state in ("ready", "delayed", "running", "dead", "done")},
        }
        for one in carried
    ]
    if session.quiet:
        return
    session.out.rows(rows, lambda _: _table(carried, target.store.url), name="queue")


def _table(carried: Sequence[Carried], target: str) -> list[str]:
    columns = [
        Column("QUEUE", lambda one: one.queue, flex=True),
        Column("COPIED", lambda one: f"{one.jobs:,}", right=True),
        Column("REFUSED", lambda one: f"{one.refused:,}" if one.refused else "", right=True, optional=True),
        Column("LEFT RUNNING", lambda one: f"{one.running:,}" if one.running else "", right=True, optional=True),
        Column("MISSING", lambda one: f"{one.missing:,}" if one.missing else "", right=True, optional=True),
    ]
    lines = render(columns, carried, terminal_width())
    total = sum(one.jobs for one in carried)
    return [*lines, f"{total:,} job{'' if total == 1 else 's'} of {len(carried)} queue{'' if len(carried) == 1 else 's'} are in {target}"]


class _Progress:
    """The line on the terminal, on stderr."""

    def __init__(self, session: Session, source: Link, target: Link, names: Sequence[str]) -> None:
        self.begun = False
        self._shown = is_terminal(sys.stderr) and not session.quiet
        self._clock = source.clock
        self._start = source.clock.boot()
        self._target = hidden(target.url)
        self._before = self._here = 0
        self._queue = ""
        self._whole = (
            sum(c.ready + c.delayed + c.running + c.dead + c.done for c in source.store.counts(names).values()) if self._shown else 0
        )

    def told(self, queue: str, count: int) -> None:
        self.begun = True
        if queue != self._queue:
            self._before, self._queue = self._before + self._here, queue
        self._here = count
        if self._shown:
            done = self._before + count
            rate = done / max(0.001, self._clock.boot() - self._start)
            self._write(f"{_CLEAR}{done:,} of {self._whole:,} jobs, {queue}, {rate:,.0f}/s"[:110])

    def end(self) -> None:
        if self._shown and self.begun:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            self._shown = False
