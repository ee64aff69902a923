"""The registry of tasks: the only way from a job's `task` to code. What is not registered does not run; nothing is imported by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from ..errors import BadValue
from ..link import Link
from ..middleware import Middleware, check_middleware
from ..queue import Queue
from .context import TaskClaim, current_claim
from .task import CallOptions, Chosen, Handles, Task, TaskOptions

__all__ = ["CallOptions", "Chosen", "Handles", "Task", "TaskClaim", "TaskOptions", "Tasks", "current_claim"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Decorate(Protocol):
    """What `task(...)` with options answers: the decorator itself."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class Tasks:
    """Tasks by name, and the middleware around them. One for each broker, which passes `task` on as its own.

    `queues` answers the handle of a queue, with its settings; `queue` is where a task's jobs go that names none.
    """

    def __init__(self, link: Link, *, queue: str = "default", queues: Callable[[str], Queue[Any]] | None = None) -> None:
        self.middleware: tuple[Middleware, ...] = ()
        self._link = link
        self._default = queue
        self._made: dict[str, Queue[Any]] = {}
        self._queues = queues or self._queue
        self._tasks: dict[str, Task[..., Any, Any]] = {}

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(self, function: None = None, /, **options: Unpack[TaskOptions]) -> Decorate: ...
    def task(self, function: Any = None, /, **options: Any) -> Any:
        """Make a task of a function: `@tasks.task` or `@tasks.task(queue="mails", timeout="30s")`; options: see TaskOptions.

        It stays callable as the function it is. Raises BadValue when the name is taken by another function, BadName when it is no name.
        """
        if function is None:
            return lambda function: self.task(function, **options)
        if unknown := options.keys() - TaskOptions.__annotations__.keys():
            raise TypeError(f"a task has no option {min(unknown)!r}; it has: {' '.join(TaskOptions.__annotations__)}")
        if not callable(function):
            raise TypeError(f"a task is made of a function, not of {function!r:.80}")
        options["queue"] = options.get("queue") or self._default
        made: Task[..., Any, Any] = Task(function, self._link, self._queues, **options)
        known = self._tasks.get(made.name)
        if known is not None and _place(known.function) != _place(function):
            raise BadValue(
                f"there is a task {made.name} already ({'.'.join(_place(known.function))}); give this one another: @task(name=...)"
            )
        self._tasks[made.name] = made
        return made

    def use(self, middleware: Middleware) -> Middleware:
        """Put a middleware around all tasks, inside those used before. A worker takes those that were used before it started.

        Raises BadValue for what is no middleware."""
        self.middleware = (*self.middleware, check_middleware(middleware))
        return middleware

    def get(self, name: str) -> Task[..., Any, Any] | None:
        """The task of that name, or None."""
        return self._tasks.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task[..., Any, Any]]:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def _queue(self, name: str) -> Queue[Any]:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Queue(self._link, name)
        return made


def _place(function: Any) -> tuple[str, str]:
    """Where a function was written: a module that is loaded again makes the same task again."""
    return getattr(function, "__module__", "") or "", getattr(function, "__qualname__", "") or repr(function)
