"""Hooks, middleware and codecs in every pool: the same in threads, in an event loop and in child processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway import BadValue, Broker, Tasks

from . import shop

POOLS = ["thread", "async", "process"]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal"
    path.touch()
    monkeypatch.setenv(shop.JOURNAL, str(path))
    return path


@pytest.fixture
def shop_broker(journal: Path, tmp_path: Path) -> Iterator[Broker]:
    with ropeway.connect(f"dir:{tmp_path}/spool?durability=os", config=False) as made:
        made.include(shop.tasks)
        yield made
    shop.tasks.above = None


def lines(journal: Path) -> list[str]:
    return [line.partition(" ")[2] for line in journal.read_text().splitlines()]


@pytest.mark.parametrize("pool", POOLS)
def test_hooks_and_middleware_fire_once_in_order(shop_broker: Broker, journal: Path, pool: str) -> None:
    handle = shop.awaited.put(1)
    assert shop_broker.worker("default", pool=pool, drain=True).run() == 0
    assert handle.result(0) == 2
    own = ["before_run awaited", "in awaited", "out awaited", "after_run awaited NoneType"]
    seen = lines(journal)
    assert [line for line in seen if not line.startswith("process")] == ["worker_start", *own, "worker_stop"]
    pids = {line.split()[0] for line in journal.read_text().splitlines() if " process_start True" in line}
    assert (pids == {str(os.getpid())}) is (pool != "process")
    assert pids == {line.split()[0] for line in journal.read_text().splitlines() if " process_stop True" in line}
    assert seen.index("process_start True") < seen.index("before_run awaited")


@pytest.mark.parametrize("pool", POOLS)
def test_failures_are_told_by_the_worker_itself(shop_broker: Broker, journal: Path, pool: str) -> None:
    shop.bad.put()
    assert shop_broker.worker("default", pool=pool, drain=True).run() == 10
    counted = Counter(line for line in lines(journal) if not line.startswith("process"))
    assert counted == {
        **dict.fromkeys(("before_run bad", "in bad", "out bad", "after_run bad LookupError"), 2),
        **dict.fromkeys(("worker_start", "worker_stop"), 1),
        "on_retry bad 1 LookupError: nobody": 1,
        "on_failure bad 2 LookupError: nobody": 1,
    }
    told = {line.split()[1]: int(line.split()[0]) for line in journal.read_text().splitlines()}
    assert told["on_failure"] == told["worker_start"] == os.getpid()
    assert (told["before_run"] == os.getpid()) is (pool != "process")


@pytest.mark.parametrize("pool", POOLS)
def test_codecs(shop_broker: Broker, journal: Path, pool: str) -> None:
    handles = [task.put(shop.Size(1, b"\x00")) for task in shop.by_codec.values()]
    raw = shop.length.put(b"\x00\x01")
    assert shop_broker.worker("default", pool=pool, drain=True).run() == 0
    assert [handle.result(0) for handle in handles] == [shop.Size(2, b"\x00\xff")] * 4
    assert raw.result(0) == 2
    kinds = [handle.entry().result_type for handle in handles]  # type: ignore[union-attr]
    assert kinds == ["application/json", "application/msgpack", "application/yaml", "application/x-python-pickle"]


@pytest.mark.parametrize("pool", POOLS)
def test_calls_by_codec(shop_broker: Broker, journal: Path, pool: str) -> None:
    import threading

    worker = shop_broker.worker("default", pool=pool)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        for task in shop.by_codec.values():
            assert task.call(shop.Size(1), timeout="60s") == shop.Size(2, b"\xff")
    finally:
        worker.stop()
        thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("pool", POOLS)
def test_awaited_middleware_is_for_the_event_loop_and_refused_elsewhere(broker: Broker, pool: str) -> None:
    seen: list[Any] = []
    inner = Tasks()
    broker.include(inner)

    @inner.use
    async def around(claim: Any, call_next: Any) -> Any:
        seen.append(claim.job.task)
        return await call_next(claim)

    @inner.task(keep=60)
    def plain(n: int) -> int:
        return n

    if pool != "async":
        with pytest.raises(BadValue, match="async def middleware"):
            broker.worker("default", pool=pool)
        return
    handle = plain.put(3)
    assert broker.worker("default", pool=pool, drain=True).run() == 0
    assert (handle.result(0), seen) == (3, ["plain"])


@pytest.mark.parametrize("pool", POOLS)
def test_what_the_configuration_says_of_a_queue_holds_in_every_pool(journal: Path, tmp_path: Path, pool: str) -> None:
    file = tmp_path / "ropeway.toml"
    file.write_text("[queues.small]\ncodec = 'msgpack'\nretry = { attempts = 1 }\n")
    with ropeway.connect(f"dir:{tmp_path}/spool?durability=os", config=str(file)) as made:
        made.include(shop.tasks)
        try:
            handle = shop.awaited.options(queue="small").put(1)
            bad = shop.fails.options(queue="small").put()
            assert handle.entry().job.content_type == "application/msgpack"  # type: ignore[union-attr]
            made.worker("small", pool=pool, drain=True).run()
            assert handle.result(0) == 2
            entry = bad.entry()
            assert entry is not None
            assert (entry.state, entry.attempts) == ("dead", 1)
        finally:
            shop.tasks.above = None
