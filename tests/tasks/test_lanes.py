"""Lanes and limits at the Python surface, with whole workers, on every engine that has them."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ropeway
from engines import engines, place
from ropeway import BadName, BadValue, Broker, ConfigError, StoreError, Unsupported
from ropeway.store import Feature, Limits
from worker.conftest import Running, until
from worker.fakes import faulty_link


@contextmanager
def opened(name: str, folder: Path, *needed: Feature, **config: Any) -> Iterator[Broker]:
    """A broker on that engine; the test is skipped where it lacks one of the features."""
    with place(name, folder) as url, ropeway.connect(url, config=config.get("config", False)) as broker:
        if missing := set(needed) - broker.store.features:
            pytest.skip(f"{name} has no {' '.join(sorted(missing))}")
        yield broker


def test_an_engine_without_lanes_is_not_missed() -> None:
    """Which engines are meant to have them: so that the skips above cannot hide a loss."""
    with ropeway.connect("memory:", config=False) as broker:
        assert {Feature.LANES, Feature.LIMITS} <= broker.store.features


@pytest.mark.parametrize("engine", engines())
def test_a_hundred_lanes_and_eight_threads(engine: str, tmp_path: Path) -> None:
    """Row W10: per lane in order, never two at once."""
    lanes, each = 100, 6
    with opened(engine, tmp_path, Feature.LANES) as broker:
        order: dict[str, list[int]] = defaultdict(list)
        inside: dict[str, int] = defaultdict(int)
        together: list[str] = []
        lock = threading.Lock()

        @broker.task(lane="customer-{customer}")
        def handle(customer: int, n: int) -> None:
            lane = f"customer-{customer}"
            with lock:
                inside[lane] += 1
                if inside[lane] > 1:
                    together.append(lane)
            for _ in range(50):
                pass
            with lock:
                order[lane].append(n)
                inside[lane] -= 1

        handle.map(*zip(*[(customer, n) for n in range(each) for customer in range(lanes)], strict=True))
        assert broker.worker("default", concurrency=8, drain=True).run() == 0
        assert together == []
        assert len(order) == lanes
        assert all(seen == list(range(each)) for seen in order.values())


@pytest.mark.parametrize("engine", engines())
def test_a_lane_keeps_its_order_through_retries(engine: str, tmp_path: Path) -> None:
    with opened(engine, tmp_path, Feature.LANES) as broker:
        seen: list[tuple[str, int]] = []

        @broker.task(retry=ropeway.Retry(3, base=0, cap=0))
        def step(lane: str, n: int) -> None:
            seen.append((lane, n))
            if sum(1 for one in seen if one == (lane, n)) < 3 and n == 0:
                raise OSError

        for n in range(3):
            for lane in "ab":
                step.options(lane=lane).put(lane, n)
        broker.worker("default", concurrency=4, drain=True).run()
        for lane in "ab":
            assert [n for name, n in seen if name == lane] == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("engine", engines())
def test_a_limit_holds_over_several_workers(engine: str, tmp_path: Path, start: Callable[..., Running]) -> None:
    with opened(engine, tmp_path, Feature.LIMITS) as broker:
        queue = broker.queue("thumbs")
        assert queue.limit(running=3) == Limits(3, 1)
        assert queue.limit() == queue.counts().limits == Limits(3, 1)
        inside, most, done, lock = 0, 0, 0, threading.Lock()
        full, go = threading.Event(), threading.Event()

        @broker.task(queue="thumbs")
        def thumb(n: int) -> None:
            nonlocal inside, most, done
            with lock:
                inside += 1
                most = max(most, inside)
                if inside == 3:
                    full.set()
            assert go.wait(60)
            with lock:
                inside -= 1
                done += 1

        thumb.map(range(30))
        workers = [start(broker.link, broker.tasks, ["thumbs"], concurrency=4) for _ in range(2)]
        assert full.wait(60)
        assert queue.counts().running <= 3
        go.set()
        until(lambda: done == 30, 90)
        for running in workers:
            running.worker.stop()
        assert most == 3


@pytest.mark.parametrize("engine", engines())
def test_what_is_lifted_runs_at_once(engine: str, tmp_path: Path, start: Callable[..., Running]) -> None:
    with opened(engine, tmp_path, Feature.LIMITS) as broker:
        queue = broker.queue("default")
        queue.limit(running=1)
        begun, go = threading.Semaphore(0), threading.Event()

        @broker.task
        def work(n: int) -> None:
            begun.release()
            assert go.wait(60)

        work.map(range(3))
        start(broker.link, broker.tasks, ["default"], concurrency=4)
        assert begun.acquire(timeout=60)
        until(lambda: queue.counts().running == 1)
        assert queue.limit(running=0) == Limits(0, 1)
        assert begun.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        go.set()
        queue.join("60s")


def test_wider_lanes(broker: Broker) -> None:
    queue = broker.queue("q")
    assert queue.limit(lane=2) == Limits(0, 2)
    assert queue.limit(running=5) == Limits(5, 2)
    for n in range(4):
        queue.put(n, lane="x")
    assert [claim.data for claim in queue.claims(idle=0, batch=10)] == [0, 1]
    assert len(queue.browse(lane="x")) == 4
    assert queue.browse(lane="y") == []


@pytest.mark.parametrize("lane", ["", None])
def test_no_lane_is_no_lane(broker: Broker, lane: str | None) -> None:
    @broker.task
    def f() -> None: ...

    assert f.options(lane=lane).put().entry().job.lane == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("lane", ["x" * 3000, "a\0b", 7, "\ud800"])
def test_lanes_are_checked_before_anything_is_stored(broker: Broker, lane: Any) -> None:
    @broker.task
    def f() -> None: ...

    for put in (lambda: broker.queue("q").put(1, lane=lane), lambda: f.options(lane=lane).put()):
        with pytest.raises((BadName, BadValue)):
            put()
    assert broker.counts() == {} or all(counts.ready == 0 for counts in broker.counts().values())


@pytest.mark.parametrize("limits", [{"running": -1}, {"running": True}, {"running": 1.5}, {"lane": 0}, {"lane": "2"}])
def test_limits_are_checked(broker: Broker, limits: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        broker.queue("q").limit(**limits)


# -- from the configuration


@contextmanager
def limited(folder: Path, text: str, url: str = "memory:") -> Iterator[Broker]:
    file = folder / "ropeway.toml"
    file.write_text(text)
    with ropeway.connect(url, config=str(file)) as broker:
        yield broker


THUMBS = "[queues.thumbs.limits]\nrunning = 2\n[queues.mails]\nlimits = { lane = 3 }\n[queues.other]\nkeep = 1\n"


def test_a_worker_brings_the_limits_of_the_configuration(tmp_path: Path) -> None:
    with limited(tmp_path, THUMBS) as broker:
        broker.queue("thumbs").put(1)
        assert broker.queue("thumbs").counts().limits == Limits()  # not before a worker of it starts
        broker.worker("thumbs", drain=True).run()
        assert broker.queue("thumbs").counts().limits == Limits(2, 1)
        assert broker.queue("mails").counts().limits == Limits()
        broker.worker("*", "!thumbs", drain=True).run()
        assert broker.queue("mails").counts().limits == Limits(0, 3)
        assert broker.queue("other").counts().limits == Limits()


def test_what_an_operator_has_set_stands(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with limited(tmp_path, THUMBS) as broker:
        broker.queue("thumbs").limit(running=7)
        with caplog.at_level(logging.WARNING):
            broker.worker("thumbs", drain=True).run()
        assert broker.queue("thumbs").counts().limits == Limits(7, 1)
        assert (
            "queue thumbs: the configuration says running 2, lane 1, and running 7, lane 1 is what holds; "
            "to change that, type: ropeway limit thumbs --config" in caplog.text
        )
        caplog.clear()
        broker.queue("thumbs").limit(running=2)
        broker.worker("thumbs", drain=True).run()
        assert "configuration" not in caplog.text


def test_nothing_is_claimed_before_the_limits_are_set(caplog: pytest.LogCaptureFixture) -> None:
    from ropeway.clock import SYSTEM
    from ropeway.tasks import Tasks
    from ropeway.worker import Worker

    link, store = faulty_link("memory:", SYSTEM)
    link.limits = lambda: {"default": Limits(running=1)}
    tasks = Tasks(link)

    @tasks.task
    def f() -> None: ...

    f.put()
    store.fail("limit", StoreError("the disk is gone"), times=2)
    store.calls.clear()
    assert Worker(link, tasks, ["default"], drain=True).run() == 0
    assert [name for name in store.calls if name in ("limit", "claim")][:4] == ["limit", "limit", "limit", "claim"]
    assert caplog.text.count("nothing is claimed before") == 1
    link.close()


def test_a_worker_can_be_stopped_while_it_waits_for_that() -> None:
    from ropeway.clock import SYSTEM
    from ropeway.tasks import Tasks

    link, store = faulty_link("memory:", SYSTEM)
    link.limits = lambda: {"default": Limits(running=1)}
    store.fail("limit", StoreError("the disk is gone"), times=10_000)
    from ropeway.worker import Worker

    running = Running(Worker(link, Tasks(link), ["default"]))
    until(lambda: "limit" in store.calls)
    running.worker.stop()
    assert running.end() == 0
    assert "claim" not in store.calls
    link.close()


def test_an_engine_without_limits_refuses_the_worker() -> None:
    from ropeway.clock import SYSTEM
    from ropeway.tasks import Tasks
    from ropeway.worker import Worker

    link, store = faulty_link("memory:", SYSTEM)
    link.limits = lambda: {"default": Limits(running=1)}
    store.fail("limit", Unsupported("x: has no limits"))  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="no limits"):
        Worker(link, Tasks(link), ["default"]).run()
    link.close()


@pytest.mark.parametrize("text", ["running = -1", "lane = 0", "running = true", "lanes = 3", "running = 'x'"])
def test_wrong_limits_in_the_configuration(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError), limited(tmp_path, f"[queues.q.limits]\n{text}\n") as broker:
        broker.config  # noqa: B018
