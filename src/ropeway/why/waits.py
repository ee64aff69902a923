"""Causes of time and of switches: what is not due, what is late for good, and what an operator holds back."""

from __future__ import annotations

from ..durations import spoken
from ..group import QUEUE as GROUPS
from ..job import State
from ..names import shown
from ..schedule import HEADER, HEADER_TICK, QUEUE
from ..shell.after import comes_after, turns
from .codes import Cause, cause
from .facts import Facts, because, some

MOVED = 0.001  # seconds from the moment that the put asked for, beyond which a job was given back since
SKEW = 2.0  # seconds by which clocks may differ unnoticed


def expired(facts: Facts) -> list[Cause]:
    """Nobody wants it any more."""
    job = facts.entry.job
    if job.expires() > facts.now:
        return []
    text = f"its ttl of {spoken(job.ttl)} was over {facts.when(job.expires())}: it will not be run"
    return [cause("expired", text, "it is removed by the next claim that meets it. Put it again if it is still wanted, with a longer ttl")]


def of_time(facts: Facts) -> list[Cause]:
    """It is not due yet."""
    entry = facts.entry
    if facts.queue == QUEUE:
        text = f"it is the record of the schedule {shown(entry.job.key)}; the planter looks at it again {facts.when(entry.due)}"
        return [cause("record", text, f"see: ropeway schedule next {entry.job.key}")]
    if facts.queue == GROUPS:
        return [cause("record", f"it is the record of a group or of what is retained: {shown(entry.job.key)}", "nothing is to be done")]
    if entry.state is not State.DELAYED:
        return []
    due, now = facts.when(entry.due), f"ropeway requeue --state delayed {entry.job.id} makes it due now"
    last = entry.history[-1] if entry.history else None
    if (name := entry.job.headers.get(HEADER)) is not None:
        text = f"it is the job of the schedule {name} for {entry.job.headers.get(HEADER_TICK, 'its tick')}, put ahead of time"
        return [cause("tick-ahead", text, f"it is due {due}")]
    if last is not None and entry.attempts and last.outcome != "returned":
        text = f"attempt {last.number or entry.attempts} {last.outcome} {facts.when(last.ended)}: {last.error or 'without a reason'}"
        return [cause("retry", text, f"attempt {entry.attempts + 1} is due {due}; {now}")]
    if entry.due > entry.job.created + entry.job.delay + MOVED and (entry.attempts or last is not None or entry.job.delay == 0):
        return [cause("snoozed", "it was claimed and given back for later, without a failure", f"it is due again {due}; {now}")]
    text = f"it was put to be due {due}" + (f", {spoken(entry.job.delay)} after the put" if entry.job.delay else "")
    return [cause("delayed", text, f"it runs {due}, when its turn comes; {now}")]


def after(facts: Facts) -> list[Cause]:
    """Jobs that it comes after."""
    job = facts.entry.job
    if not comes_after(job):
        return []
    turn = turns(facts.store, [job])[job.id]
    if turn.never:
        return [cause("waits-in-vain", turn.never, "the worker that claims it next gives it up. Put it anew, after others or none")]
    if not turn.open:
        return []
    which = some([facts.told(one, queue) for queue, one in turn.open])
    first = turn.open[0][1]
    return [cause("waits-for", f"it comes after {which}", f"it begins once they have ended. Why the first has not: ropeway why {first}")]


def switches(facts: Facts) -> list[Cause]:
    """What an operator has switched off."""
    out, reason = [], facts.counts.claim_stopped
    if reason is not None:
        out.append(
            cause("claim-stopped", f"queue {facts.queue} hands out no jobs: {because(reason)}", f"ropeway resume --claim {facts.queue}")
        )
    if (reason := facts.everything_paused) is not None:
        out.append(cause("all-paused", f"no worker of this store starts a job: {because(reason)}", "ropeway resume --all"))
    return out


def beside(facts: Facts) -> list[Cause]:
    """What somebody who looks for a reason may come upon, and which is none."""
    out, reason = [], facts.counts.put_stopped
    if reason is not None:
        text = f"queue {facts.queue} refuses new jobs ({because(reason)}); this one is in, and not held up by that"
        out.append(cause("put-stopped", text, f"ropeway resume --put {facts.queue}"))
    if (skew := _skew(facts)) is not None:
        out.append(skew)
    return out


def _skew(facts: Facts) -> Cause | None:
    """A clock that is certainly off: something stands in the future that was, or in the past that is yet to come."""
    entry = facts.entry
    mend = "let all of them keep time (NTP). Leases and due moments go by the store's clock alone, and stay right"
    ahead = max(entry.job.created, entry.due if entry.state is State.READY else 0.0) - facts.now
    if ahead > SKEW:
        return cause("clocks-differ", f"the store's clock is {spoken(ahead)} ahead of the one here, at least", mend)
    if entry.state is State.DELAYED and facts.now - entry.due > SKEW:
        return cause("clocks-differ", f"the store's clock is {spoken(facts.now - entry.due)} behind the one here, at least", mend)
    for worker in facts.crew:
        if (ahead := worker.notice.at - facts.now) > SKEW:
            return cause(
                "clocks-differ", f"the clock of {worker.notice.host} ({worker.id}) is {spoken(ahead)} ahead of the one here, at least", mend
            )
    return None
