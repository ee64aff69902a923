"""What holds a whole queue up: its bottleneck, out of what waits, what runs, and what came and went lately."""

from __future__ import annotations

from collections import Counter

from ..durations import spoken
from ..names import shown
from .codes import Cause, cause
from .facts import Facts, plural
from .hands import full, held_back, missing_crew
from .pace import pace
from .turns import limit
from .waits import switches

MUCH = 0.5  # the share that counts as most of something
ENOUGH = 10  # fewer jobs than that say nothing


def judged(facts: Facts) -> list[Cause]:
    """The causes, what decides first."""
    counts, queue = facts.counts, facts.queue
    waiting = counts.ready + counts.delayed
    if not waiting + counts.running and queue not in facts.store.queues():
        return [
            cause(
                "no-queue",
                f"there is no queue {queue} in this store",
                f"a put makes it: ropeway put {queue} BODY. Those that are there: ropeway ls",
            )
        ]
    out = [*switches(facts)]
    if not waiting and not counts.running:
        return out or [cause("empty", f"nothing waits in {queue} and nothing runs", "nothing is to be done")]
    if counts.ready or counts.running:
        out += missing_crew(facts) or held_back(facts)
        out += [*limit(facts), *_lane(facts), *_storm(facts), *_task(facts), *full(facts), *_pace(facts)]
    elif counts.delayed:
        first = min((entry.due for entry in facts.delayed), default=facts.now)
        out += _storm(facts) or [
            cause(
                "all-delayed", f"{plural(counts.delayed, 'job')} wait, all for later; the first is due {facts.when(first)}", "it runs then"
            )
        ]
    if out:
        return out
    oldest = (
        f"the oldest ready job has waited {spoken(max(0.0, facts.now - counts.oldest))}"
        if counts.oldest is not None
        else "nothing is ready"
    )
    text = f"{counts.ready:,} ready, {counts.running:,} running; {oldest}, and nothing holds {queue} up"
    return [cause("keeping-up", text, "nothing is to be done")]


def _lane(facts: Facts) -> list[Cause]:
    """One lane has most of what waits."""
    lanes = Counter(entry.job.lane for entry in facts.ready if entry.job.lane)
    total = len(facts.ready)
    if total < ENOUGH or not lanes:
        return []
    (name, number), *_ = lanes.most_common(1)
    if number < MUCH * total:
        return []
    text = f"{number:,} of the first {total:,} ready jobs are of the lane {shown(name)}, which runs {facts.counts.limits.lane} at a time"
    return [cause("one-lane", text, f"split the lane further if their order allows it, or: ropeway limit {facts.queue} --lane N")]


def _storm(facts: Facts) -> list[Cause]:
    """Most of what waits has failed before."""
    waiting = [*facts.delayed, *facts.ready]
    tried = [entry for entry in waiting if entry.attempts and entry.error]
    if len(tried) < ENOUGH or len(tried) < MUCH * len(waiting):
        return []
    (error, number), *_ = Counter(entry.error for entry in tried).most_common(1)
    text = f"{len(tried):,} of {len(waiting):,} waiting jobs have failed before; {number:,} of them with: {error}"
    return [cause("retry-storm", text, f"mend that, or pause meanwhile, so that the attempts are not used up: ropeway pause {facts.queue}")]


def _task(facts: Facts) -> list[Cause]:
    """One task has most of the slots, and keeps them."""
    crew = [worker for worker in facts.crew if worker.open]
    slots = sum(worker.notice.slots for worker in crew)
    jobs = [job for worker in crew for job in worker.notice.jobs if job.task and facts.view.may(job.queue)]
    if slots < 2 or len(jobs) < 2:
        return []
    (name, number), *_ = Counter(job.task for job in jobs).most_common(1)
    if number < MUCH * slots:
        return []
    first = min(job.since for job in jobs if job.task == name)
    text = f"the task {name} has {number} of {slots} slots; its longest run has gone on {facts.since(first)}"
    return [
        cause(
            "slow-task",
            text,
            "give it a queue, and workers, of its own, or make it faster (ropeway workers --stacks ID shows where it stands)",
        )
    ]


def _pace(facts: Facts) -> list[Cause]:
    """What came in and went out in the last minutes, where that is known."""
    come, gone, run = pace(facts)
    ready = facts.counts.ready
    if gone is None or come is None or not ready:
        return []
    took = f"; a run takes {spoken(run)} (median)" if run is not None else ""
    text = f"about {come:.2g} jobs a second come in and {gone:.2g} a second are done{took}; {ready:,} are ready"
    if come > gone:
        return [cause("falling-behind", text, "more slots or workers, shorter runs, or fewer jobs: as it is, the backlog grows")]
    return [cause("catching-up", text, f"at that pace the backlog is gone in about {spoken(ready / (gone - come))}")] if gone > come else []
