"""What a caller hears before the last word: the receipt, progress, and what is streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.calls import call as calls
from ropeway.calls.mailroom import mailroom
from ropeway.calls.wire import Started
from ropeway.errors import BadBody, RemoteError, Timeout
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from .conftest import LONG, until
from .functions import register
from .test_calling import task

Serve = Callable[..., Worker]


def test_the_receipt(url: str, tasks: Tasks, serve: Serve) -> None:
    call = task(tasks, "add").begin(1, timeout=LONG)
    with pytest.raises(Timeout, match="no worker has begun"):
        call.started("20ms")
    serve(url)
    receipt = call.started()
    assert ":worker" in receipt.worker
    assert receipt.attempt == 1
    assert call.result() == 1
    heard: list[Started] = []
    assert task(tasks, "add").options(timeout=LONG, on_start=heard.append).call(2) == 2
    assert [one.attempt for one in heard] == [1]


def test_a_second_run_has_a_second_receipt(url: str, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(url)
    heard: list[Started] = []
    options: dict[str, Any] = {"timeout": LONG, "on_start": heard.append}
    assert task(tasks, "second_time").options(**options).call(str(tmp_path / "tries")) == 1
    assert [one.attempt for one in heard] == [1, 2]


def test_progress_comes_live_and_in_order(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    heard: list[Any] = []
    assert task(tasks, "tell").options(timeout=LONG, on_progress=heard.append).call([3, 1, 2]) == "told"
    assert heard == [{"at": 3}, {"at": 1}, {"at": 2}]
    call = task(tasks, "tell").begin([9], timeout=LONG)
    assert call.result() == "told"
    assert call.progress == {"at": 9}


def test_what_is_yielded_arrives_item_by_item(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    stream = task(tasks, "upto").stream(300, timeout=LONG)
    items = []
    while True:
        try:
            items.append(next(stream))
        except StopIteration as end:
            assert end.value == "end"
            break
    assert items == list(range(300))
    assert list(task(tasks, "lines").stream("one\ntwo\n", timeout=LONG)) == ["one", "two"]
    assert list(task(tasks, "upto").stream(0, timeout=LONG)) == []
    assert task(tasks, "upto").call(3, timeout=LONG) == "end"  # nobody wants the items


def test_streams_in_an_event_loop(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)

    async def main() -> None:
        both = await asyncio.gather(*(items(task(tasks, name).astream(50, timeout=LONG)) for name in ("upto", "slowly")))
        assert both == [list(range(50))] * 2
        heard: list[Any] = []
        call = await task(tasks, "tell").abegin([1, 2], timeout=LONG)
        call.on_progress = heard.append
        assert (await call.astarted()).attempt == 1
        assert await call.aresult() == "told"
        assert heard == [{"at": 1}, {"at": 2}]

    async def items(stream: Any) -> list[int]:
        return [item async for item in stream]

    asyncio.run(main())
    assert list(task(tasks, "slowly").stream(5, timeout=LONG)) == [0, 1, 2, 3, 4]


def test_a_stream_that_fails(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    heard = []
    with pytest.raises(ValueError, match="broken off"):
        for item in task(tasks, "breaks").stream(3, timeout=LONG):
            heard.append(item)  # noqa: PERF402 - what came before the error counts
    assert heard == [0, 1, 2]


def test_a_stream_that_is_tried_again_gives_nothing_twice(url: str, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(url)
    assert list(task(tasks, "stumbles").stream(str(tmp_path / "once"), timeout=LONG)) == [1, 2, 3]


def test_a_stream_left_early_is_called_back(url: str, link: Link, tasks: Tasks, serve: Serve, tmp_path: Path) -> None:
    serve(url)
    end = tmp_path / "end"
    stream = task(tasks, "endless").options(timeout=LONG).stream(str(end))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    stream.close()
    assert not mailroom(link)._calls
    assert link.store.notes.notes("cancel/")


def test_one_who_reads_too_slowly_is_told(memory: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_ITEMS", 50)
    serve(memory)
    link = Link(memory)
    tasks = register(Tasks(link))
    stream = task(tasks, "upto").stream(5000, timeout=LONG)
    other = task(tasks, "add").begin(1, timeout=LONG)
    assert other.result() == 1  # who leads hands out for all
    with pytest.raises(RemoteError, match="faster than its items are taken"):
        for _ in stream:
            until(lambda: task(tasks, "add").call(1, timeout=LONG) == 1)
    link.close()


def test_what_cannot_be_streamed(memory: str, serve: Serve) -> None:
    def with_objects(tasks: Tasks) -> Tasks:
        @tasks.task(retry=1)
        def objects() -> Any:
            yield 1
            yield object()

        @tasks.task(name="typed")
        def wrong() -> Any:
            yield "text"

        return tasks

    serve(memory, with_objects)
    link = Link(memory)
    tasks = with_objects(Tasks(link))
    stream = task(tasks, "objects").stream(timeout=LONG)
    assert next(stream) == 1
    with pytest.raises(RemoteError, match="object"):
        next(stream)

    mine = Tasks(link)

    @mine.task
    def typed() -> Any:
        yield 1

    typed.function.__annotations__["return"] = "Iterator[int]"
    typed.function.__globals__["Iterator"] = __import__("collections.abc", fromlist=["Iterator"]).Iterator
    with pytest.raises(BadBody):
        next(typed.stream(timeout=LONG))
    link.close()
