"""The contract of wait and wake between threads: one really sleeps, another rings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from ...store import Feature, Handback, Store
from ..clock import FakeClock
from .harness import HOLDER, MakeJob, Open, needs, put_one, standing, take_one
from .still import PATIENCE, Still

Begin = Callable[..., Future[bool]]


class WaitingThreads(Still):
    """wait in a thread that really sleeps, until it is rung: time stands still unless the test moves it."""

    @pytest.fixture
    def there(self, here: Store, opener: Open, still: FakeClock) -> Store:
        if not self.shared:
            pytest.skip("each store object of this engine has a place of its own")
        return opener(still)

    @pytest.fixture
    def asleep(self, here: Store, still: FakeClock) -> Iterator[Begin]:
        """Begins to wait in another thread, and answers when that thread sleeps."""
        pool = ThreadPoolExecutor(4)
        begun: list[Future[bool]] = []

        def begin(where: Store = here, *queues: str) -> Future[bool]:
            begun.append(pool.submit(where.wait, queues or ("q",), 600.0))
            still.until_asleep(sum(not future.done() for future in begun))
            return begun[-1]

        yield begin
        still.advance(700)
        pool.shutdown()

    @staticmethod
    def _noticed(waiter: Future[bool], still: FakeClock, step: float) -> bool:
        """How it ended, when time goes on in steps while it does not."""
        for _ in range(40):
            with suppress(TimeoutError):
                return waiter.result(0.1)
            still.advance(step)
        raise AssertionError(f"not noticed within {40 * step:.0f} s")

    def test_a_put_wakes_who_waits(self, here: Store, asleep: Begin, job: MakeJob) -> None:
        waiter = asleep()
        put_one(here, job())
        assert waiter.result(PATIENCE) is True

    def test_a_put_to_a_queue_that_was_not_there(self, here: Store, still: FakeClock, asleep: Begin, job: MakeJob) -> None:
        waiter = asleep(here, "new")
        put_one(here, job("new"))
        assert self._noticed(waiter, still, 0.25) is True

    def test_a_put_in_another_store_object_wakes_who_waits(self, there: Store, asleep: Begin, job: MakeJob) -> None:
        waiter = asleep()
        put_one(there, job())
        assert waiter.result(PATIENCE) is True

    def test_a_handback_wakes_who_waits(self, here: Store, asleep: Begin, job: MakeJob) -> None:
        put_one(here, job())
        lent = take_one(here)
        waiter = asleep()
        here.nack([Handback(lent.receipt)])
        assert waiter.result(PATIENCE) is True

    @needs(Feature.DELAY)
    def test_a_delayed_put_shortens_the_sleep(self, here: Store, still: FakeClock, asleep: Begin, job: MakeJob) -> None:
        waiter = asleep()
        put_one(here, job(delay=30.0))
        still.advance(29)
        if waiter.done():  # rung by the put, and told that something may be due: a hint, and too early
            assert here.claim(["q"], 1, 30.0, HOLDER) == []
            waiter = asleep()
        still.advance(2)
        assert self._noticed(waiter, still, 2) is True  # one that was rung and counts its time only now sleeps from here on
        take_one(here)

    def test_wake_ends_every_wait_of_the_object(self, here: Store, asleep: Begin) -> None:
        waiters = [asleep(), asleep(here, "a", "b")]
        here.wake()
        assert [waiter.result(PATIENCE) for waiter in waiters] == [False, False]

    def test_a_put_elsewhere_wakes_nobody(self, here: Store, still: FakeClock, asleep: Begin, job: MakeJob) -> None:
        waiter = asleep()
        put_one(here, job("other"))
        still.until_asleep(1)
        still.advance(601)
        assert waiter.result(PATIENCE) is False

    @needs(Feature.SWITCHES)
    def test_opening_the_switch_wakes_who_waits(self, here: Store, asleep: Begin, job: MakeJob) -> None:
        put_one(here, job())
        here.pause(["q"], claim=True)
        waiter = asleep()
        here.pause(["q"], claim=False)
        assert waiter.result(PATIENCE) is True

    def test_close_ends_a_wait(self, still: FakeClock, opener: Open, asleep: Begin) -> None:
        other = opener(still)
        waiter = asleep(other)
        other.close()
        assert waiter.result(PATIENCE) is False

    def test_many_threads_one_put_each(self, here: Store, still: FakeClock, job: MakeJob) -> None:
        """Whoever waits and claims in a loop gets everything, however the two meet."""
        got: list[str] = []
        lock = threading.Lock()

        def work() -> None:
            while True:
                here.wait(["q"], 500.0)
                lent = here.claim(["q"], 1, 30.0, HOLDER)
                if lent and lent[0].job.body == b"end":
                    return
                with lock:
                    got.extend(one.job.id for one in lent)

        with ThreadPoolExecutor(3) as pool:
            workers = [pool.submit(work) for _ in range(3)]
            jobs = [put_one(here, job()) for _ in range(60)]
            for _ in workers:
                put_one(here, job(body=b"end"))
            for worker in workers:
                for _ in range(round(self.deaf * 10)):  # less than any poll: a ring that was lost stays lost
                    with suppress(TimeoutError):
                        worker.result(0.1)
                        break
                    still.advance(0.1)
                worker.result(PATIENCE)
        assert sorted(got) == [one.id for one in jobs]
        assert standing(here) == {"running": 63}
