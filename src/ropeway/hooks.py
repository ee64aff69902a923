"""The hooks: what an application may be told of as it happens to its jobs and its workers. One table of names, in the order they come in.

    @tasks.hook("on_failure")
    def alarm(ended):
        page_somebody(ended.job.task, ended.error)

A hook is a plain function. What it raises is logged and harms nothing, but for `before_put`: that one may refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from msgspec import Struct

from .errors import BadValue, NotAllowed
from .failure import one_line
from .job import Job
from .names import shown

F = TypeVar("F", bound=Callable[..., Any])
Hook = Callable[..., Any]

# name: (what it is called with, when)
HOOKS: dict[str, tuple[str, str]] = {
    "worker_start": ("worker", "a worker begins, before its first claim"),
    "process_start": ("pid", "a process that runs tasks begins, in that process: the worker's own, or each child of a process pool"),
    "before_put": ("put", "a task is about to be put; raising, or answering False, keeps its jobs out"),
    "after_put": ("put, handles", "the jobs of a put are safe"),
    "before_run": ("claim", "a run begins: its arguments are checked, its middleware is not entered yet"),
    "after_run": ("claim, error", "a run has ended; the error is None when it ended well"),
    "on_retry": ("ended", "the store has taken back a job that failed, and it will run again"),
    "on_failure": ("ended", "a job failed for the last time: it is dead, and the store says so"),
    "on_lost": ("ended", "a run ended and was not recorded: its lease was lost, and the newer run stands"),
    "idle": ("worker", "a worker holds nothing and found nothing due; once until it has work again"),
    "process_stop": ("pid", "such a process ends in good order, in that process; one that is killed does not say so"),
    "worker_stop": ("worker", "a worker has ended, and all its jobs are settled or given back"),
}

OF_WORKERS = frozenset({"worker_start", "process_start", "idle", "process_stop", "worker_stop"})  # these are about no task
OF_PUTS = frozenset({"before_put", "after_put"})
OF_ENDS = frozenset({"on_retry", "on_failure", "on_lost"})


class Ended(Struct, frozen=True):
    """A run that ended badly, as the hooks `on_retry`, `on_failure` and `on_lost` see it. `error` is one line, "Type: text"."""

    job: Job
    attempt: int
    error: str = ""
    traceback: str = ""
    delay: float = 0.0  # on_retry: seconds until it is due again


class Hooks:
    """The functions of one registry, or of one task, by the name of their hook."""

    __slots__ = ("_functions", "of_puts")

    def __init__(self) -> None:
        self._functions: dict[str, tuple[Hook, ...]] = {}
        self.of_puts = False  # whether there are any

    def add(self, name: str, function: F) -> F:
        """Call it from now on when `name` happens. Raises BadValue for a hook that is not there, and for what is no plain function."""
        from inspect import iscoroutinefunction, signature

        if name not in HOOKS:
            raise BadValue(f"there is no hook {shown(name)}; there are: {' '.join(HOOKS)}")
        given = HOOKS[name][0]
        if not callable(function) or iscoroutinefunction(function):
            raise BadValue(f"{function!r:.80} cannot be hooked to {name}: it must be a plain function ({given})")
        try:
            signature(function).bind(*given.split(", "))
        except (TypeError, ValueError):
            raise BadValue(f"{function!r:.80} cannot be hooked to {name}: it must take ({given})") from None
        self.of_puts = self.of_puts or name in OF_PUTS
        self._functions[name] = (*self._functions.get(name, ()), function)
        return function

    def __getitem__(self, name: str) -> tuple[Hook, ...]:
        return self._functions.get(name, ())


def call(name: str, functions: Iterable[Hook], *given: Any) -> None:
    """Call them in order; what one raises is logged, and the next one is called."""
    for function in functions:
        try:
            function(*given)
        except Exception as error:  # a hook is told, and must not be able to harm the job
            import logging

            logging.getLogger("ropeway.hooks").warning(
                "the hook %s (%s) failed, and was passed over: %s", _name(function), name, one_line(error), exc_info=error
            )


def ask(functions: Iterable[Hook], put: Any, what: str) -> None:
    """Call the `before_put` hooks: what one raises goes on to the caller. Raises NotAllowed when one answers False."""
    for function in functions:
        if function(put) is False:
            raise NotAllowed(f"task {what}: the hook {_name(function)} keeps it out; nothing was stored")


def _name(function: Hook) -> str:
    return str(getattr(function, "__qualname__", "") or f"{function!r:.80}")
