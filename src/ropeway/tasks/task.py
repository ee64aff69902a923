"""A task: a function that can be put as a job, and still called as the function it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack

from msgspec.structs import replace

from ..aio import facade
from ..codecs import Way, codec, named
from ..durations import Duration, seconds
from ..errors import BadValue
from ..handle import Handle, results
from ..hooks import OF_WORKERS, Hooks
from ..job import Job
from ..link import Link
from ..names import check_name
from ..options import PutOptions, Settings
from ..queue import Queue
from ..retry import Retry
from ..unique import Edge, check_unique, edge_of
from .calling import OF_CALLS, Called
from .putting import Put, ago, go

if TYPE_CHECKING:
    from datetime import datetime

    from ..calls.wire import Started
    from ..options import OnConflict
    from .arguments import Arguments
    from .batch import Batching
    from .registry import Tasks

P = ParamSpec("P")
R = TypeVar("R")  # what a run returns
C = TypeVar("C")  # what a plain call returns: R, or for `async def` a coroutine of it
F = TypeVar("F", bound=Callable[..., Any])


class TaskOptions(TypedDict, total=False):
    """What may be said about a task where it is defined. Durations are seconds or text such as "10m"."""

    name: str | None  # that jobs know it by; the function's own
    queue: str | None  # where its jobs go; "default"
    retry: Retry | int | None  # the policy, or the number of attempts; the worker's
    timeout: Duration | None  # of one run
    unique: str  # the key of its jobs, with arguments by name: "user:{user_id}"
    unique_for: Duration | None  # that key stays taken for so long from the put, also when the job is done
    debounce: Duration | None  # due when no other put of that key has come for so long: each takes the place of the one before
    debounce_max: Duration | None  # at most so long after the first of them
    lane: str  # the lane of its jobs, likewise
    keep: Duration | None  # how long a done job stays, with its result
    priority: int | None
    ttl: Duration | None
    codec: str | None  # how its arguments and result travel: json, msgpack, yaml, raw, pickle; as the queue says


class CallOptions(TypedDict, total=False):
    """What may be said about one put of a task; more than its definition says, or instead of it."""

    queue: str
    delay: Duration
    at: datetime | None
    priority: int
    key: str | None
    lane: str | None
    ttl: Duration | None
    keep: Duration | None
    headers: Mapping[str, str] | None
    on_conflict: OnConflict
    unique_for: Duration | None
    debounce: Duration | None
    debounce_max: Duration | None
    once: bool
    id: str | None
    tx: Any
    timeout: Duration  # these three for calls only: for the answer
    on_start: Callable[[Started], object] | None  # told when a worker begins
    on_progress: Callable[[Any], object] | None  # told what the run says with `progress`


_KNOWN = frozenset(CallOptions.__annotations__)
_JSON = codec("json")


class Task(Called[P, R], Generic[P, R, C]):
    """The function, and its name among the tasks. Made by the `task` decorator. `home` is the registry that it belongs to."""

    def __init__(
        self,
        function: Callable[P, C],
        home: Tasks,
        *,
        batch: int | None = None,
        batch_wait: Duration | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        self.function = function
        self.name = check_name(_named(function, options.get("name")), "task")
        self.queue = check_name(options.get("queue") or "default")
        self.retry = _policy(options.get("retry"))
        self.timeout = seconds(limit, "timeout") if (limit := options.get("timeout")) is not None else None
        self.batch = _batch(batch, batch_wait)
        self.batching: Batching | None = None
        self.unique = options.get("unique") or ""
        self.lane = options.get("lane") or ""
        self.__name__ = getattr(function, "__name__", self.name)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self.__module__ = function.__module__
        self.home = home
        self.hooks = Hooks()
        self.codec = named(options["codec"])[0] if options.get("codec") else ""
        self._arguments: Arguments | None = None
        self._ways: dict[tuple[str, ...], Way] = {}
        self._result: Any = None
        self._options: PutOptions = {"task": self.name}
        if (priority := options.get("priority")) is not None:
            self._options["priority"] = priority
        if (ttl := options.get("ttl")) is not None:
            self._options["ttl"] = seconds(ttl, "ttl")
        self.keep = seconds(keep, "keep") if (keep := options.get("keep")) is not None else None
        if self.keep is not None:
            self._options["keep"] = self.keep
        for name in ("unique_for", "debounce", "debounce_max"):
            if (length := options.get(name)) is not None:
                self._options[name] = seconds(length, name)  # type: ignore[arg-type]
        check_unique({**self._options, "key": self.unique})
        self._edge = edge_of(self._options)
        if self.timeout == 0:
            raise BadValue(f"task {self.name}: a timeout of 0 would end every run; leave it out for none")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        return self.function(*args, **kwargs)

    def put(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Put a job that runs the function with these arguments. Raises TypeError when it cannot be called so, BadBody when an argument is
        not of its type or JSON cannot carry it; for the rest see `Queue.put`. Nothing is stored then."""
        return self._put((self._job({}, args, kwargs),), keep_first=False, edge=self._edge)[0]

    async def aput(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """The awaitable twin of `put`."""
        return (await self._aput((self._job({}, args, kwargs),), keep_first=False, edge=self._edge))[0]

    def options(self, **options: Unpack[CallOptions]) -> Chosen[P, R]:
        """The same task with options for its next put: `task.options(delay="1m").put(42)`."""
        return Chosen(self, options)

    def map(self, *iterables: Iterable[Any]) -> Handles[R]:
        """Put a job for each item, in one commit; with several iterables, for each tuple of items, as the builtin `map` calls."""
        return Chosen(self, {}).map(*iterables)

    async def amap(self, *iterables: Iterable[Any]) -> Handles[R]:
        """The awaitable twin of `map`."""
        return await Chosen(self, {}).amap(*iterables)

    def hook(self, name: str) -> Callable[[F], F]:
        """A decorator: call the function from now on when `name` (see the table of hooks) happens to this task. Raises BadValue for a hook
        that is not there or is about no task, and for what is no plain function with its arguments."""
        if name in OF_WORKERS:
            raise BadValue(f"{name} is about a worker, not about one task: write @tasks.hook({name!r})")
        return lambda function: self.hooks.add(name, function)

    @property
    def arguments(self) -> Arguments:
        """How its arguments travel; made at first use. Raises BadValue when the signature cannot be carried at all."""
        if self._arguments is None:
            from .arguments import Arguments, result_type

            function: Callable[..., Any] = self.function
            if self.batch is not None:
                from .batch import Batching

                self.batching = batching = Batching(self.name, function)
                function = batching.one
            self._result = result_type(function)
            self._arguments = Arguments(self.name, function, (self.unique, self.lane))
        return self._arguments

    def way(self, settings: Settings) -> Way:
        """How its arguments and results travel through a queue with these settings: by its own codec, if it has one."""
        if not self.codec:
            return settings.way()
        way = self._ways.get(settings.accept)
        if way is None:
            way = self._ways[settings.accept] = replace(settings, codec=self.codec).way()
        return way

    def read(self, body: bytes, content_type: str, way: Way) -> Any:
        """The arguments of a job, in the form that `arguments.call` takes. Raises BadBody when they do not fit, or are not read here."""
        return self.arguments.decode(body, way.reader(content_type) or _JSON)

    def _job(self, chosen: CallOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        arguments = self._arguments or self.arguments
        queue = self._queues(chosen.get("queue") or self.queue)
        by = self.way(queue.settings).codec
        body, values = arguments.encode(args, kwargs, by)
        options: PutOptions = self._options
        if chosen or self.unique or self.lane:
            if of_calls := chosen.keys() & OF_CALLS:
                raise TypeError(f"{min(of_calls)} is for call, begin and stream, not for put; nothing was stored")
            options = options.copy()
            if self.unique:
                options["key"] = self.unique.format_map(arguments.named(values))
            if self.lane:
                options["lane"] = self.lane.format_map(arguments.named(values))
            options.update({k: v for k, v in chosen.items() if k not in ("queue", "tx")})  # type: ignore[typeddict-item]
        return queue.job(body, by.kind, **options)

    def _put(self, jobs: tuple[Job, ...], *, keep_first: bool, tx: Any = None, edge: Edge | None = None) -> Handles[R]:
        if not jobs:
            return Handles()

        around, here = self.home.around_put(self), self.home.top.here
        queue = self._queues(jobs[0].queue)
        if around is None and here is None:
            return self._handles(jobs, queue, queue.put_jobs(jobs, keep_first=keep_first, tx=tx, edge=edge))

        def store(put: Put) -> Handles[R]:
            return self._handles(put.jobs, queue, queue.put_jobs(put.jobs, keep_first=keep_first, tx=tx, edge=edge))

        put = Put(self, jobs, tx)
        handles: Handles[R] = store(put) if around is None else go(around, put, store)
        if here is not None and tx is None:
            here.put(put.jobs, handles)
        return handles

    async def _aput(self, jobs: tuple[Job, ...], *, keep_first: bool, tx: Any = None, edge: Edge | None = None) -> Handles[R]:
        if not jobs:
            return Handles()

        around, here = self.home.around_put(self), self.home.top.here
        queue = self._queues(jobs[0].queue)

        async def store(put: Put) -> Handles[R]:
            return self._handles(put.jobs, queue, await queue.aput_jobs(put.jobs, keep_first=keep_first, tx=tx, edge=edge))

        put = Put(self, jobs, tx)
        handles: Handles[R] = await (store(put) if around is None else ago(around, put, store))
        if here is not None and tx is None:
            await facade(self._link).call(here.put, put.jobs, handles)
        return handles

    @property
    def _link(self) -> Link:
        return self.home.link

    def _queues(self, name: str) -> Queue[Any]:
        return self.home.queue_of(name)

    def _handles(self, jobs: tuple[Job, ...], queue: Queue[Any], handles: list[Handle[Any]]) -> Handles[R]:
        """The handles, knowing what type the result is."""
        link, way = self._link, self.way(queue.settings)
        return Handles(
            Handle(link, got.queue, got.id, created=got.created, keep=job.keep if got.created else None, into=self._result, way=way)
            for job, got in zip(jobs, handles, strict=True)
        )

    def _chosen(self) -> tuple[Task[P, R, Any], CallOptions]:
        return self, {}

    def __repr__(self) -> str:
        return f"<Task {self.name} on {self.queue}>"


class Chosen(Called[P, R]):
    """A task with options for its next put."""

    __slots__ = ("_options", "_task")

    def __init__(self, task: Task[P, R, Any], options: CallOptions) -> None:
        if unknown := options.keys() - _KNOWN:
            raise TypeError(f"a task has no put option {min(unknown)!r}; it has: {' '.join(sorted(_KNOWN))}")
        self._task = task
        self._options = options

    def put(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """As `Task.put`, with the options."""
        return self._task._put((self._task._job(self._options, args, kwargs),), **self._how)[0]  # noqa: SLF001

    async def aput(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """The awaitable twin of `put`."""
        return (await self._task._aput((self._task._job(self._options, args, kwargs),), **self._how))[0]  # noqa: SLF001

    def map(self, *iterables: Iterable[Any]) -> Handles[R]:
        """As `Task.map`, with the options."""
        return self._task._put(self._jobs(iterables), **self._how)  # noqa: SLF001

    async def amap(self, *iterables: Iterable[Any]) -> Handles[R]:
        """The awaitable twin of `map`."""
        return await self._task._aput(self._jobs(iterables), **self._how)  # noqa: SLF001

    def _jobs(self, iterables: tuple[Iterable[Any], ...]) -> tuple[Job, ...]:
        if not iterables:
            raise TypeError("map takes at least one iterable; nothing was stored")
        for option in ("key", "id"):
            if self._options.get(option):
                raise BadValue(f"map gives its options to every job, and no two can share one {option}; nothing was stored")
        return tuple(self._task._job(self._options, args, {}) for args in zip(*iterables, strict=False))  # noqa: SLF001

    def _chosen(self) -> tuple[Task[P, R, Any], CallOptions]:
        return self._task, self._options

    @property
    def _how(self) -> dict[str, Any]:
        edge = edge_of({**self._task._options, **self._options})  # noqa: SLF001
        return {"keep_first": self._options.get("on_conflict") == "keep", "tx": self._options.get("tx"), "edge": edge}


class Handles(list[Handle[R]]):
    """Several jobs, in the order in which they were put."""

    def results(self, timeout: Duration | None = None) -> Generator[R, None, None]:
        """Their results, in order, each waited for; raises what `Handle.result` raises when its turn has come. `timeout` is for all."""
        return results(self, timeout)


def _named(function: Callable[..., Any], name: str | None) -> str:
    """The name that jobs know it by. Raises BadValue for a function without one, and for a method of no object."""
    own = getattr(function, "__name__", None)
    if not name and not own:
        raise BadValue(f"{function!r:.80} has no name of its own: give it one: task(name=...)")
    code, where = getattr(function, "__code__", None), getattr(function, "__qualname__", "").rpartition(".")[0]
    first = code.co_varnames[:1] if code is not None and code.co_argcount else ()
    if first in (("self",), ("cls",)) and where and not where.endswith("<locals>") and getattr(function, "__self__", None) is None:
        what = f"{function.__qualname__} is a method, and a job has no {first[0]} to call it on"
        raise BadValue(f"{what}: register the bound one, or a function")
    return name or str(own)


def _policy(retry: Retry | int | None) -> Retry | None:
    return Retry(retry) if isinstance(retry, int) else retry


def _batch(size: int | None, wait: Duration | None) -> tuple[int, float] | None:
    """How many jobs at once, and seconds to wait for them."""
    if size is None:
        if wait is not None:
            raise BadValue("batch_wait is for tasks that take several jobs at once: say how many with batch=")
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BadValue(f"batch must be a whole number from 1 up, not {ascii(size)[:40]}")
    return size, 0.0 if wait is None else seconds(wait, "batch_wait")
