"""What `schedule` does with its words: looks, changes, says what there is now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..cron import cron
from ..job import JSON
from ..schedule import Schedule
from ..schedules import Schedules
from .named import Named
from .output import Row
from .params import default_queue
from .putting import type_of
from .session import Session
from .table import Column, render, terminal_width
from .times import iso, relative
from .verdict import DONE, USAGE, Failure

Words = tuple[str, ...]
Options = dict[str, Any]
_NAMED = Named("schedule")
_OF_JOBS = ("task", "priority", "ttl", "keep", "lane", "headers")


def ls(session: Session, words: Words, options: Options) -> int:
    """List them, or those that are named."""
    _NAMED.only(options, "ls")
    found = _schedules(session).browse()
    if words:
        known = {schedule.name: schedule for schedule in found}
        found = _NAMED.all_of(words, known.get)
    _print(session, found, empty="there are no schedules. See: ropeway schedule --help")
    return DONE


def add(session: Session, words: Words, options: Options) -> int:
    """Add one; with --replace, change the one of its name."""
    _NAMED.only(options, "add", "tz", "catch_up", "replace", *_OF_JOBS)
    if not 2 <= len(words) <= 4 or (len(words) == 2 and not options["task"]):
        raise Failure(USAGE, "schedule add takes NAME EXPRESSION QUEUE [BODY], or --task; nothing was added. Quote the expression")
    name, expression, queue, body = (*words, default_queue(), "")[:4] if len(words) == 2 else (*words, "")[:4]
    data = os.fsencode(body)
    made = Schedule(
        name,
        expression,
        queue,
        tz=options["tz"] or "UTC",
        catch_up=options["catch_up"] or "last",
        body=data,
        content_type=JSON if options["task"] else type_of(data),
    )
    for field in ("task", "priority", "ttl", "keep", "lane"):
        if options[field] is not None:
            setattr(made, field, options[field])
    if options["headers"]:
        from ..names import check_headers
        from .putting import headers

        made.headers = check_headers(headers(options["headers"]))
    schedules = _schedules(session)
    _print(session, [schedules.write(made) if options["replace"] else schedules.append(made)])
    return DONE


def edit(session: Session, words: Words, options: Options) -> int:
    """Change when it runs."""
    _NAMED.only(options, "edit", "tz", "catch_up")
    expression = words[1] if len(words) == 2 else None
    if not 1 <= len(words) <= 2 or (expression is None and not options["tz"] and not options["catch_up"]):
        raise Failure(USAGE, "schedule edit takes NAME and EXPRESSION, --tz or --catch-up; nothing was changed. Quote the expression")
    schedules = _schedules(session)
    _NAMED.all_of(words[:1], schedules.get)
    _print(session, [schedules.edit(words[0], expression, tz=options["tz"], catch_up=options["catch_up"])])
    return DONE


def rm(session: Session, words: Words, options: Options) -> int:
    """Remove those that are named."""
    _NAMED.only(options, "rm")
    schedules = _schedules(session)
    some = _NAMED.all_of(words, schedules.get)
    for schedule in some:
        schedules.delete(schedule.name)
        if schedule.source == "code":
            session.note(f"{schedule.name} is in the code: it is back when a worker with that code starts. To keep it off, pause it")
    if not session.quiet:
        session.out.one({"deleted": len(some)}, [f"deleted {len(some)} schedule{'' if len(some) == 1 else 's'}"], name="deleted")
    return DONE


def pause(session: Session, words: Words, options: Options) -> int:
    """Plant no more ticks of those that are named."""
    _NAMED.only(options, "pause")
    return _each(session, words, lambda schedules, name: schedules.pause(name))


def resume(session: Session, words: Words, options: Options) -> int:
    """Plant them again."""
    _NAMED.only(options, "resume")
    return _each(session, words, lambda schedules, name: schedules.resume(name))


def run(session: Session, words: Words, options: Options) -> int:
    """Put the jobs of those that are named now."""
    _NAMED.only(options, "run")
    schedules = _schedules(session)
    handles = [schedules.run(schedule.name) for schedule in _NAMED.all_of(words, schedules.get)]
    rows: list[Row] = [{"id": handle.id, "queue": handle.queue} for handle in handles]
    if not session.quiet:
        session.out.rows(rows, lambda rows: (row["id"] for row in rows))
    return DONE


def ticks(session: Session, words: Words, options: Options) -> int:
    """The moments to come: of one schedule, of all, or of an expression that is none's yet."""
    _NAMED.only(options, "next", "count", "tz")
    count, now = options["count"] or 1, session.link.clock.now()
    if len(words) == 1 and (" " in words[0].strip() or words[0].startswith("@")):
        when = cron(words[0], options["tz"] or "UTC")
        found = [(words[0], when.tz, tick) for tick in when.first(count, now)]
    else:
        schedules = _schedules(session)
        some = _NAMED.all_of(words, schedules.get) if words else schedules.browse()
        found = [(schedule.name, schedule.tz, tick) for schedule in some for tick in _next(schedule, now, count)]
        found.sort(key=lambda one: one[2])
    rows: list[Row] = [{"name": name, "next": iso(tick), "local": _local(tick, tz), "tz": tz} for name, tz, tick in found]
    columns = [
        Column("NAME", lambda row: row[0]["name"], flex=True),
        Column("NEXT", lambda row: row[0]["local"]),
        Column("ZONE", lambda row: row[0]["tz"], flex=True),
        Column("", lambda row: relative(row[1][2], now)),
    ]
    both = list(zip(rows, found, strict=True))
    session.out.rows(rows, lambda _: render(columns, both, terminal_width()), name="next", empty="nothing is to come")
    return DONE


ACTS: dict[str, Callable[[Session, Words, Options], int]] = {
    "ls": ls,
    "add": add,
    "edit": edit,
    "rm": rm,
    "pause": pause,
    "resume": resume,
    "run": run,
    "next": ticks,
}


def _each(session: Session, words: Words, act: Callable[[Schedules, str], Schedule]) -> int:
    schedules = _schedules(session)
    _print(session, [act(schedules, schedule.name) for schedule in _NAMED.all_of(words, schedules.get)])
    return DONE


def _schedules(session: Session) -> Schedules:
    return Schedules(session.link)


def _print(session: Session, schedules: Sequence[Schedule], *, empty: str = "") -> None:
    if session.quiet and not empty:
        return
    now = session.link.clock.now()
    session.out.rows((schedule_row(schedule, now) for schedule in schedules), lambda _: _table(schedules, now), name="name", empty=empty)


def schedule_row(schedule: Schedule, now: float) -> Row:
    """A schedule as programs read it."""
    following = _next(schedule, now, 1)
    row: Row = {"name": schedule.name, "state": "paused" if schedule.paused else "on", "expression": schedule.expression, "tz": schedule.tz}
    row |= {"next": iso(following[0]) if following else None, "last": iso(schedule.last) if schedule.last is not None else None}
    row |= {"catch_up": schedule.catch_up, "queue": schedule.queue, "task": schedule.task, "source": schedule.source}
    row |= {"last_id": schedule.last_id} if schedule.last_id else {}
    return row


def _table(schedules: Sequence[Schedule], now: float) -> Iterable[str]:
    columns = [
        Column("NAME", lambda s: s.name, flex=True),
        Column("NEXT", lambda s: "paused" if s.paused else relative(_next(s, now, 1)[0], now)),
        Column("LAST", lambda s: relative(s.last, now) if s.last is not None else "", optional=True),
        Column("EXPRESSION", lambda s: s.expression, flex=True),
        Column("ZONE", lambda s: s.tz, flex=True, drop=1),
        Column("QUEUE", lambda s: s.queue, flex=True),
        Column("TASK", lambda s: s.task, flex=True, optional=True, drop=2),
        Column("CATCH UP", lambda s: s.catch_up, drop=3),
        Column("FROM", lambda s: s.source, drop=4),
    ]
    return render(columns, schedules, terminal_width())


def _next(schedule: Schedule, now: float, count: int) -> list[float]:
    first = schedule.next(now)
    return [] if first is None else [first, *cron(schedule.expression, schedule.tz).first(count - 1, first)]


def _local(tick: float, tz: str) -> str:
    from datetime import datetime

    from ..cron import zone_of

    return datetime.fromtimestamp(tick, zone_of(tz)).isoformat(sep=" ")
