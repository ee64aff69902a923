"""How a type checker sees tasks that take several jobs at once: put one by one, called with a list."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, Protocol, Required, TypeVar, overload

from ..durations import Duration
from .task import Task, TaskOptions

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")
A = TypeVar("A")
B = TypeVar("B")
D = TypeVar("D")
T = TypeVar("T")

Later = Coroutine[Any, Any, list[R]]


class BatchOptions(TaskOptions, total=False):
    """Those of every task, and what makes it one for several jobs at once."""

    batch: Required[int]  # take up to so many: the function gets a list and answers a list (tasks/batch.py)
    batch_wait: Duration  # how long to wait for more of them; not at all


class BatchTask(Task[P, R, C], Generic[P, R, C]):
    """A task that takes several jobs at once: `put` takes what one of them carries, a plain call the whole list."""

    def __call__(self, jobs: list[Any], /) -> C:  # type: ignore[override]
        return self.function(jobs)  # type: ignore[call-arg,arg-type]


class DecorateBatch(Protocol):
    """What `task(batch=...)` answers. Items that are tuples of two or three are the arguments of `put`."""

    @overload
    def __call__(self, function: Callable[[list[tuple[A, B]]], list[R]], /) -> BatchTask[[A, B], R, list[R]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[[list[tuple[A, B]]], Later[R]], /) -> BatchTask[[A, B], R, Later[R]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[[list[tuple[A, B]]], C], /) -> BatchTask[[A, B], Any, C]: ...
    @overload
    def __call__(self, function: Callable[[list[tuple[A, B, D]]], list[R]], /) -> BatchTask[[A, B, D], R, list[R]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[[list[tuple[A, B, D]]], Later[R]], /) -> BatchTask[[A, B, D], R, Later[R]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[[list[tuple[A, B, D]]], C], /) -> BatchTask[[A, B, D], Any, C]: ...
    @overload
    def __call__(self, function: Callable[[list[T]], list[R]], /) -> BatchTask[[T], R, list[R]]: ...
    @overload
    def __call__(self, function: Callable[[list[T]], Later[R]], /) -> BatchTask[[T], R, Later[R]]: ...
    @overload
    def __call__(self, function: Callable[[list[T]], C], /) -> BatchTask[[T], Any, C]: ...
