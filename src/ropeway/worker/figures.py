"""The numbers of the workers in this process as Prometheus reads them, for the page that shows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from ..history.sums import Sums
from ..history.tally import Tally
from ..metrics import Exposition, build_info
from .journal import Counters
from .run import Run


class Working(Protocol):
    """A worker as it is counted here (fleet/post.py)."""

    url: str
    tally: Tally
    counters: Counters

    @property
    def busy(self) -> float: ...  # seconds that its jobs had, in all
    @property
    def woken(self) -> int: ...
    @property
    def uptime(self) -> float: ...
    def slots(self) -> int: ...
    def runs(self) -> Sequence[Run]: ...


at_work: list[Working] = []  # those that run in this process

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=at_work.clear)  # a forked child has none of its parent's threads, so none of its workers


def worker_metrics() -> str:
    """The metrics of all workers of this process since their start, in the text format of Prometheus; nothing when there are none. From any
    thread; asks no store."""
    workers = list(at_work)
    if not workers:
        return ""
    ends: dict[tuple[str, str], Sums] = {}
    for worker in workers:
        for name, sums in worker.tally.totals().items():
            ends.setdefault(name, Sums()).add(sums)
    runs = [run for worker in workers for run in worker.runs()]
    out = Exposition()
    out.ends(ends)
    out.add("ropeway_wakeups_total", sum(worker.woken for worker in workers))
    out.add("ropeway_uptime_seconds", round(max(worker.uptime for worker in workers), 3))
    out.add("ropeway_worker_slots", sum(worker.slots() for worker in workers))
    out.add("ropeway_worker_running", len([run for run in runs if run.started and not run.ended]))
    out.add("ropeway_worker_held", len(runs))
    out.add("ropeway_worker_claims_total", sum(worker.counters.claimed for worker in workers))
    out.add("ropeway_worker_busy_seconds_total", round(sum(worker.busy for worker in workers), 6))
    out.add("ropeway_build_info", build_info(workers[0].url))
    return out.text()
