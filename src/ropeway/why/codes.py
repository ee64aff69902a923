"""The table of causes: every code that `why` can answer with, and what it means. The guide lists it whole."""

from __future__ import annotations

from msgspec import Struct

from ..job import State

# A code is for programs: it never changes its meaning. In the order of what decides, family by family.
CODES: dict[str, str] = {
    # ends, and what is not there
    "done": "it has run, and ended well",
    "dead": "given up after a try that failed",
    "dead-killer": "given up because its workers died, or their processes did, while they ran it",
    "dead-timeout": "given up because its last try took longer than it may",
    "dead-no-task": "given up because the worker that got it has no such task",
    "dead-unreadable": "given up because no try could read its body",
    "dead-discarded": "given up by the task or by a person, who did not want another try",
    "gone": "it was here, perhaps, and is not any more",
    "unknown": "no job was ever made with such an id",
    "other-queue": "it is in another queue than was asked for",
    # leases
    "running": "a worker runs it",
    "cancel-asked": "it runs, and its worker has been asked to stop it",
    "holder-dead": "it was claimed by a process of this host that is gone",
    "holder-halted": "it is held by a process of this host that a signal has stopped (SIGSTOP, Ctrl-Z, a debugger)",
    "holder-silent": "it is held from another host by somebody who should have been heard of by now",
    "held-outside": "it was claimed by a program that is no worker of this store, or by hand",
    "lease-over": "its lease has ended; nobody has looked since",
    # time
    "expired": "it waited longer than its ttl",
    "delayed": "it is not due yet",
    "tick-ahead": "a schedule has put it a little ahead of its tick",
    "record": "it is a record of ropeway's own (a schedule, a group), which is never run",
    "retry": "a try has failed, and the next one is not due yet",
    "snoozed": "it was given back for later, without a failure",
    "waits-for": "it comes after other jobs, which have not ended",
    "waits-in-vain": "it comes after a job that failed, or is gone",
    # switches
    "claim-stopped": "its queue hands out nothing",
    "all-paused": "the whole store is paused",
    # workers
    "no-worker": "there is no worker at all",
    "not-for-queue": "there are workers, but none takes this queue",
    "left-out": "a worker would take this queue, but its patterns leave it out",
    "no-subscriber": "it is a copy for a group of subscribers, none of which is there",
    "addressee-gone": "it is for one process alone, which is not there",
    "no-task": "no worker of this queue has registered its task",
    "needs-commands": "it is a command line, and no worker of this queue runs those",
    "only-commands": "it is no command line, and the workers of this queue run nothing else",
    "names-no-task": "it names no task, and the workers of this queue run tasks only",
    "workers-dead": "the workers of this queue on this host have died",
    "workers-halted": "the workers of this queue are stopped by a signal",
    "workers-silent": "the workers of this queue should have been heard of by now",
    "workers-paused": "the workers of this queue were told to pause",
    "workers-leaving": "the workers of this queue finish what they hold, and claim nothing more",
    # lanes, limits and turns
    "lane-busy": "another job of its lane runs",
    "lane-waits": "another job of its lane has begun, and keeps the lane until its next try",
    "lane-behind": "earlier jobs of its lane go first",
    "limit": "its queue runs as many jobs as it may",
    "workers-full": "all slots of the workers of this queue are taken",
    "suspect": "workers have died while they ran it: it is run apart from others",
    "behind": "other jobs of its queue go first",
    "not-noticed": "a worker has room and has not come for it: a wake-up was lost, or it looks now and then only",
    "next": "it is the next one out",
    # beside the point, and said last
    "put-stopped": "its queue takes no new jobs, which does not hold up this one",
    "clocks-differ": "two clocks differ, so the times that are told here are off by that",
    # queues alone (--queue)
    "no-queue": "there is no such queue",
    "empty": "nothing waits in it",
    "all-delayed": "all that waits in it is for later",
    "falling-behind": "more comes in than goes out",
    "catching-up": "more goes out than comes in",
    "one-lane": "most of what waits is of one lane",
    "slow-task": "one task has most of the slots",
    "retry-storm": "much of what waits has failed before",
    "keeping-up": "nothing holds it up",
}


class Cause(Struct, frozen=True):
    """One thing that holds a job up. `code` is one of `CODES`; `text` names the worker, the job, the limit or the moment; `unblock` says
    what will happen by itself and when, or what to type. Empty where nothing has to be done."""

    code: str
    text: str
    unblock: str = ""


class Why(Struct, frozen=True):
    """Why a job is not running, or why a queue is slow (`id` is empty then). `state`: where the job stands, None when it is not in the
    store. `causes`: at least one; the first decides, the others would hold it up when that is gone."""

    id: str
    queue: str
    state: State | None
    causes: list[Cause]


def cause(code: str, text: str, unblock: str = "") -> Cause:
    """A cause whose code stands in the table."""
    return Cause(code, CODES[code] and text, unblock)
