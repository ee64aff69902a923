"""Middleware: functions around the run of every task, and around its put; composed of layers, the first one used outermost.

    def timed(claim, call_next):
        start = time.monotonic()
        try:
            return call_next(claim)
        finally:
            print(claim.job.task, time.monotonic() - start)

    tasks.use(timed)

Around a run it is called in the slot's thread, with the job's claim, after the arguments were decoded. What it raises is the job's error,
what it returns the job's result. In the thread and process pools it is a plain function, also around a task that is `async def`, and goes
around the whole of that run. In the pool of the event loop it may be `async def`; a plain one goes around there from a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from .errors import BadValue

if TYPE_CHECKING:
    import asyncio

    from .tasks.context import TaskClaim

CallNext = Callable[["TaskClaim"], Any]
Middleware = Callable[["TaskClaim", CallNext], Any]
Layer = Callable[[Any, Callable[[Any], Any]], Any]
Awaited = Callable[[Any], Coroutine[Any, Any, Any]]


def check_middleware(middleware: Layer, given: str = "claim") -> Layer:
    """The middleware itself; BadValue for what is no function of two arguments."""
    from inspect import signature

    if not callable(middleware):
        raise BadValue(f"{middleware!r:.80} is no middleware: it must be a function ({given}, call_next)")
    try:
        signature(middleware).bind(None, None)
    except (TypeError, ValueError):
        raise BadValue(f"{middleware!r:.80} is no middleware: it must take ({given}, call_next)") from None
    return middleware


def is_awaited(middleware: Layer) -> bool:
    """Whether it is `async def`, or an object whose call is."""
    from inspect import iscoroutinefunction

    return iscoroutinefunction(middleware) or iscoroutinefunction(type(middleware).__call__)


def compose(layers: Sequence[Layer], innermost: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One plain function that runs them all, the first outermost, around `innermost`. Raises BadValue for one that is `async def`."""
    chain = innermost
    for layer in reversed(layers):
        if is_awaited(layer):
            raise BadValue(f"{layer!r:.80} is async def middleware, which goes around runs in the event loop only: take pool='async'")
        chain = _around(layer, chain)
    return chain


def compose_awaited(layers: Sequence[Layer], innermost: Awaited) -> Awaited:
    """The same for the event loop, around a coroutine function. A plain layer runs in a thread, and its `call_next` waits there."""
    chain = innermost
    for layer in reversed(layers):
        chain = _around_awaited(layer, chain) if is_awaited(layer) else _around_from_a_thread(layer, chain)
    return chain


def _around(layer: Layer, call_next: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda given: layer(given, call_next)


def _around_awaited(layer: Layer, call_next: Awaited) -> Awaited:
    async def around(given: Any) -> Any:
        return await layer(given, call_next)

    return around


def _around_from_a_thread(layer: Layer, call_next: Awaited) -> Awaited:
    """A thread for each, and none of a pool's: with layers inside layers, the outer ones could hold all of those."""

    async def around(given: Any) -> Any:
        import asyncio
        from concurrent.futures import Future
        from contextvars import copy_context

        loop, ended = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        inner: list[asyncio.Task[Any]] = []
        over = False

        def next_from_thread(given: Any) -> Any:
            done: Future[Any] = Future()

            def start() -> None:
                if over:
                    done.set_exception(asyncio.CancelledError())
                    return
                task = loop.create_task(call_next(given))
                inner.append(task)
                task.add_done_callback(lambda task: _tell(done, task))

            loop.call_soon_threadsafe(start)  # in the thread's context: what the layer has set there is seen further in
            return done.result()

        def run() -> None:
            try:
                value, error = layer(given, next_from_thread), None
            except BaseException as raised:  # noqa: BLE001 - it goes on where the layer is awaited
                value, error = None, raised
            loop.call_soon_threadsafe(_answer, ended, value, error)

        threading.Thread(target=copy_context().run, args=(run,), name="ropeway-middleware", daemon=True).start()
        while True:
            try:
                return await asyncio.shield(ended)
            except asyncio.CancelledError:
                if ended.done() or not inner or inner[-1].done():
                    over = True
                    raise
                inner[-1].cancel()  # the run ends as its innermost does: the layer sees that on its way out

    return around


def _tell(done: Any, task: asyncio.Task[Any]) -> None:
    """A task's end, for a thread that waits for it; being cancelled is an end like the others."""
    from asyncio import CancelledError

    error = CancelledError() if task.cancelled() else task.exception()
    if error is None:
        done.set_result(task.result())
    else:
        done.set_exception(error)


def _answer(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("middleware raised StopIteration"))
    else:
        future.set_exception(error)
