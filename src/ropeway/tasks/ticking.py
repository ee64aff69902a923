"""Tasks that run by a schedule: the decorator, and what it leaves for the workers to write down."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from ..schedule import CatchUp
from ..schedules import Coded, coded
from .task import Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
K = TypeVar("K", bound=Task[..., Any, Any])


class Scheduled(Protocol):
    """What `cron(...)` answers: a decorator for tasks, and for functions that become one."""

    @overload
    def __call__(self, task: K, /) -> K: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


def scheduled(
    made: Callable[[Any], Task[..., Any, Any]],
    register: Callable[[Coded], None],
    expression: str,
    name: str,
    tz: str,
    catch_up: CatchUp,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
) -> Scheduled:
    """The decorator. `made` makes a task of a function, `register` takes what the workers are to write down."""

    def decorate(function: Any) -> Any:
        task = function if isinstance(function, Task) else made(function)

        def job() -> Any:
            return task._job({}, tuple(args), dict(kwargs or {}))  # noqa: SLF001

        register(coded(name or task.name, expression, tz=tz, catch_up=catch_up, job=job))
        return task

    return decorate
