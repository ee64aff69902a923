"""Middleware around puts: around each put once, sync and awaited; and `async def` middleware around runs in an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from ropeway import BadValue, Broker, Tasks
from ropeway.middleware import compose, compose_awaited
from ropeway.tasks import Put


def test_layers_go_around_in_order_and_once_a_put(broker: Broker) -> None:
    seen: list[str] = []

    def layer(name: str) -> Any:
        def around(put: Put, call_next: Any) -> Any:
            seen.append(f"{name} in {len(put.jobs)}")
            handles = call_next(put)
            seen.append(f"{name} out {len(handles)}")
            return handles

        return around

    tasks = Tasks()
    broker.include(tasks)
    broker.tasks.use_put(layer("outer"))
    tasks.use_put(layer("inner"))

    @tasks.task
    def f(n: int) -> None: ...

    assert len(f.map(range(3))) == 3
    assert seen == ["outer in 3", "inner in 3", "inner out 3", "outer out 3"]
    assert f.map([]) == []
    assert len(seen) == 4


trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")


@pytest.mark.parametrize("kind", ["plain", "awaited", "both"])
def test_around_awaited_puts(broker: Broker, kind: str) -> None:
    seen: list[Any] = []

    def plain(put: Put, call_next: Any) -> Any:
        put.jobs[0].headers["trace"] = trace.get()
        handles = call_next(put)
        seen.append(("plain", handles[0].created, threading.current_thread() is threading.main_thread()))
        return handles

    async def awaited(put: Put, call_next: Any) -> Any:
        put.jobs[0].headers["trace"] = trace.get()
        handles = await call_next(put)
        seen.append(("awaited", handles[0].created, threading.current_thread() is threading.main_thread()))
        return handles

    broker.tasks.use_put(*{"plain": (plain,), "awaited": (awaited,), "both": (plain, awaited)}[kind])

    @broker.task
    def f() -> None: ...

    async def main() -> None:
        trace.set("abc")
        handle = await f.aput()
        entry = await handle.aentry()
        assert entry is not None
        assert entry.job.headers == {"trace": "abc"}

    asyncio.run(main())
    assert seen == [("plain", True, False) if kind == "plain" else ("awaited", True, True)]
    if kind == "awaited":
        with pytest.raises(BadValue, match="async def, and put waits for nothing; nothing was stored"):
            f.put()
        assert broker.counts()["default"].ready == 1
    else:
        assert f.put().created
        assert len(seen) == 2


def test_errors_of_layers_and_puts_go_to_the_caller(broker: Broker) -> None:
    caught: list[str] = []

    @broker.tasks.use_put
    def careful(put: Put, call_next: Any) -> Any:
        try:
            return call_next(put)
        except Exception as error:
            caught.append(type(error).__name__)
            raise

    @broker.task(unique="only")
    def f() -> None: ...

    f.put()
    for put in (f.put, lambda: asyncio.run(f.aput())):
        with pytest.raises(Exception, match="held by a live job"):
            put()
    assert caught == ["Conflict", "Conflict"]


def test_wrong_layers_are_refused(broker: Broker) -> None:
    async def awaited(put: Any, call_next: Any) -> None: ...

    def plain(put: Any, call_next: Any) -> None: ...

    for wrong in ((42,), (lambda put: None,), (plain, plain), (awaited, plain), (awaited, awaited)):
        with pytest.raises(BadValue, match="middleware"):
            broker.tasks.use_put(*wrong)


# -- around runs in an event loop, as the pool of the event loop composes them


def test_plain_and_awaited_layers_mix() -> None:
    seen: list[str] = []

    def plain(given: int, call_next: Any) -> int:
        seen.append(f"plain {given} {threading.current_thread().name}")
        return call_next(given + 1) * 2

    async def awaited(given: int, call_next: Any) -> int:
        seen.append(f"awaited {given} {threading.current_thread().name}")
        return await call_next(given + 1) + 100

    async def innermost(given: int) -> int:
        seen.append(f"innermost {given} {threading.current_thread().name}")
        return given

    main = threading.current_thread().name
    assert asyncio.run(compose_awaited([plain, awaited, plain], innermost)(1)) == (4 * 2 + 100) * 2
    assert seen == [f"plain 1 {'ropeway-middleware'}", f"awaited 2 {main}", "plain 3 ropeway-middleware", f"innermost 4 {main}"]
    with pytest.raises(BadValue, match="async def middleware"):
        compose([plain, awaited], lambda given: given)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_cancelled_run_is_cancelled_through_plain_layers(layers: int) -> None:
    seen: list[str] = []

    def plain(given: Any, call_next: Any) -> Any:
        try:
            return call_next(given)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise

    async def main() -> None:
        begun = asyncio.Event()

        async def innermost(_: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("innermost")
                raise

        run = asyncio.create_task(compose_awaited([plain] * layers, innermost)(None))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert run.cancelled()

    asyncio.run(main())
    assert seen == ["innermost"] + ["CancelledError"] * layers


def test_cancelled_before_it_calls_on_it_never_does() -> None:
    ran: list[str] = []
    held = threading.Event()
    out = threading.Event()

    def plain(given: Any, call_next: Any) -> Any:
        assert held.wait(60)
        try:
            return call_next(given)
        finally:
            out.set()

    async def main() -> None:
        async def innermost(_: Any) -> None:
            ran.append("innermost")

        run = asyncio.create_task(compose_awaited([plain], innermost)(None))
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        held.set()
        assert await asyncio.to_thread(out.wait, 20)

    asyncio.run(main())
    assert ran == []


def test_many_runs_at_once_do_not_starve_each_other() -> None:
    """Each plain layer waits in a thread; with threads of a pool, the outer layers of many runs could hold them all."""

    def plain(given: int, call_next: Any) -> Any:
        return call_next(given)

    async def main() -> list[int]:
        everybody = asyncio.Event()
        inside = 0

        async def innermost(given: int) -> int:
            nonlocal inside
            inside += 1
            if inside == 60:
                everybody.set()
            await everybody.wait()
            return given

        return await asyncio.gather(*(compose_awaited([plain, plain], innermost)(n) for n in range(60)))

    assert asyncio.run(main()) == list(range(60))
