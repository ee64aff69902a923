"""Ends that are rung for: an idle wait costs a handful of looks, one sleeper looks for all, and a lost ring is found by the slow poll."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.calls.endings import LONGEST_POLL, endings, of
from ropeway.errors import RemoteError, StoreError, Timeout
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.tasks import Tasks
from ropeway.testing.clock import FakeClock
from ropeway.worker import Worker

from .conftest import LONG, until
from .functions import register
from .test_calling import task

Serve = Callable[..., Worker]


class Counting:
    """Counts what is asked of a store."""

    def __init__(self, link: Link, patch: pytest.MonkeyPatch) -> None:
        self.browses = self.waits = self.asleep = self.most = 0
        store = link.store
        browse, wait = store.browse, store.wait

        def counted(query: Any) -> Any:
            self.browses += 1
            return browse(query)

        def waited(*args: Any) -> Any:
            self.waits += 1
            self.asleep += 1
            self.most = max(self.most, self.asleep)
            try:
                return wait(*args)
            finally:
                self.asleep -= 1

        patch.setattr(store, "browse", counted)
        patch.setattr(store, "wait", waited)


@pytest.fixture(params=engines())
def still(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Link, FakeClock]]:
    """A connection on a clock that jumps when somebody sleeps."""
    clock = FakeClock()
    with place(request.param, tmp_path) as url:
        link = Link(url, clock)
        yield link, clock
        link.close()


def test_ten_idle_seconds_cost_a_handful_of_looks(still: tuple[Link, FakeClock], monkeypatch: pytest.MonkeyPatch) -> None:
    link, clock = still
    handle = Queue[Any](link, "mails").put(1, keep="1h")
    count, before = Counting(link, monkeypatch), clock.boot()
    with pytest.raises(Timeout, match="10s"):
        handle.result("10s")
    assert clock.boot() - before == pytest.approx(10, abs=0.5)
    assert count.browses <= 12  # two or three a sleep where a store looks again a moment after it has announced itself
    assert count.waits <= 7


def test_results_of_many_take_few_looks(url: str, link: Link, tasks: Tasks, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = task(tasks, "add").options(keep="1h").map(range(150))
    serve(url)
    until(lambda: link.store.counts(["default"])["default"].done == 150)
    count = Counting(link, monkeypatch)
    assert list(handles.results(LONG)) == list(range(150))
    assert count.browses <= 3


def test_an_end_rings(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    """Fewer seconds than the slow poll would take, many times over."""
    serve(url)
    quick = task(tasks, "add").options(keep="1h")
    began = link.clock.boot()
    for n in range(20):
        assert quick.put(n).result(LONG) == n
    assert link.clock.boot() - began < 20
    with pytest.raises(ValueError, match="no such number"):
        task(tasks, "fail").options(keep="1h").put("value").result(LONG)
    assert list(task(tasks, "add").options(keep="1h").map(range(30)).results(LONG)) == list(range(30))


def test_one_sleeper_for_all_who_wait(url: str, link: Link, tasks: Tasks, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    count = Counting(link, monkeypatch)
    handles = [task(tasks, "add").options(keep="1h").put(n) for n in range(24)]
    got: dict[int, Any] = {}

    def waits(n: int) -> None:
        got[n] = handles[n].result(LONG)

    async def awaits() -> list[Any]:
        return await asyncio.gather(*(handle.aresult(LONG) for handle in handles[12:]))

    threads = [threading.Thread(target=waits, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    until(lambda: len(of(link)._waiters) == 12)
    serve(url)
    assert asyncio.run(awaits()) == list(range(12, 24))
    for thread in threads:
        thread.join(LONG)
    assert got == {n: n for n in range(12)}
    assert count.most == 1
    assert not of(link)._waiters


def test_an_end_that_leaves_nothing_is_found_by_the_poll(still: tuple[Link, FakeClock]) -> None:
    """Deleted while it is waited for: nobody rings for that."""
    link, clock = still
    mails = Queue[Any](link, "mails")
    handle, kept = mails.put(1, keep="1h"), mails.put(2, keep="1h")
    [entry] = link.store.browse(_query(handle.id))
    assert entry.state is State.READY
    before, looks = clock.boot(), []
    browse = link.store.browse

    def deleting(query: Any) -> Any:
        looks.append(query)
        if len(looks) == 3:
            link.store.delete(_query(handle.id))
        return browse(query)

    link.store.browse = deleting  # type: ignore[method-assign]
    assert handle.wait("1m") is None
    assert clock.boot() - before <= 2 * LONGEST_POLL
    assert kept.cancel()
    with pytest.raises(RemoteError, match="without a result"):
        kept.result(0)


def _query(job_id: str) -> Any:
    from ropeway.store import Query

    return Query(queues=("mails",), ids=(job_id,))


def test_those_of_other_queues_and_newcomers(memory: str, serve: Serve) -> None:
    """One that waits for another queue joins the sleep that is under way."""
    link, first, second = Link(memory), [], []
    mails, notes = Queue[Any](link, "mails"), Queue[Any](link, "notes")
    mail, note = mails.put(1, keep="1h"), notes.put(2, keep="1h")
    one = threading.Thread(target=lambda: first.append(mail.wait(LONG)))
    one.start()
    until(lambda: of(link).lead._leading)
    two = threading.Thread(target=lambda: second.append(note.wait(LONG)))
    two.start()
    until(lambda: len(of(link)._waiters) == 2)
    began = link.clock.boot()
    (notes.claim() or pytest.fail("no claim")).ack()
    two.join(LONG)
    assert second == [State.DONE]
    (mails.claim() or pytest.fail("no claim")).bury("bad")
    one.join(LONG)
    assert first == [State.DEAD]
    assert link.clock.boot() - began < 20
    link.close()


def test_a_store_that_fails_fails_those_who_wait(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link, errors = Link(memory), []
    handle = Queue[Any](link, "mails").put(1, keep="1h")
    broken, browse = threading.Event(), link.store.browse

    def browsing(query: Any) -> Any:
        if broken.is_set():
            raise StoreError("the server is away")
        return browse(query)

    monkeypatch.setattr(link.store, "browse", browsing)

    def waits() -> None:
        with pytest.raises(StoreError, match="away"):
            handle.wait(LONG)
        errors.append("told")

    threads = [threading.Thread(target=waits) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(of(link)._waiters) == 3 and of(link).lead._leading)
    broken.set()
    of(link).lead.called_back()
    for thread in threads:
        thread.join(LONG)
    assert len(errors) == 3
    link.close()


def test_the_connection_is_closed_under_those_who_wait(url: str) -> None:
    link, errors = Link(url), []
    handle = Queue[Any](link, "mails").put(1, keep="1h")

    def waits() -> None:
        with pytest.raises(StoreError, match="closed"):
            handle.wait(LONG)
        errors.append("told")

    async def awaits() -> None:
        waiting = asyncio.ensure_future(handle.await_(LONG))
        while len(of(link)._waiters) < 3:
            await asyncio.sleep(0.002)
        await asyncio.to_thread(link.close)
        with pytest.raises(StoreError, match="closed"):
            await waiting

    threads = [threading.Thread(target=waits) for _ in range(2)]
    for thread in threads:
        thread.start()
    asyncio.run(awaits())
    for thread in threads:
        thread.join(LONG)
    assert errors == ["told", "told"]


def test_left_early(memory: str) -> None:
    link = Link(memory)
    mails = Queue[Any](link, "mails")
    handles = mails.put_many(range(3), keep="1h")
    for handle in handles[:2]:
        (mails.pick(handle.id) or pytest.fail("no claim")).ack()
    for _, entry in endings(link, "mails", [handle.id for handle in handles], LONG):
        assert entry is not None
        break
    assert not of(link)._waiters if link.endings else True
    register(Tasks(link))
    link.close()
