"""The schedules of a store: look, add, edit, pause, run now, delete; and how what the code asks for is written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from msgspec import Struct
from msgspec.structs import replace

from .aio import twin
from .codec import encode_body
from .cron import cron
from .durations import Duration, seconds
from .errors import BadBody, BadValue, Conflict, Unsupported
from .handle import Handle
from .job import JSON, PRIORITY, WAITING, Job, State
from .link import Link
from .names import check_headers, check_name, shown
from .schedule import HEADER, LEASE, NEEDS, QUEUE, CatchUp, Schedule, check_schedule, read_record, record_job, store_now, wait
from .store import Ack, Entry, Handback, Lent, Query, Store

_LIVE = WAITING | {State.RUNNING}
_LOOKS = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25  # between two tries to get hold of a record that somebody else has


class ScheduleOptions(TypedDict, total=False):
    """What may be said of a schedule. Durations are seconds or text such as "10m"."""

    tz: str  # the zone in which the expression is meant; "UTC"
    catch_up: CatchUp  # what becomes of ticks at which no worker was there: "none", "last" (one run for all of them), "all" (100 at most)
    priority: int
    headers: Mapping[str, str] | None
    keep: Duration | None  # how long a done job stays, with its result
    ttl: Duration | None  # from the tick until nobody wants it any more
    lane: str | None  # with one of its own, a run waits for the one before to end
    task: str  # the registered function that it runs; the body is then its arguments


class Coded(Struct):
    """A schedule that the program asks for. `made` answers it, once all is registered that it needs."""

    name: str
    made: Callable[[], Schedule]


class Schedules:
    """The schedules of one connection's store. Raises Unsupported on an engine that cannot keep them, before anything is done."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def browse(self) -> list[Schedule]:
        """All schedules, by name."""
        found = self._store().browse(Query(queues=(QUEUE,), states=_LIVE, limit=None))
        return sorted((s for s in map(_readable, found) if s), key=lambda schedule: schedule.name)

    def get(self, name: str) -> Schedule | None:
        """The schedule of that name, or None."""
        entry = self._entry(name)
        return read_record(entry.job) if entry else None

    def add(self, name: str, expression: str, queue: str, data: Any = None, **options: Unpack[ScheduleOptions]) -> Schedule:
        """Put a job with that body into the queue at each tick of the expression, from now on. Options: see ScheduleOptions.

        With `task`, `data` is the arguments, as a list or by name; none when left out. Raises Conflict when there is a schedule of that
        name, BadValue or BadName for what is no schedule; nothing is done then.
        """
        return self.append(self._made(name, expression, queue, data, options))

    def put(self, name: str, expression: str, queue: str, data: Any = None, **options: Unpack[ScheduleOptions]) -> Schedule:
        """As `add`; where there is a schedule of that name, it is changed to be this one, and stays paused if it is."""
        return self.write(self._made(name, expression, queue, data, options))

    def append(self, schedule: Schedule) -> Schedule:
        """Add the schedule; Conflict when there is one of its name."""
        return self._add(check_schedule(schedule))

    def write(self, schedule: Schedule) -> Schedule:
        """Add the schedule, or change the one of its name to be this one."""
        schedule = check_schedule(schedule)
        try:
            return self._add(schedule)
        except Conflict:
            return self._edit(schedule.name, lambda old: _changed(old, schedule))

    def edit(self, name: str, expression: str | None = None, *, tz: str | None = None, catch_up: CatchUp | None = None) -> Schedule:
        """Change when it runs. Raises BadValue when there is no such schedule."""

        def change(old: Schedule) -> Schedule:
            given: dict[str, Any] = {"expression": expression, "tz": tz, "catch_up": catch_up}
            return _changed(old, check_schedule(replace(old, **{k: v for k, v in given.items() if v is not None})))

        return self._edit(name, change)

    def pause(self, name: str) -> Schedule:
        """Plant no more ticks of it. A run that has begun goes on."""
        return self._edit(name, lambda old: replace(old, paused=True, tick=None))

    def resume(self, name: str) -> Schedule:
        """Plant ticks again, from now on: what it missed while it was paused is not caught up."""
        return self._edit(name, lambda old: replace(old, paused=False, tick=None) if old.paused else old)

    def delete(self, name: str) -> bool:
        """Remove it, and its next run if that waits already; False when there was none. One that the code asks for comes back
        with the next worker that starts: pause it instead, or take it out of the code."""
        held = self._hold(name)
        if held is None:
            return False
        lent, schedule, now = held
        self._store().ack([Ack(lent.receipt, keep=0.0)])
        if schedule is not None:
            self._uproot(schedule, now)
        return True

    def run(self, name: str) -> Handle[Any]:
        """Put its job now, beside its ticks."""
        from .queue import Queue

        schedule = self.get(name)
        if schedule is None:
            raise _unknown(name)
        return Queue(self._link, schedule.queue).put_encoded(
            schedule.body,
            schedule.content_type,
            priority=schedule.priority,
            headers={**schedule.headers, HEADER: name},
            keep=schedule.keep,
            ttl=schedule.ttl or None,
            lane=schedule.lane or None,
            task=schedule.task or None,
        )

    def ticks(self, name: str, count: int = 1) -> list[float]:
        """The moments of its next runs; none while it is paused. Raises BadValue when there is no such schedule."""
        schedule = self.get(name)
        if schedule is None:
            raise _unknown(name)
        first = schedule.next(self._link.clock.now())
        if first is None or count < 1:
            return []
        return [first, *cron(schedule.expression, schedule.tz).first(count - 1, first)]

    abrowse = twin(browse)
    aget = twin(get)
    aadd = twin(add)
    aput = twin(put)
    aedit = twin(edit)
    apause = twin(pause)
    aresume = twin(resume)
    adelete = twin(delete)
    arun = twin(run)
    aticks = twin(ticks)

    # What the code asks for

    def code(self, wanted: Schedule) -> str:
        """Write down what the code asks for. What became of it: "added", "changed", "same", or "operator" when a schedule of that name was
        added by hand, which stays as it is.

        The code writes only when it says something else than it last wrote: so what an operator has edited stands until then, and a
        pause is never lifted by it.
        """
        wanted = check_schedule(replace(wanted, source="code"))
        wanted.code = _digest(wanted)
        old = self.get(wanted.name)
        if old is None:
            try:
                self._add(wanted)
                return "added"
            except Conflict:  # another worker that started at the same time
                old = self.get(wanted.name) or wanted
        if old.source != "code":
            return "operator"
        if old.code == wanted.code:
            return "same"
        self._edit(wanted.name, lambda old: _changed(old, wanted) if old.source == "code" else old)
        return "changed"

    # The record

    def _store(self) -> Store:
        store = self._link.store
        if not store.features >= NEEDS:
            raise Unsupported(
                f"{store.url} keeps no schedules: it lacks {', '.join(sorted(NEEDS - store.features))}; nothing was done. "
                "Use another engine, or the cron of the system and `ropeway put`"
            )
        return store

    def _made(self, name: str, expression: str, queue: str, data: Any, options: ScheduleOptions) -> Schedule:
        if unknown := options.keys() - ScheduleOptions.__annotations__.keys():
            raise TypeError(f"a schedule has no option {shown(min(unknown))}; it has: {' '.join(ScheduleOptions.__annotations__)}")
        get: Any = options.get
        body, kind = (b"", JSON) if data is None and get("task") else encode_body(data)
        return check_schedule(
            Schedule(
                name,
                expression,
                queue,
                tz=get("tz", "UTC"),
                catch_up=get("catch_up", "last"),
                body=body,
                content_type=kind,
                task=get("task") or "",
                headers=check_headers(dict(get("headers") or {})),
                priority=get("priority", PRIORITY),
                ttl=seconds(get("ttl") or 0, "ttl"),
                keep=seconds(get("keep") or 0, "keep"),
                lane=get("lane") or "",
            )
        )

    def _add(self, schedule: Schedule) -> Schedule:
        """Put the record, due at once; then set its first tick, unless a worker was quicker. Should we die between, it will do so."""
        store = self._store()
        check_name(schedule.name, "schedule")
        if not store.put([record_job(replace(schedule, tick=None), self._link.new_id())])[0]:
            raise Conflict(
                f"there is a schedule {schedule.name} already; nothing was added. Change it with edit or put, or delete it first",
                key=schedule.name,
            )
        return self._edit(schedule.name, lambda old: old)

    def _edit(self, name: str, change: Callable[[Schedule], Schedule]) -> Schedule:
        """Change a record while nobody else has it: take it, change it, give it back in its place."""
        store = self._store()
        while held := self._hold(name):
            lent, old, now = held
            if old is None:
                store.nack([Handback(lent.receipt, restore=True)])
                raise BadBody(f"the record of schedule {name} is damaged; nothing was changed. Delete it, and add it anew")
            try:
                new = change(old)
                if new != old:
                    new = self._uprooted(old, new, now)
                if new.tick is None and not new.paused:
                    new = replace(new, tick=cron(new.expression, new.tz).next(now))
                again = Handback(lent.receipt, wait(new, now), restore=True, edit=record_job(new, lent.job.id))
            except BaseException:
                store.nack([Handback(lent.receipt, wait(old, now), restore=True)])
                raise
            if store.nack([again])[0]:
                return new
        raise _unknown(name)

    def _hold(self, name: str) -> tuple[Lent, Schedule | None, float] | None:
        """Take the record, for a moment, from whoever would plant it: with the schedule (None: damaged) and the store's time. None when
        there is none. Raises Conflict when somebody keeps it."""
        link, store, never = self._link, self._store(), threading.Event()
        until, pause = link.clock.boot() + 2 * LEASE, _FIRST_PAUSE
        while entry := self._entry(name):
            lent = store.pick(QUEUE, (entry.job.id,), LEASE, link.holder())[0]
            if lent is not None:
                return lent, _readable(Entry(lent.job, State.RUNNING, 0.0)), store_now(link, (lent,), LEASE)
            if link.clock.boot() >= until:
                raise Conflict(f"schedule {name} is held by {entry.holder or 'somebody'}; nothing was done. Try again", key=name)
            link.clock.sleep(never, pause)
            if pause == _LONGEST_PAUSE:
                store.wait((QUEUE,), 0.0)  # has the engine look whether that one's lease is over
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def _entry(self, name: str) -> Entry | None:
        """Its record. Engines look state by state, so one that changes its state just then may be missed: not there is what is not
        there several times."""
        query = Query(queues=(QUEUE,), states=_LIVE, key=check_name(name, "schedule"), limit=1)
        for _ in range(_LOOKS):
            if found := self._store().browse(query):
                return found[0]
        return None

    def _uprooted(self, old: Schedule, new: Schedule, now: float) -> Schedule:
        """The new one, when the tick that was planted ahead for the old one is out again; if it still comes, it is planted anew. Before the
        record goes back: its job would have the same id."""
        if not self._uproot(old, now):
            return new
        return replace(new, tick=old.last if new.tick == old.tick else new.tick, last=None, last_id="")

    def _uproot(self, old: Schedule, now: float) -> bool:
        """Remove the job of a tick that was planted ahead and has not come yet. Whether it was there."""
        if not old.last_id or old.last is None or old.last <= now:
            return False
        return self._store().delete(Query(queues=(old.queue,), ids=(old.last_id,), states=WAITING, limit=None)) > 0


def coded(name: str, expression: str, *, tz: str, catch_up: CatchUp, job: Callable[[], Job]) -> Coded:
    """What a decorator asks for: a job such as `job` answers, at each tick. Raises BadValue for an expression that is none."""
    check_schedule(Schedule(name, expression, "default", tz=tz, catch_up=catch_up))

    def made() -> Schedule:
        one = job()
        more = {field: getattr(one, field) for field in ("body", "content_type", "task", "headers", "priority", "ttl", "keep", "lane")}
        return Schedule(name, expression, one.queue, tz=tz, catch_up=catch_up, **more)

    return Coded(name, made)


def _changed(old: Schedule, new: Schedule) -> Schedule:
    """The old one with what the new one says: its pause stays, and its ticks too unless they come at other times now."""
    anew = (old.expression, old.tz) != (new.expression, new.tz)
    return replace(new, paused=old.paused, tick=None if anew else old.tick, last=old.last, last_id=old.last_id)


def _digest(schedule: Schedule) -> str:
    from hashlib import blake2b

    import msgspec

    plain = replace(schedule, code="", tick=None, last=None, last_id="", paused=False)
    return blake2b(msgspec.json.encode(plain), digest_size=8).hexdigest()


def _readable(entry: Entry) -> Schedule | None:
    try:
        return read_record(entry.job)
    except BadBody:
        return None


def _unknown(name: str) -> BadValue:
    return BadValue(f"there is no schedule {shown(name)}; nothing was done. See: ropeway schedule ls")
