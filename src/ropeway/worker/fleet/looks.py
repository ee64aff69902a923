"""A worker as one looks at it: what it is, what each of its jobs does now, and what the children of its process pool say of themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from ..ferry import Ferry
from ..journal import Counters
from ..pools.pool import Pool
from ..run import NEVER, Run, Shift

if TYPE_CHECKING:
    from ...sight.whole import Whole
    from ..pools.loop import LoopPool
    from ..pools.processes import ProcessPool

MOST = 500  # jobs that are shown

Row = dict[str, Any]


def _stands_in(frame: FrameType, file: str, *functions: str) -> bool:
    """Whether the frame is of these functions of ours: so a run's thread is known by its stack, and a run pays nothing for it."""
    code = frame.f_code
    return code.co_qualname in functions and code.co_filename.endswith(f"{os.sep}worker{os.sep}{file}")


class Looks:
    """`told`, `jobs` and `children` are what sight.views asks of a worker. From any thread."""

    def __init__(
        self, worker: str, shift: Shift, ferry: Ferry, pool: Callable[[], Pool], counters: Counters, state: Callable[[], str], kind: str
    ) -> None:
        self._worker = worker
        self._shift = shift
        self._ferry = ferry
        self._pool = pool
        self._counters = counters
        self._state = state
        self._kind = kind

    def told(self) -> Row:
        """What it is."""
        pool, runs = self._pool(), list(self._ferry.held.values())
        out: Row = {"id": self._worker, "state": self._state(), "queues": list(self._ferry.names), "pool": self._kind or "thread"}
        out |= {"slots": pool.slots, "stuck": pool.stuck, "held": len(runs), "running": sum(1 for run in runs if _goes_on(run))}
        return out | {"totals": asdict(self._counters)}

    def jobs(self, whole: Whole) -> list[Row]:
        """Those that it holds: the running with what they do, the others as waiting in its hand."""
        pool = self._pool()
        does = self._finder(pool, whole)
        runs = sorted(self._ferry.held.values(), key=lambda run: (not run.started, run.started or run.taken))
        return [self._row(run, does) for run in runs[:MOST]]

    def children(self, what: str) -> list[Row]:
        """The same view of its child processes."""
        from ..pools.processes import ProcessPool

        pool = self._pool()
        if not isinstance(pool, ProcessPool):
            return []
        return [_heard(pid, what, answer) for pid, answer in pool.look(what)]

    def said(self, job: str) -> bytes:
        """What this job has logged in its last run here, as JSON: `lines`, empty for one that has logged nothing, or ran long ago."""
        from ...sight.views import encode
        from ..notebook import told

        lines = told(job)
        if not lines:
            lines = [line for child in self.children(f"log:{job}") for line in (child.get(f"log:{job}") or {}).get("lines", ())]
        return encode({"lines": lines})

    def _row(self, run: Run, does: Callable[[Run], Row]) -> Row:
        job, now = run.lent.job, self._shift.boot()
        wall = self._shift.link.clock.now()
        out: Row = {"id": job.id, "queue": job.queue, "task": job.task, "worker": self._worker, "attempt": run.lent.attempt}
        out["lease_left"] = round(run.lent.until - now, 3)
        if not _goes_on(run):
            return out | {"state": "ended" if run.ended else "in hand", "held": round(now - run.taken, 3)}
        out |= {"state": "running", "since": wall - (now - run.started), "seconds": round(now - run.started, 3)}
        if run.deadline != NEVER:
            out["timeout_in"] = round(run.deadline - now, 3)
        if run.verdict:
            out["ending"] = run.verdict.name.lower()
        return out | {"doing": does(run)}

    def _finder(self, pool: Pool, whole: Whole) -> Callable[[Run], Row]:
        from ..pools.loop import LoopPool
        from ..pools.processes import ProcessPool

        if isinstance(pool, ProcessPool):
            return _in_children(pool)
        if isinstance(pool, LoopPool):
            return _in_loop(pool, whole)
        return _in_threads(whole)


def _goes_on(run: Run) -> bool:
    return bool(run.started) and not run.ended


def _in_threads(whole: Whole) -> Callable[[Run], Row]:
    found: dict[int, Row] = {}
    for standing, frame in whole.find(lambda frame: _stands_in(frame, "pools/threads.py", "ThreadPool._serve", "ThreadPool._serve_group")):
        runs = frame.f_locals.get("start") or [frame.f_locals.get("run")]
        waits = next((one for one in standing.frames if _stands_in(one, "background.py", "Background.run")), None)
        call = waits.f_locals.get("call") if waits is not None else None
        task = call.task if call is not None else None
        does = whole.task(task) if task is not None else standing.doing() | {"thread": standing.name}
        found |= {id(run): does for run in runs}
    return lambda run: found.get(id(run), _UNKNOWN)


def _in_loop(pool: LoopPool, whole: Whole) -> Callable[[Run], Row]:
    beside = {id(frame.f_locals.get("ended")): standing for standing, frame in whole.find(_is_beside)}

    def does(run: Run) -> Row:
        task = pool.task(run)
        if task is None:
            return _UNKNOWN
        standing = beside.get(id(getattr(task, "_fut_waiter", None)))
        return standing.doing() | {"thread": standing.name} if standing is not None else whole.task(task)

    return does


def _is_beside(frame: FrameType) -> bool:
    return _stands_in(frame, "pools/aside.py", "Aside.call.<locals>.run")


def _in_children(pool: ProcessPool) -> Callable[[Run], Row]:
    """What the main thread of a child does; its job runs there, or in the loop that stands there."""
    heard = {pid: _heard(pid, "stacks", answer) for pid, answer in pool.look("stacks")}

    def does(run: Run) -> Row:
        pid = pool.pid(run)
        if pid is None:
            return _UNKNOWN
        row = heard.get(pid, {})
        shown = row.get("stacks")
        if not isinstance(shown, dict):
            return {"state": "unknown", "text": row.get("error", "its process is gone"), "process": pid}
        return _of_child(shown, run) | {"process": pid}

    return does


def _of_child(shown: Row, run: Run) -> Row:
    for task in shown.get("tasks", ()):
        if task.get("name") == run.lent.job.id:
            found: Row = task["doing"]
            return found
    main = next((thread for thread in shown.get("threads", ()) if thread.get("name") == "MainThread"), None)
    return main["doing"] | {"thread": "MainThread"} if main is not None else _UNKNOWN


def _heard(pid: int, what: str, answer: Any) -> Row:
    """What a child answered; of one that did not, what the kernel tells."""
    if answer is not None:
        return {"pid": pid, what: answer}
    from ...sight import machine

    outside = machine.outside(pid)
    return {"pid": pid, "error": f"process {pid} does not answer: {machine.outside_text(outside)}", "outside": outside}


_UNKNOWN: Row = {"state": "unknown", "text": "it is about to begin or has just ended"}
