"""A put of a task on its way to the store: what hooks and middleware see of it, and how they are gone through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from ..errors import BadValue
from ..hooks import Hook, ask, call
from ..job import Job
from ..middleware import Layer, check_middleware, compose, compose_awaited, is_awaited

if TYPE_CHECKING:
    from ..handle import Handle
    from .task import Task

PutMiddleware = Callable[["Put", Callable[["Put"], Any]], Any]


class Put(Struct, eq=False):
    """Jobs of one task that are about to be stored, in one commit: one, or as many as `map` was given. What middleware and hooks change
    in a job before they call on (its headers, its priority) is what is stored."""

    task: Task[..., Any, Any]
    jobs: tuple[Job, ...]
    tx: Any = None  # the transaction of the caller's that they go into

    def arguments(self) -> list[dict[str, Any]]:
        """Of each job, what its function will be called with, by name and with the defaults."""
        read = self.task.arguments
        return [read.named(read.decode(job.body)) for job in self.jobs]


class PutLayer:
    """Middleware around puts: for `put` and `map` the plain one, for `aput` and `amap` the awaited one if there is one."""

    __slots__ = ("awaited", "plain")

    def __init__(self, middleware: PutMiddleware, awaited: PutMiddleware | None) -> None:
        check_middleware(middleware, "put")
        if awaited is None and is_awaited(middleware):
            self.plain: Layer | None = None
            self.awaited: Layer = middleware
            return
        if is_awaited(middleware) or (awaited is not None and not is_awaited(check_middleware(awaited, "put"))):
            raise BadValue("middleware around puts is a plain function, an `async def` one, or one of each in this order")
        self.plain, self.awaited = middleware, awaited or middleware


class Around(NamedTuple):
    """What goes around the puts of one task."""

    layers: Sequence[PutLayer]
    before: Sequence[Hook]
    after: Sequence[Hook]


def go(around: Around, put: Put, store: Callable[[Put], list[Handle[Any]]]) -> Any:
    """Hooks, then the layers, then `store`; what it answers."""
    ask(around.before, put, put.task.name)
    plain = []
    for layer in around.layers:
        if layer.plain is None:
            raise BadValue(
                f"task {put.task.name}: the middleware {layer.awaited!r:.80} is async def, and put waits for nothing; nothing was stored. "
                "Take aput, or give use_put a plain function first and this one second"
            )
        plain.append(layer.plain)
    handles = compose(plain, store)(put)
    call("after_put", around.after, put, handles)
    return handles


async def ago(around: Around, put: Put, store: Callable[[Put], Awaitable[list[Handle[Any]]]]) -> Any:
    """The awaitable twin of `go`."""

    async def innermost(put: Put) -> list[Handle[Any]]:
        return await store(put)

    ask(around.before, put, put.task.name)
    handles = await compose_awaited([layer.awaited for layer in around.layers], innermost)(put)
    call("after_put", around.after, put, handles)
    return handles
