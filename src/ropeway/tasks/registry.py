"""The registry of tasks: by name, with what goes around them and who is told of them. It may be made before there is a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from ..calls.failures import know
from ..errors import BadValue, ConfigError
from ..hooks import HOOKS, OF_WORKERS, Hook, Hooks, call
from ..link import Link
from ..middleware import Layer, check_middleware, compose
from ..queue import Queue
from .batched import BatchOptions, BatchTask, DecorateBatch
from .putting import Around, PutLayer, PutMiddleware
from .task import Task, TaskOptions

if TYPE_CHECKING:
    from ..handle import Handle
    from ..job import Job
    from ..schedule import CatchUp
    from ..schedules import Coded
    from .context import TaskClaim
    from .subscribing import GroupOptions, Subscription
    from .ticking import Scheduled

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Callable[..., Any])


_MADE = 1024  # handles of queues that are kept


class Here(Protocol):
    """Runs what was just put, where it was put."""

    def put(self, jobs: Iterable[Job], handles: Iterable[Handle[Any]]) -> None: ...


class Decorate(Protocol):
    """What `task(...)` with options answers: the decorator itself."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R, R]: ...


class Tasks:
    """Tasks by name, and what goes around them. Each broker has one, which it passes `task` on to as its own.

    A module that is to be imported without a store makes one of its own, `tasks = ropeway.Tasks()`, and whoever opens the store says
    `broker.include(tasks)`: from then on its tasks are put there, and workers of that broker run them. `queue` is where a task's jobs go
    that names none. `queues` answers the handle of a queue, with its settings.
    """

    def __init__(self, link: Link | None = None, *, queue: str = "default", queues: Callable[[str], Queue[Any]] | None = None) -> None:
        self._own_middleware: tuple[Layer, ...] = ()
        self._put_layers: tuple[PutLayer, ...] = ()
        self._hooks = Hooks()
        self.own_link = link
        self.above: Tasks | None = None
        self.here: Here | None = None  # what runs jobs where they were put, in inline mode
        self._included: tuple[Tasks, ...] = ()
        self._default = queue
        self._made: dict[str, Queue[Any]] = {}
        self._queues = queues
        self._tasks: dict[str, Task[..., Any, Any]] = {}
        self._schedules: tuple[Coded, ...] = ()
        self._subscriptions: tuple[Subscription, ...] = ()

    # Registering

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(self, function: None = None, /, **options: Unpack[BatchOptions]) -> DecorateBatch: ...
    @overload
    def task(self, function: None = None, /, **options: Unpack[TaskOptions]) -> Decorate: ...
    def task(self, function: Any = None, /, **options: Any) -> Any:
        """Make a task of a function: `@tasks.task` or `@tasks.task(queue="mails", timeout="30s")`; options: see TaskOptions.

        It stays callable as the function it is. Raises BadValue when the name is taken by another function, BadName when it is no name.
        """
        if function is None:
            return lambda function: self.task(function, **options)
        if unknown := options.keys() - BatchOptions.__annotations__.keys():
            raise TypeError(f"a task has no option {min(unknown)!r}; it has: {' '.join(BatchOptions.__annotations__)}")
        if not callable(function):
            raise TypeError(f"a task is made of a function, not of {function!r:.80}")
        options["queue"] = options.get("queue") or self._default
        made: Task[..., Any, Any] = (BatchTask if "batch" in options else Task)(function, self, **options)
        _check_free(made, self.top.get(made.name))
        self._tasks[made.name] = made
        return made

    def cron(
        self,
        expression: str,
        *,
        name: str = "",
        tz: str = "UTC",
        catch_up: CatchUp = "last",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Scheduled:
        """Run a task at each tick of the expression, see Broker.cron."""
        from .ticking import scheduled

        return scheduled(self.task, self._schedule, expression, name, tz, catch_up, args, kwargs)

    def _schedule(self, one: Coded) -> None:
        _check_unscheduled((one,), self.top.schedules)
        self._schedules = (*self._schedules, one)

    @property
    def schedules(self) -> tuple[Coded, ...]:
        """What the code asks to be run by a schedule, also of what is included: workers write it into the store when they start."""
        return (*self._schedules, *(one for other in self._included for one in other.schedules))

    def subscribe(
        self, *patterns: str, group: str | None = None, buffer: int | None = None, **options: Unpack[GroupOptions]
    ) -> Callable[[F], F]:
        """Have the function called with each message whose topic the patterns mean, see Broker.subscribe."""
        from .subscribing import subscribed

        register = subscribed(self, patterns, group, buffer, options)

        def decorate(function: F) -> F:
            subscription, task = register(function)
            self._subscriptions = (*self._subscriptions, subscription)
            if task is not None:
                self._tasks[task.name] = task
            return function

        return decorate

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """What hears topics, also of what is included."""
        return (*self._subscriptions, *(one for other in self._included for one in other.subscriptions))

    @property
    def groups(self) -> dict[str, tuple[tuple[str, ...], float]]:
        """The durable groups that the code asks for, with their patterns and how long they keep: workers write them into the store when
        they start, and work for them."""
        if not self.subscriptions:
            return {}
        from .subscribing import groups_of

        return groups_of(self, self.subscriptions)

    def include(self, *others: Tasks) -> None:
        """Take in registries that were made without a store: their tasks are put where these are, and run by the same workers. What goes
        around the tasks of this one goes around theirs, outermost.

        Raises BadValue when one belongs elsewhere already (unless that store was closed), or has a task whose name is taken.
        """
        top = self.top
        for other in others:
            if other in self._included and other.above is self:
                continue
            if other is top or other.own_link is not None:
                raise BadValue("a registry that has a store of its own cannot be included; make it with Tasks(), without one")
            if other.above is not None and other.above is not self and not _over(other.top.own_link):
                raise BadValue(
                    "these tasks are included elsewhere already, and one put can go to one place only; nothing was included. "
                    "Close that broker first, or make a second Tasks()"
                )
            for task in other:
                _check_free(task, top.get(task.name))
            _check_unscheduled(other.schedules, top.schedules)
        for other in others:
            if other not in self._included:
                self._included = (*self._included, other)
            other.above = self

    # What goes around

    def use(self, middleware: M) -> M:
        """Put a middleware around the runs of all tasks, inside those used before. A worker takes those that were used before it started.

        Raises BadValue for what is no middleware."""
        check_middleware(middleware)
        self._own_middleware = (*self._own_middleware, middleware)
        return middleware

    def use_put(self, middleware: PutMiddleware, awaited: PutMiddleware | None = None) -> PutMiddleware:
        """Put a middleware around the puts of all tasks, inside those used before: a function (put, call_next), which answers what
        `call_next(put)` does. Around `aput` it goes by `awaited`, an `async def` one; without that, in a thread of its own.

        Raises BadValue for what is no middleware."""
        self._put_layers = (*self._put_layers, PutLayer(middleware, awaited))
        return middleware

    def hook(self, name: str) -> Callable[[F], F]:
        """A decorator: call the function from now on when `name` (see the table of hooks) happens to any of these tasks, or to a worker
        that runs them. Raises BadValue for a hook that is not there, and for what is no plain function with its arguments."""
        return lambda function: self._hooks.add(name, function)

    @staticmethod
    def errors(*classes: type[Exception]) -> None:
        """Name exception classes of your own that jobs raise: where such an error comes back from a call or a result, it is caught by
        `except` of its class, as Python's own errors are. It carries the text, not the attributes. For the whole process.

        Raises BadValue for what is no exception class."""
        know(*classes)

    @property
    def parts(self) -> tuple[Tasks, ...]:
        """What is included, if that is all that there is to this registry; nothing when it has tasks, middleware or hooks of its own."""
        own = self._tasks or self._own_middleware or self._put_layers or any(self._hooks[name] for name in HOOKS)
        return () if own else self._included

    # For workers, and for puts

    @property
    def middleware(self) -> tuple[Layer, ...]:
        """What goes around the runs of these tasks, the outermost first; of an included registry also what goes around all."""
        return (*(() if self.above is None else self.above.middleware), *self._own_middleware)

    @property
    def put_layers(self) -> tuple[PutLayer, ...]:
        """What goes around the puts of these tasks, likewise."""
        return (*(() if self.above is None else self.above.put_layers), *self._put_layers)

    def around_put(self, task: Task[..., Any, Any]) -> Around | None:
        """What goes around the puts of this task; None for nothing, as a rule."""
        registry: Tasks | None = self
        while registry is not None and not registry._put_layers and not registry._hooks.of_puts:  # noqa: SLF001
            registry = registry.above
        if registry is None and not task.hooks.of_puts:
            return None
        return Around(self.put_layers, self.hooked("before_put", task), self.hooked("after_put", task))

    def hooked(self, name: str, task: Task[..., Any, Any] | None = None) -> tuple[Hook, ...]:
        """Whom to call: those of the registries from the outermost in, then those of the task. Of workers: of all that is included."""
        if name in OF_WORKERS:
            return (*self._hooks[name], *(hook for other in self._included for hook in other.hooked(name)))
        if task is not None:
            return (*task.home.hooked(name), *task.hooks[name])
        return (*(() if self.above is None else self.above.hooked(name)), *self._hooks[name])

    def around(self, task: Task[..., Any, Any], *, awaited: bool = False) -> tuple[Layer, ...]:
        """All that goes around a run of this task, for `compose` or `compose_awaited`: the hooks outermost, then the middleware."""
        before, after = self.hooked("before_run", task), self.hooked("after_run", task)
        layers = task.home.middleware
        if not before and not after:
            return layers
        return (_told_awaited(before, after) if awaited else _told(before, after), *layers)

    def check_plain(self) -> None:
        """Raises BadValue when a middleware is `async def`: said where a worker of another pool is made, and not job by job."""
        compose(self.middleware, lambda _: None)
        for other in self._included:
            other.check_plain()

    def get(self, name: str) -> Task[..., Any, Any] | None:
        """The task of that name, also of what is included; or None."""
        found = self._tasks.get(name)
        if found is None and self._included:
            for other in reversed(self._included):  # a module that was loaded again has made a new registry
                if (found := other.get(name)) is not None:
                    break
        return found

    @property
    def link(self) -> Link:
        """Where these tasks are put. Raises ConfigError while nobody has said so."""
        link = self.top.own_link
        if link is None:
            raise ConfigError(
                "these tasks have no store yet, so nothing was done: whoever opens it says broker.include(tasks), "
                "with broker = ropeway.connect(...) and tasks the Tasks() that they were registered with"
            )
        return link

    def queue_of(self, name: str) -> Queue[Any]:
        """The handle of a queue, by the settings of the connection that these tasks belong to."""
        if self.own_link is None and self.above is not None:
            return self.above.queue_of(name)
        made = self._made.get(name)
        if made is None:
            if len(self._made) >= _MADE:  # a queue for each customer, perhaps
                self._made.clear()
            made = self._made[name] = self._queues(name) if self._queues is not None else Queue(self.link, name)
        return made

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[Task[..., Any, Any]]:
        yield from self._tasks.values()
        for other in self._included:
            yield from other

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def top(self) -> Tasks:
        """The registry that this one belongs to in the end, itself if to none."""
        return self if self.above is None else self.above.top


def _told(before: tuple[Hook, ...], after: tuple[Hook, ...]) -> Layer:
    """The hooks before and after a run, as its outermost layer."""

    def told(claim: TaskClaim, call_next: Callable[[TaskClaim], Any]) -> Any:
        call("before_run", before, claim)
        error: BaseException | None = None
        try:
            return call_next(claim)
        except BaseException as raised:
            error = raised
            raise
        finally:
            call("after_run", after, claim, error)

    return told


def _over(link: Link | None) -> bool:
    return link is not None and link.closed


def _told_awaited(before: tuple[Hook, ...], after: tuple[Hook, ...]) -> Layer:
    async def told(claim: TaskClaim, call_next: Callable[[TaskClaim], Any]) -> Any:
        call("before_run", before, claim)
        error: BaseException | None = None
        try:
            return await call_next(claim)
        except BaseException as raised:
            error = raised
            raise
        finally:
            call("after_run", after, claim, error)

    return told


def _check_free(task: Task[..., Any, Any], known: Task[..., Any, Any] | None) -> None:
    if known is not None and known is not task and _place(known.function) != _place(task.function):
        raise BadValue(f"there is a task {task.name} already ({'.'.join(_place(known.function))}); give this one another: @task(name=...)")


def _place(function: Any) -> tuple[str, str]:
    """Where a function was written: a module that is loaded again makes the same task again."""
    return getattr(function, "__module__", "") or "", getattr(function, "__qualname__", "") or repr(function)


def _check_unscheduled(new: Iterable[Coded], known: Iterable[Coded]) -> None:
    """BadValue for a schedule whose name is taken."""
    names = {one.name for one in known}
    for one in new:
        if one.name in names:
            raise BadValue(f"there is a schedule {one.name} in this program already; give this one another: cron(..., name=...)")
