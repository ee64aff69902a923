"""Calling a task: put it, and wait for what it answers. The same verbs for a task and for a task with options."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, get_args, get_origin, overload

from ..calls.asking import TIMEOUT, Asked, Calling, abegin, asked, begin
from ..calls.wire import Kind
from ..durations import Duration

if TYPE_CHECKING:
    from ..calls.call import Call
    from ..job import Job
    from .task import CallOptions, Task

P = ParamSpec("P")
R = TypeVar("R")

OF_CALLS = frozenset(Calling.__annotations__)
_NOT_OF_CALLS = {
    "delay": "somebody waits for the answer now",
    "at": "somebody waits for the answer now",
    "ttl": "a call lives until its timeout",
    "keep": "its result goes to the caller",
    "tx": "its job is seen by workers only after the commit, and the answer is waited for before it",
    "unique_for": "the answer of another's job goes to the other",
    "debounce": "somebody waits for the answer now",
    "debounce_max": "somebody waits for the answer now",
    "on_conflict": "the answer of another's job goes to the other",
}
_STREAMS = (Generator, Iterator, Iterable, AsyncGenerator, AsyncIterator, AsyncIterable)


class Called(Generic[P, R]):
    """What can be called: a Task, and a Task with options."""

    __slots__ = ()

    @overload
    def call(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def call(self, *args: Any, timeout: Duration, **kwargs: Any) -> R: ...
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run it elsewhere and wait for what it returns: `task.call(42, timeout="2s")`; 30 s when no timeout is said.

        Raises RemoteError when it failed for good, which is an instance of the error's own class too where that is known; Timeout when
        there is no answer in time: a job that no worker has begun by then is not run any more. What `put` raises it raises too. Where
        the function has an argument called timeout as well, the call's goes into the options: `task.options(timeout="2s").call(...)`.
        """
        return self._begin(args, kwargs).result()

    @overload
    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def acall(self, *args: Any, timeout: Duration, **kwargs: Any) -> R: ...
    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """The awaitable twin of `call`. Cancelled: the job is called back."""
        return await (await self._abegin(args, kwargs)).aresult()

    @overload
    def begin(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]: ...
    @overload
    def begin(self, *args: Any, timeout: Duration, **kwargs: Any) -> Call[R]: ...
    def begin(self, *args: Any, **kwargs: Any) -> Any:
        """As `call`, without waiting: the Call, which has `result()`, the receipt (`started()`) and `progress`; several at a time."""
        return self._begin(args, kwargs, Kind.STARTED, Kind.PROGRESS)

    @overload
    async def abegin(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]: ...
    @overload
    async def abegin(self, *args: Any, timeout: Duration, **kwargs: Any) -> Call[R]: ...
    async def abegin(self, *args: Any, **kwargs: Any) -> Any:
        """The awaitable twin of `begin`: the Call has `aresult()` and `astarted()`."""
        return await self._abegin(args, kwargs, Kind.STARTED, Kind.PROGRESS)

    @overload
    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Generator[Any, None, Any]: ...
    @overload
    def stream(self, *args: Any, timeout: Duration, **kwargs: Any) -> Generator[Any, None, Any]: ...
    def stream(self, *args: Any, **kwargs: Any) -> Any:
        """Call a task that yields: its items, as it yields them; `timeout` is for each. Left early, the run is called back.

        A run that fails and is tried again begins anew; items that were given already are passed over, by their number.
        """
        return self._begin(args, kwargs, Kind.OUTPUT).stream()

    @overload
    def astream(self, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, None]: ...
    @overload
    def astream(self, *args: Any, timeout: Duration, **kwargs: Any) -> AsyncGenerator[Any, None]: ...
    async def astream(self, *args: Any, **kwargs: Any) -> Any:
        """The awaitable twin of `stream`: `async for item in task.astream(...)`."""
        async for item in (await self._abegin(args, kwargs, Kind.OUTPUT)).astream():
            yield item

    def _chosen(self) -> tuple[Task[P, R, Any], CallOptions]:
        """The task, and what was said about it."""
        raise NotImplementedError

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], *wants: Kind) -> Call[R]:
        task, job, what = self._ask(args, kwargs, wants)
        return begin(task._link, job, lambda job: task._put((job,), keep_first=False), what)  # noqa: SLF001

    async def _abegin(self, args: tuple[Any, ...], kwargs: dict[str, Any], *wants: Kind) -> Call[R]:
        task, job, what = self._ask(args, kwargs, wants)
        return await abegin(task._link, job, lambda job: task._aput((job,), keep_first=False), what)  # noqa: SLF001

    def _ask(self, args: tuple[Any, ...], kwargs: dict[str, Any], wants: tuple[Kind, ...]) -> tuple[Task[P, R, Any], Job, Asked]:
        task, options = self._chosen()
        calling: dict[str, Any] = {"timeout": _timeout(task, options, kwargs)}
        put_options: Any = options
        if options:
            _check(options)
            calling.update({name: options[name] for name in ("on_start", "on_progress") if name in options})
            put_options = {name: value for name, value in options.items() if name not in OF_CALLS}
        job = task._job(put_options, args, kwargs)  # noqa: SLF001
        streams = isgeneratorfunction(task.function) or isasyncgenfunction(task.function)
        if Kind.OUTPUT in wants and not streams:
            raise TypeError(f"task {task.name} does not yield, so there is nothing to stream; nothing was put. Use call()")
        hint = task._result  # noqa: SLF001
        into, item = (Any, _item(task.function)) if streams else (hint, Any)
        way = task.way(task.home.queue_of(job.queue).settings)
        return task, job, asked(cast("Calling", calling), *wants, into=into, item=item, way=way)


def _check(options: Mapping[str, Any]) -> None:
    for name in options.keys() & _NOT_OF_CALLS.keys():
        if options[name] is not None:
            raise TypeError(f"a call takes no {name}: {_NOT_OF_CALLS[name]}; nothing was put")


def _timeout(task: Task[..., Any, Any], options: Mapping[str, Any], kwargs: dict[str, Any]) -> Duration:
    """The call's timeout, out of the keywords where it cannot be meant for the function."""
    said: Duration | None = options.get("timeout")
    if "timeout" not in kwargs:
        return TIMEOUT if said is None else said
    parameters = task.arguments.signature.parameters
    own = "timeout" in parameters or any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    if own and said is None:
        raise TypeError(
            f"task {task.name} takes a timeout of its own, so call(timeout=...) could mean either; nothing was put. "
            f'Write {task.name}.options(timeout="2s").call(..., timeout=...): the one of the call goes into the options'
        )
    if own:
        assert said is not None
        return said
    if said is not None:
        raise TypeError(f"task {task.name} was given two timeouts, one in the options and one in the call; nothing was put")
    timeout: Duration = kwargs.pop("timeout")
    return timeout


def _item(function: Any) -> Any:
    """Of what type the items are that a task yields, as far as it says."""
    from .arguments import type_of

    hint = type_of(function, "return")
    if get_origin(hint) in _STREAMS and (args := get_args(hint)):
        import msgspec

        try:
            msgspec.json.Decoder(args[0])
        except (TypeError, ValueError):
            return Any
        return args[0]
    return Any
