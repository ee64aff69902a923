"""Causes that lie with the workers: none there, none for this queue or task, dead, halted, silent, paused, leaving, full."""

from __future__ import annotations

from ..group import PREFIX
from ..shell.command import CONTENT_TYPE
from ..worker.fleet.notice import ORDERS
from .codes import Cause, cause
from .crew import Life, Seen
from .facts import Facts, plural, some

REPLY = "_reply."
UNSEEN = "programs that claim for themselves (ropeway get, Queue.claims, an HTTP client) are not seen here"


def missing(facts: Facts) -> list[Cause]:
    """Nobody is there who could ever run it: somebody has to start something."""
    if facts.queue.startswith((ORDERS, REPLY)):
        return _private(facts)
    return missing_crew(facts) or _no_task(facts)


def missing_crew(facts: Facts) -> list[Cause]:
    """No worker takes the queue."""
    if any(worker.life is not Life.DEAD for worker in facts.crew):
        return []
    alive = [worker for worker in facts.workers if worker.life is not Life.DEAD]
    return [_nobody(facts, alive, [worker for worker in facts.crew if worker.life is Life.DEAD])]


def _private(facts: Facts) -> list[Cause]:
    queue = facts.queue
    there = [worker for worker in facts.workers if ORDERS + worker.id == queue and worker.life is not Life.DEAD]
    if there or queue.startswith(REPLY):
        return []
    text = f"{queue} is the queue of orders of the worker {queue.removeprefix(ORDERS)}, which is not there any more"
    return [cause("addressee-gone", text, "nobody will read it; the queue is removed when the fleet tidies up")]


def _nobody(facts: Facts, alive: list[Seen], dead: list[Seen]) -> Cause:
    queue = facts.queue
    start = f"start one: ropeway work {queue} -- COMMAND, or ropeway work {queue} --app MODULE:BROKER ({UNSEEN})"
    if queue.startswith(PREFIX):
        name = queue.removeprefix(PREFIX)
        return cause(
            "no-subscriber",
            f"nobody of the group {name} is there: its copies of messages wait",
            f"start a worker that subscribes as {name}",
        )
    if dead:
        ids = some([f"{worker.id} (pid {worker.notice.pid})" for worker in dead])
        return cause("workers-dead", f"all workers of {queue} on this host have died: {ids}", start)
    if out := [worker for worker in alive if worker.leaves_out(queue)]:
        ids = some([f"{worker.id} ({' '.join(worker.patterns)})" for worker in out])
        return cause("left-out", f"no worker takes {queue}; it is left out by the patterns of {ids}", f"{start}, or change those patterns")
    if alive:
        ids = some([f"{worker.id} ({' '.join(worker.patterns)})" for worker in alive])
        said = f"no worker takes {queue}; this store has {ids}"
        return cause("not-for-queue", said, f"{start}, or add {queue} to the queues of one")
    return cause("no-worker", f"no worker of this store is there, so none takes {queue}", start)


def _no_task(facts: Facts) -> list[Cause]:
    """The workers of the queue would give it up at once, since they do not know its task."""
    crew = [worker for worker in facts.crew if worker.life is not Life.DEAD]
    task = facts.entry.job.task
    ids = some([worker.id for worker in crew])
    if facts.entry.job.content_type == CONTENT_TYPE:
        if any(worker.notice.commands for worker in crew):
            return []
        text = f"it is a command line, and the workers of {facts.queue} ({ids}) run none"
        return [cause("needs-commands", text, f"start one that does: ropeway work {facts.queue} --allow-commands")]
    if not any(worker.notice.others for worker in crew):
        text = f"the workers of {facts.queue} ({ids}) run command lines that ropeway run puts, and nothing else"
        return [cause("only-commands", text, f"start another: ropeway work {facts.queue} -- COMMAND, or --app MODULE:BROKER")]
    if any(worker.knows(task) for worker in crew):
        return []
    if not task:
        text = f"the workers of {facts.queue} ({ids}) run tasks, and this job names none: the one that gets it gives it up"
        return [cause("names-no-task", text, f"put it with --task NAME, or take it with ropeway work {facts.queue} -- COMMAND")]
    known = some(sorted({name for worker in crew for name in worker.notice.tasks or ()}))
    text = (
        f"none of the workers of {facts.queue} ({ids}) has registered the task {task}; they have {known or 'none'}. "
        "The one that gets it gives it up"
    )
    return [cause("no-task", text, f"deploy the code of {task} to them, or pause the queue until then: ropeway pause {facts.queue}")]


def held_back(facts: Facts) -> list[Cause]:
    """Workers are there, and none of them claims."""
    crew = [worker for worker in facts.crew if worker.life is not Life.DEAD]
    if not crew or any(worker.open for worker in crew):
        return []
    out = []
    if halted := [worker for worker in crew if worker.life is Life.HALTED]:
        pids = " ".join(str(worker.notice.pid) for worker in halted)
        text = f"{some([worker.id for worker in halted])}: stopped by a signal, on this host"
        out.append(cause("workers-halted", text, f"kill -CONT {pids}, or start another worker"))
    if silent := [worker for worker in crew if worker.life is Life.SILENT]:
        text = ", ".join(f"{worker.id} on {worker.notice.host} was last heard of {facts.when(worker.notice.at)}" for worker in silent[:3])
        out.append(
            cause("workers-silent", text, "look whether it runs and reaches the store (ropeway check there), or start another worker")
        )
    here = [worker for worker in crew if worker.life is Life.HERE]
    halting = facts.everything_paused is not None  # then they are paused for that, and it was said
    if (quiet := [worker for worker in here if worker.notice.state == "paused"]) and not halting:
        ids = [worker.id for worker in quiet]
        text = f"{some(ids)}: told to pause"
        out.append(cause("workers-paused", text, " ".join(["ropeway workers", *(f"--resume {one}" for one in ids[:3])])))
    if leaving := [worker for worker in here if worker.notice.state in ("quiet", "stopping")]:
        text = f"{some([worker.id for worker in leaving])}: claims nothing more, and ends when what it holds has"
        out.append(cause("workers-leaving", text, f"start another worker: ropeway work {facts.queue} ..."))
    return out


def full(facts: Facts) -> list[Cause]:
    """All slots are taken: with what, and since when."""
    crew = [worker for worker in facts.crew if worker.open and facts.able(worker)]
    if not crew or any(worker.free for worker in crew):
        return []
    slots = sum(worker.notice.slots for worker in crew)
    jobs = sorted((job for worker in crew for job in worker.notice.jobs), key=lambda job: job.since)
    longest = some([f"{facts.told(job.id, job.queue, job.task)} {facts.since(job.since)}" for job in jobs])
    crowd = plural(len(crew), "worker")
    text = f"all {slots} slots of {crowd} are taken" if slots > 1 else f"the only slot of {crowd} is taken"
    text += f": {longest}" if longest else ""
    more = f"ropeway workers --resize {crew[0].id}={crew[0].notice.slots * 2}, or start another worker"
    return [cause("workers-full", text, f"it goes on when one of these ends. For more room: {more}")]
