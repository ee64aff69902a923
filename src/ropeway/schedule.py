"""What a schedule is: its record, and which of its ticks are to be planted now. Pure, but for the clock of the store.

The record of a schedule is a job of its own in the queue `_schedules`, with the schedule's name as its key: as safe as any job, carried by
copy and export, and never run. It is due when the next tick is to be planted. Whoever claims it holds the schedule; he puts the job of the
tick, and gives the record back with the tick after. So the claim is what makes one run of one tick, and the record remembers which
ticks are over, whatever the clocks of the workers say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import floor
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .cron import cron
from .errors import BadBody, BadValue
from .job import JSON, PRIORITY, Job, State
from .link import Link
from .names import check_name, shown
from .store import Feature, Lent, Query

QUEUE = "_schedules"
NEEDS = frozenset({Feature.KEYS, Feature.DELAY, Feature.PICK, Feature.BROWSE, Feature.EDIT})
CatchUp = Literal["none", "last", "all"]
CATCH_UP: tuple[CatchUp, ...] = ("none", "last", "all")
LEASE = 15.0  # seconds that a record is held at most while its tick is planted, or while it is edited
LEAD = 5.0  # seconds before its tick that a job is planted, at most: so that it comes on time should the planter die
GRAIN = 0.05  # seconds to which the store's time is known; a record is not given back for less
LATE = 60.0  # seconds after which a tick is missed, where missed ticks are not caught up
MOST = 100  # missed ticks that are caught up at once
HOLD = 60.0  # seconds for which the job of a tick stays when done, where putting and giving back are not one
FAR = 50 * 365 * 86400.0  # when the record of a paused schedule is due

HEADER = "ropeway-schedule"  # in the job of a tick: whose it is,
HEADER_TICK = "ropeway-tick"  # and the moment that it stands for


class Schedule(Struct):
    """A schedule as it stands. Times are seconds since 1970, durations seconds.

    The record is stored as JSON with these names: new ones get a default, and none ever changes its meaning.
    """

    name: str
    expression: str
    queue: str
    tz: str = "UTC"
    catch_up: CatchUp = "last"
    body: bytes = b""
    content_type: str = JSON
    task: str = ""
    headers: dict[str, str] = {}
    priority: int = PRIORITY
    ttl: float = 0.0
    keep: float = 0.0
    lane: str = ""
    paused: bool = False
    source: Literal["code", "operator"] = "operator"
    code: str = ""  # what the code said when it last wrote this
    tick: float | None = None  # the next one to be planted
    last: float | None = None  # the last one that was
    last_id: str = ""  # its job

    def next(self, now: float) -> float | None:
        """When it will run next; None while it is paused."""
        if self.paused:
            return None
        if self.last is not None and self.last > now:
            return self.last
        return self.tick if self.tick is not None else cron(self.expression, self.tz).next(now)


def check_schedule(schedule: Schedule) -> Schedule:
    """The schedule itself, with its expression in its plain form; BadName or BadValue for what is none. The fields of its jobs are the
    store's to check, when they are put."""
    check_name(schedule.name, "schedule")
    check_name(schedule.queue)
    if schedule.catch_up not in CATCH_UP:
        raise BadValue(f"catch_up is one of {' '.join(CATCH_UP)}, not {shown(schedule.catch_up)}; nothing was done")
    return replace(schedule, expression=cron(schedule.expression, schedule.tz).text)


def lead(schedule: Schedule, tick: float) -> float:
    """How long before a tick its job is planted. Not at all where missed ticks are not wanted: it would then wait there for a worker."""
    if schedule.catch_up == "none":
        return 0.0
    return min(LEAD, (cron(schedule.expression, schedule.tz).next(tick) - tick) / 2)


def plan(schedule: Schedule, now: float) -> tuple[list[float], Schedule]:
    """The ticks to be planted now, and the schedule as it stands when they are."""
    if schedule.paused:
        return [], schedule
    when = cron(schedule.expression, schedule.tz)
    tick = schedule.tick
    if tick is None:
        return [], replace(schedule, tick=when.next(now))
    horizon = now + lead(schedule, tick) + GRAIN
    if tick > horizon:
        return [], schedule
    last = max(when.previous(floor(horizon) + 1) or tick, tick)  # less than tick: the rules of the zone have changed meanwhile
    ticks = [last]
    if schedule.catch_up == "none" and now - last > LATE:
        ticks = []
    elif schedule.catch_up == "all":
        while len(ticks) < MOST and (before := when.previous(ticks[0])) is not None and before >= tick:
            ticks.insert(0, before)
    return ticks, replace(schedule, tick=when.next(last), last=ticks[-1] if ticks else schedule.last)


def wait(schedule: Schedule, now: float) -> float:
    """Seconds until the record is due again."""
    if schedule.paused:
        return FAR
    if schedule.tick is None:
        return 0.0
    return min(FAR, max(GRAIN, schedule.tick - lead(schedule, schedule.tick) - now))


def tick_job(schedule: Schedule, record: str, tick: float, now: float, hold: float) -> Job:
    """The job of one tick. `record`: the id of the schedule's record, so that a schedule made anew has ticks of its own."""
    delay = max(0.0, tick - now)
    headers = {**schedule.headers, HEADER: schedule.name, HEADER_TICK: spelled(tick)}
    return Job(
        id=tick_id(record, tick),
        queue=schedule.queue,
        body=schedule.body,
        content_type=schedule.content_type,
        headers=headers,
        priority=schedule.priority,
        delay=delay,
        key=f"schedule:{schedule.name}:{spelled(tick)}",
        ttl=schedule.ttl + delay if schedule.ttl else 0.0,
        keep=max(schedule.keep, hold),
        task=schedule.task,
        lane=schedule.lane,
        once=True,
    )


def tick_id(record: str, tick: float) -> str:
    """The id of a tick's job: the same whoever plants it. A UUIDv7 like all others, of the tick's own time."""
    from hashlib import blake2b

    random = blake2b(f"{record} {tick:.3f}".encode(), digest_size=10).digest().hex()
    return f"{int(tick * 1000):012x}7{random[:3]}{8 + int(random[3], 16) % 4:x}{random[4:19]}"


def spelled(tick: float) -> str:
    """A tick as it stands in keys and headers: UTC, to the second."""
    return datetime.fromtimestamp(tick, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- the record as a job


def record_job(schedule: Schedule, job_id: str) -> Job:
    """The record, to be put or to be edited into its place."""
    return Job(job_id, QUEUE, msgspec.json.encode(schedule), JSON, key=schedule.name)


_read = msgspec.json.Decoder(Schedule).decode


def read_record(job: Job) -> Schedule:
    """The schedule of a record; BadBody for what is none."""
    try:
        schedule = _read(job.body if job.source is None else job.source.read())
        return check_schedule(schedule)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadBody(
            f"job {job.id} of {QUEUE} is no schedule: {error}; it was not planted. Delete it, and add the schedule anew"
        ) from None


def store_now(link: Link, lents: Sequence[Lent], lease: float) -> float:
    """The time by the store's own clock, told by when the lease of what was just claimed ends; by ours if it was lost again."""
    for entry in link.store.browse(Query(queues=(QUEUE,), ids=(lents[0].job.id,))):
        if entry.state is State.RUNNING:
            return entry.due - lease
    return link.clock.now()
