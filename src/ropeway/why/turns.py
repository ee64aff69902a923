"""Causes of order: the lane, the limit, what goes first, and a worker that has not noticed."""

from __future__ import annotations

from ..durations import spoken
from ..job import State
from ..names import shown
from ..retry import DEADLY
from ..store import Entry
from .codes import Cause, cause
from .crew import Seen
from .facts import MOST, Facts, plural, some
from .pace import done
from .waits import MOVED

NOTICED = 2.0  # seconds after which a ready job that a worker has room for should have begun


def lane(facts: Facts) -> list[Cause]:
    """Another job of its lane has the place."""
    name, places = facts.entry.job.lane, facts.counts.limits.lane
    if not name or not facts.counts.limits.lane:
        return []
    mates = [entry for entry in facts.running if entry.job.lane == name]
    said = shown(name)
    if len(mates) >= places:
        which = some([f"{mate.job.id} on {mate.holder or 'somebody'}" for mate in mates])
        text = f"the lane {said} takes {plural(places, 'job')} at a time, and runs {which}"
        after = f"it goes on when that has ended. Why that takes long: ropeway why {mates[0].job.id}"
        return [cause("lane-busy", text, after)]
    if places == 1 and (first := _keeper(facts, name)) is not None:
        tries = f"has failed {plural(first.attempts, 'time')}" if first.attempts else "was given back for later"
        text = f"job {first.job.id} of the lane {said} {tries}, is due {facts.when(first.due)}, and keeps the lane until it has ended"
        skip = f"ropeway requeue --state delayed {first.job.id} runs it now, ropeway delete {first.job.id} lets the lane go on without it"
        return [cause("lane-waits", text, skip)]
    if ahead := [entry for entry in facts.before if entry.job.lane == name]:
        text = f"{plural(len(ahead), 'job')} of the lane {said} go first, {places} at a time; the first is {ahead[0].job.id}"
        return [cause("lane-behind", text, "its turn comes when they have ended")]
    return []


def _keeper(facts: Facts, name: str) -> Entry | None:
    """The job that has begun, waits for its next try, and has the lane meanwhile."""
    mine = facts.entry.job.id
    waiting = [entry for entry in (*facts.before, *facts.delayed) if entry.job.lane == name and entry.job.id != mine]
    return next((entry for entry in waiting if entry.attempts or (entry.state is State.DELAYED and _given_back(entry))), None)


def _given_back(entry: Entry) -> bool:
    """Whether its moment is another than the put asked for, so that it has been claimed since."""
    return entry.due > entry.job.created + entry.job.delay + MOVED


def limit(facts: Facts) -> list[Cause]:
    """The queue is at its limit."""
    most = facts.counts.limits.running
    if not most or facts.counts.running < most:
        return []
    which = some([f"{entry.job.id} on {entry.holder or 'somebody'}" for entry in facts.running])
    now = "1 runs" if facts.counts.running == 1 else f"{facts.counts.running} run"
    text = f"queue {facts.queue} runs {plural(most, 'job')} at once at most, over all workers, and {now}: {which}"
    return [cause("limit", text, f"it goes on when one of these ends. For more at once: ropeway limit {facts.queue} --running N")]


def behind(facts: Facts) -> list[Cause]:
    """Others stand before it."""
    ahead = facts.before
    if not ahead:
        return []
    mine = facts.entry.job.priority
    urgent = sum(entry.job.priority < mine for entry in ahead)
    number = f"{len(ahead):,}{' or more' if len(ahead) >= MOST else ''}"
    which = "job goes" if len(ahead) == 1 else "jobs go"
    kinds = f"{urgent:,} of a more urgent priority, {len(ahead) - urgent:,} due earlier"
    text = f"{number} ready {which} first in {facts.queue}: {kinds}"
    rate, _ = done(facts)
    soon = f"at {rate:.2g} done a second that is about {spoken(len(ahead) / rate)}; " if rate else ""
    return [cause("behind", text, f"{soon}its turn comes when they are taken. In Python, broker.queue(...).top(id) puts it first")]


def suspect(facts: Facts) -> list[Cause]:
    """Workers died with it."""
    deaths = facts.entry.deaths
    if not deaths:
        return []
    died = f"{plural(deaths, 'worker')} died, or went silent, while they held it"
    if deaths >= DEADLY:
        return [
            cause("suspect", f"{died}: the next worker that gets it gives it up", "it becomes dead, and can be requeued when it is mended")
        ]
    apart = "alone in its worker" if deaths > 1 else "while its worker prefetches nothing"
    return [
        cause(
            "suspect",
            f"{died}: it is run {apart}, to find out whether it was to blame",
            f"it runs when a worker has that room; after {DEADLY} deaths it is given up",
        )
    ]


def turn(facts: Facts) -> list[Cause]:
    """Nothing holds it up, and yet it does not run."""
    crew = [worker for worker in facts.crew if worker.open and facts.able(worker) and worker.free]
    if not crew:
        return []
    waited = facts.now - facts.entry.due
    best = max(crew, key=lambda worker: worker.free)
    room = f"worker {best.id} has {plural(best.free, 'slot')} free"
    if waited < NOTICED:
        return [cause("next", f"it is the next one out: {room}", "it begins within moments")]
    text = (
        f"it has been ready {facts.since(facts.entry.due)}, and {room} ({_told(facts, best)}): the wake-up was lost, or the bell of "
        "that worker is off or blocked"
    )
    fix = (
        "a worker looks by itself after its poll interval (poll= in the URL, else up to 5s; behind a working bell more). "
        f"ropeway workers --ping {best.id} wakes it"
    )
    return [cause("not-noticed", text, fix)]


def _told(facts: Facts, worker: Seen) -> str:
    answered = worker.notice.answered
    return f"its store last answered it {facts.when(answered)}" if answered else "it has had no answer of its store yet"


def left(facts: Facts) -> list[Cause]:
    """Nothing is known that holds it up: whoever claims next gets it."""
    text = f"it is the next one out of {facts.queue}, ready {facts.since(facts.entry.due)}"
    return [cause("next", text, "whoever claims next gets it; ask again in a moment")]
