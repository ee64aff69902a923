"""The contract of the bus between processes, with the slow, with the dying, and at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from ...bus import MESSAGE_LIMIT
from ...errors import RopewayError
from ...message import Message
from ...store import Feature, Store
from ..clock import FakeClock
from .harness import Open, needs
from .topics import LONG, BusHarness, MakeMessage, Notebook


class TopicsBetween(BusHarness):
    """What others do to a listener and to a publisher."""

    @needs(Feature.TOPICS)
    def test_a_slow_listener_holds_up_nobody_and_learns_what_it_missed(
        self, opener: Open, store: Store, second: Store, clock: FakeClock, message: MakeMessage, book: Notebook
    ) -> None:
        """24 MiB for one who does not move: the publisher goes on, the others hear all of it, and what the slow one hears and misses adds
        up."""
        if not self.counts_missed:
            pytest.skip("this engine has no buffer of ours for each listener")
        slow, go = Notebook(), threading.Event()

        def sleepy(messages: Sequence[Message], missed: int) -> None:
            go.wait(LONG * 2)
            slow(messages, missed)

        store.bus.listen(["a.*"], sleepy)
        opener(clock).bus.listen(["a.*"], book)
        total = 400
        try:
            for number in range(total):
                second.bus.publish([message("a.x", b"%d " % number + bytes(60_000))])
                book.until(lambda book, number=number: len(book.heard) == number + 1)  # type: ignore[misc]
            assert book.gaps == []
        finally:
            go.set()
        end = message("a.end")
        slow.until(lambda book: len(book.heard) + sum(missed for _, missed in book.gaps) == total)
        second.bus.publish([end])
        slow.until_topic("a.end")
        assert slow.gaps, "all of it fitted in somewhere"
        assert all(missed > 0 for _, missed in slow.gaps)
        assert len(slow.heard) + sum(missed for _, missed in slow.gaps) == total + 1
        told = [int(one.body.split()[0]) for one in slow.heard[:-1]]
        assert told == sorted(set(told))
        number, at = -1, 0
        for before, missed in slow.gaps:  # each gap is told where it is
            assert told[at:before] == list(range(number + 1, number + 1 + before - at))
            number += before - at + missed
            at = before
        assert told[at:] == list(range(number + 1, total))

    @needs(Feature.TOPICS)
    def test_close_while_listening_and_while_publishing(self, opener: Open, store: Store, clock: FakeClock, message: MakeMessage) -> None:
        """Whatever meets whatever: the threads end, and nobody hears after the end."""
        before = set(threading.enumerate())
        store.bus.publish([])
        for _ in range(3):
            other, book, stop = opener(clock), Notebook(), threading.Event()
            other.bus.listen(["a"], book)

            def publish(stop: threading.Event = stop) -> None:
                while not stop.is_set():
                    store.bus.publish([message("a", bytes(1000))])

            publisher = threading.Thread(target=publish)
            publisher.start()
            try:
                if self.shared:
                    book.until_topic("a")
                other.close()
                count = len(book.heard)
            finally:
                stop.set()
                publisher.join()
            if self.shared:
                assert len(book.heard) == count, "heard after the end"
        end = time.monotonic() + LONG
        while time.monotonic() < end and (left := _of_buses(set(threading.enumerate()) - before)):
            time.sleep(0.05)
        assert not left, f"threads stay: {left}"

    @needs(Feature.TOPICS)
    def test_a_closed_store_publishes_nothing(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["#"], book)
        second.bus.publish([message("a")])
        second.close()
        with pytest.raises(RopewayError):
            second.bus.publish([message("b")])
        with pytest.raises(RopewayError):
            second.bus.listen(["a"], Notebook())
        store.bus.publish([message("end")])
        assert [one.topic for one in book.until_topic("end")] == ["a", "end"]

    @needs(Feature.TOPICS)
    def test_what_was_published_before_the_close_arrives(self, opener: Open, store: Store, second: Store, clock: FakeClock,
                                                        message: MakeMessage, book: Notebook) -> None:  # fmt: skip
        """A short-lived publisher: it says its news and is gone."""
        store.bus.listen(["a"], book)
        for number in range(5):
            other = opener(clock)
            other.bus.publish([message("a", b"%d" % number + bytes(300_000))])
            other.close()
        book.until(lambda book: len(book.heard) == 5)
        assert book.gaps == []

    @needs(Feature.TOPICS)
    def test_inside_a_commit_it_is_told_at_once(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["a"], book)
        with second.commit():
            second.queues()
            second.bus.publish([message("a")])
            book.until_topic("a")

    # -- processes

    @pytest.fixture
    def forks(self, store: Store) -> Iterator[Callable[[Callable[[], None]], int]]:
        """Runs something in a forked process; ended with the test."""
        if Feature.TOPICS in store.features and not self.processes:
            pytest.skip("other processes see nothing of this engine's jobs")
        pids: list[int] = []

        def fork(work: Callable[[], None]) -> int:
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    work()
                    code = 0
                finally:
                    os._exit(code)
            pids.append(pid)
            return pid

        yield fork
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass

    @needs(Feature.TOPICS)
    def test_another_process_publishes(
        self, store: Store, second: Store, open: Open, clock: FakeClock, message: MakeMessage, book: Notebook,  # noqa: A002
        forks: Callable[[Callable[[], None]], int],
    ) -> None:  # fmt: skip
        store.bus.listen(["a.*"], book)

        def child() -> None:
            mine = open(clock)
            mine.bus.publish([message("a.x", b"%d" % number) for number in range(100)])
            mine.bus.publish([message("a.end", bytes(MESSAGE_LIMIT))])
            mine.close()

        pid = forks(child)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        book.until_topic("a.end")
        assert book.bodies()[:-1] == [b"%d" % number for number in range(100)]
        assert book.gaps == []

    @needs(Feature.TOPICS)
    def test_another_process_listens_and_is_killed(
        self, store: Store, second: Store, open: Open, clock: FakeClock, message: MakeMessage, book: Notebook,  # noqa: A002
        forks: Callable[[Callable[[], None]], int],
    ) -> None:  # fmt: skip
        """Who is gone costs the publisher nothing, and takes nothing from the others."""
        store.bus.listen(["back", "end"], book)

        def child() -> None:
            mine = open(clock)
            mine.bus.listen(["ask"], lambda messages, _: mine.bus.publish([message("back", one.body) for one in messages]))
            signal.pause()

        pid = forks(child)
        end = time.monotonic() + LONG
        while not book.heard and time.monotonic() < end:
            second.bus.publish([message("ask", b"are you there")])
            time.sleep(0.02)
        assert book.bodies()[:1] == [b"are you there"]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for _ in range(20):
            second.bus.publish([message("ask", bytes(10_000))])
        second.bus.publish([message("end")])
        book.until_topic("end")

    @needs(Feature.TOPICS)
    def test_a_fork_takes_nothing_from_its_parent(
        self, store: Store, second: Store, open: Open, clock: FakeClock, message: MakeMessage, book: Notebook,  # noqa: A002
        forks: Callable[[Callable[[], None]], int],
    ) -> None:  # fmt: skip
        """The child of a process that listens and publishes: what it closes and opens is its own."""
        store.bus.listen(["a.*"], book)
        second.bus.publish([message("a.1")])
        book.until_topic("a.1")

        def child() -> None:
            try:
                heard = Notebook()
                store.bus.listen(["b"], heard)
                second.bus.publish([message("b"), message("a.child")])
                heard.until_topic("b")
            except RopewayError:  # this engine wants to be opened anew in a child
                mine = open(clock)
                mine.bus.publish([message("a.child")])
                mine.close()
            store.close()
            second.close()

        pid = forks(child)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        second.bus.publish([message("a.2")])
        assert [one.topic for one in book.until_topic("a.2")] == ["a.1", "a.child", "a.2"]
        assert book.gaps == []


def _of_buses(threads: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in threads if thread.name.startswith("ropeway-")]
