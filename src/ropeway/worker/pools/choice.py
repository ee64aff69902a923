"""Which pool is meant by `pool=`, made with what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import BadValue
from ...retry import Retry
from ..execution import Runner, TaskWork, Work
from ..inbox import Inbox
from ..judge import Judge
from ..run import Shift
from .groups import Groups
from .pool import Pool
from .threads import ThreadPool

if TYPE_CHECKING:
    from ...tasks import Tasks
    from ..shell import ShellRunner

POOLS = ("thread", "process", "async", "uvloop")
FEW, MANY = 4, 100  # jobs at once when nobody says: of threads and processes, and of coroutines


def make_pool(
    pool: str | Runner,
    slots: int | None,
    shift: Shift,
    inbox: Inbox,
    judge: Judge,
    tasks: Tasks | None,
    *,
    retry: Retry | None = None,
    max_jobs_per_child: int | None = None,
    max_memory: int | None = None,
    commands: ShellRunner | None = None,
) -> Pool:
    """The pool of that name, or one whose slots do what a runner says. `slots` None: as many as are usual for it. `commands`: what runs the
    shell jobs among the others.

    Raises BadValue for a name that is none, or without tasks to run; ConfigError for what this machine or program lacks."""

    def beside(work: Work) -> Work:
        return work if commands is None or commands is pool else commands.beside(work, judge)

    if not isinstance(pool, str):
        return ThreadPool(slots or FEW, shift, inbox, judge, lambda _: beside(pool.work(judge)))
    if pool not in POOLS:
        raise BadValue(f"there is no pool {ascii(pool)[:40]}; take one of {' '.join(POOLS)}, or a runner such as CommandRunner")
    if tasks is None:
        raise BadValue("a worker without a runner needs tasks to run")
    if pool == "thread":
        return ThreadPool(slots or FEW, shift, inbox, judge, lambda stuck: beside(TaskWork(tasks, judge, stuck)), Groups(tasks))
    if commands is not None:
        raise BadValue(f"shell jobs run beside tasks in a pool of threads, not in pool={pool!r}; start a worker for each")
    if pool == "process":
        tasks.check_plain()
        from .processes import ProcessPool

        limits = {"max_jobs": max_jobs_per_child, "max_memory": max_memory}
        return ProcessPool(slots or FEW, shift, inbox, judge, tasks, retry=retry, **limits)
    from .loop import LoopPool

    return LoopPool(slots or MANY, shift, inbox, judge, tasks, fast=pool == "uvloop")
