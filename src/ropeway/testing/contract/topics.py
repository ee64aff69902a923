"""The contract of the bus: who listens hears, in order, all that was published since, or how much of it was lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from ...bus import MESSAGE_LIMIT
from ...errors import BadBody, BadName, BadValue
from ...ids import IdMaker
from ...message import Message
from ...store import Feature, Store
from ..clock import FakeClock
from .harness import Harness, Open, needs, short

LONG = 20.0  # seconds that a message may take on a busy machine


class Notebook:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.gaps: list[tuple[int, int]] = []  # after how many, how many were missed
        self._news = threading.Condition()

    def __call__(self, messages: Sequence[Message], missed: int) -> None:
        with self._news:
            if missed:
                self.gaps.append((len(self.heard), missed))
            self.heard.extend(messages)
            self._news.notify_all()

    def until(self, true: Callable[[Notebook], object]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: true(self), LONG), f"heard only {self.topics()[-5:]} of {len(self.heard)}, gaps {self.gaps}"

    def until_topic(self, topic: str) -> list[Message]:
        """All that came, up to the one of that topic."""
        self.until(lambda _: any(message.topic == topic for message in self.heard))
        return self.heard

    def topics(self) -> list[str]:
        return [message.topic for message in self.heard]

    def bodies(self) -> list[bytes]:
        return [message.body for message in self.heard]


class MakeMessage(Protocol):
    def __call__(self, topic: str, body: bytes = b"", **fields: object) -> Message: ...


class BusHarness(Harness):
    """The bus between store objects, threads and processes. Time is the system's: nothing here depends on a clock."""

    counts_missed = True
    """Whether the engine can say how many a slow listener has missed; else it says that it were some, or waits for it."""
    processes = True
    """Whether other processes see what is in a store."""

    @pytest.fixture
    def message(self) -> MakeMessage:
        new_id = IdMaker(time.time_ns, os.urandom)

        def make(topic: str, body: bytes = b"", **fields: object) -> Message:
            return Message(topic, new_id(), body, **fields)  # type: ignore[arg-type]

        return make

    @pytest.fixture
    def book(self) -> Notebook:
        return Notebook()

    @pytest.fixture
    def beside(self) -> Open | None:
        """A factory for stores in another namespace of the same place; None when this engine has none."""
        return None


class Topics(BusHarness):
    """Who hears what."""

    @needs(Feature.TOPICS)
    def test_who_listens_hears(self, store: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["news"], book)
        sent = message("news", b"\x00\xff body", content_type="text/plain", headers={"tenant": "7", "name": "Zoë"}, at=12.5)
        store.bus.publish([sent])
        assert book.until_topic("news") == [sent]
        assert book.gaps == []

    @needs(Feature.TOPICS)
    def test_another_store_object_hears(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["news"], book)
        second.bus.publish([message("news", b"1"), message("other"), message("news", b"2")])
        book.until(lambda book: len(book.heard) == 2)
        assert book.bodies() == [b"1", b"2"]

    @needs(Feature.TOPICS)
    def test_only_what_a_pattern_means(self, store: Store, message: MakeMessage) -> None:
        books = {pattern: Notebook() for pattern in ("a.b", "a.*", "a.#", "#", "*.b", "a.#.z", "*")}
        for pattern, book in books.items():
            store.bus.listen([pattern], book)
        topics = ["a", "a.b", "ab", "a.c", "a.b.c", "x.b", "a.z", "a.b.z", "end.of.it"]
        store.bus.publish([message(topic) for topic in topics])
        books["#"].until_topic("end.of.it")
        last = message("a.b")
        store.bus.publish([last, message("a"), message("a.z"), message("a.b.z")])
        for pattern, count in (("a.b", 2), ("a.*", 5), ("a.#", 10), ("#", 13), ("*.b", 3), ("a.#.z", 4), ("*", 3)):
            books[pattern].until(lambda book, count=count: len(book.heard) >= count)  # type: ignore[misc]
            assert len(books[pattern].heard) == count, pattern
        assert books["a.*"].topics()[:3] == ["a.b", "a.c", "a.z"]
        assert books["a.#.z"].topics() == ["a.z", "a.b.z"] * 2

    @needs(Feature.TOPICS)
    def test_overlapping_patterns_tell_once(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        other = Notebook()
        store.bus.listen(["a.*", "a.b", "#", "a.#"], book)
        store.bus.listen(["a.b"], other)
        second.bus.publish([message("a.b"), message("end")])
        assert [one.topic for one in book.until_topic("end")] == ["a.b", "end"]
        assert [one.topic for one in other.until_topic("a.b")] == ["a.b"]

    @needs(Feature.TOPICS)
    def test_a_listener_more_takes_nothing_from_the_others(self, store: Store, second: Store, message: MakeMessage) -> None:
        """Listening begins and ends while others listen: they hear everything, once and in order."""
        steady, stop = Notebook(), threading.Event()
        store.bus.listen(["a.*"], steady)

        def publish() -> None:
            for number in range(300):
                second.bus.publish([message("a.x", b"%d" % number)])
            second.bus.publish([message("a.end")])
            stop.set()

        publisher = threading.Thread(target=publish)
        publisher.start()
        patterns = ["b", "a.x", "#", "c.*"]
        while not stop.is_set():
            end = store.bus.listen([patterns[0]], Notebook())
            patterns = patterns[1:] + patterns[:1]
            end()
        publisher.join()
        steady.until_topic("a.end")
        assert steady.bodies()[:-1] == [b"%d" % number for number in range(300)]
        assert steady.gaps == []

    @needs(Feature.TOPICS)
    def test_messages_of_one_thread_keep_their_order(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["#"], book)

        def publish(name: str) -> None:
            for number in range(60):
                second.bus.publish([message(f"{name}.{n % 3}", b"%d" % (number * 3 + n)) for n in range(3)])

        threads = [threading.Thread(target=publish, args=(name,)) for name in ("a", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        book.until(lambda book: len(book.heard) == 540)
        for name in ("a", "b", "c"):
            assert [int(one.body) for one in book.heard if one.topic.startswith(name)] == list(range(180))

    @needs(Feature.TOPICS)
    def test_many_listeners(self, opener: Open, store: Store, clock: FakeClock, message: MakeMessage) -> None:
        stores = [store, *(opener(clock) for _ in range(4))] if self.shared else [store] * 5
        books = [Notebook() for _ in range(15)]
        for number, book in enumerate(books):
            stores[number % 5].bus.listen(["a.*"], book)
        sent = [message("a.x", b"%d" % number) for number in range(20)]
        store.bus.publish(sent)
        for book in books:
            book.until(lambda book: len(book.heard) >= 20)
            assert book.heard == sent

    @needs(Feature.TOPICS)
    def test_who_has_ended_hears_no_more(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        ended = Notebook()
        end = store.bus.listen(["a"], ended)
        store.bus.listen(["a"], book)
        second.bus.publish([message("a", b"1")])
        ended.until(lambda book: len(book.heard) == 1)
        end()
        end()
        second.bus.publish([message("a", b"2")])
        book.until(lambda book: len(book.heard) == 2)
        assert ended.bodies() == [b"1"]

    @needs(Feature.TOPICS)
    def test_listening_anew(self, store: Store, second: Store, message: MakeMessage) -> None:
        for number in range(5):
            book = Notebook()
            end = store.bus.listen(["a"], book)
            second.bus.publish([message("a", b"%d" % number)])
            book.until(lambda book, number=number: b"%d" % number in book.bodies())  # type: ignore[misc]
            heard = [body for body in book.bodies() if body != b"to nobody"]  # which may still be on its way when we listen again
            assert heard == [b"%d" % number]
            assert book.gaps == []
            end()
            second.bus.publish([message("a", b"to nobody")])

    @needs(Feature.TOPICS)
    def test_what_was_published_before_is_not_heard(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        second.bus.publish([message("a", b"before")])
        store.bus.listen(["a"], book)
        second.bus.publish([message("a", b"after")])
        book.until_topic("a")
        assert book.bodies() == [b"after"]

    @needs(Feature.TOPICS)
    def test_big_and_binary_bodies(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        store.bus.listen(["a"], book)
        bodies = [os.urandom(size) for size in (0, 1, 5_904, 7_999, 8_001, 65_536, MESSAGE_LIMIT)] + [bytes(range(256)) * 40]
        for body in bodies:
            second.bus.publish([message("a", body)])
        second.bus.publish([message("a", body) for body in bodies[:6]])
        book.until(lambda book: len(book.heard) == len(bodies) + 6)
        assert book.bodies() == bodies + bodies[:6]

    @needs(Feature.TOPICS)
    def test_publishing_where_nobody_listens(self, store: Store, message: MakeMessage) -> None:
        before = set(threading.enumerate())
        for _ in range(50):
            store.bus.publish([message("a", b"x" * 1000)])
        store.bus.publish([])
        assert set(threading.enumerate()) <= before, "publishing needs no thread"

    @needs(Feature.TOPICS)
    def test_a_listener_that_fails_ends_nothing(self, store: Store, second: Store, message: MakeMessage, book: Notebook) -> None:
        failing = Notebook()

        def fails(messages: Sequence[Message], missed: int) -> None:
            failing(messages, missed)
            raise RuntimeError("a listener of the tests")

        store.bus.listen(["a"], fails)
        store.bus.listen(["a"], book)
        for number in range(3):
            second.bus.publish([message("a", b"%d" % number)])
        book.until(lambda book: len(book.heard) == 3)
        failing.until(lambda book: len(book.heard) == 3)

    @needs(Feature.TOPICS)
    def test_two_namespaces_never_hear_one_another(
        self, store: Store, beside: Open | None, clock: FakeClock, message: MakeMessage, book: Notebook
    ) -> None:
        if beside is None:
            pytest.skip("no namespaces here")
        elsewhere, there = beside(clock), Notebook()
        elsewhere.bus.listen(["#"], there)
        store.bus.listen(["#"], book)
        for number in range(10):
            store.bus.publish([message("a", b"here")])
            elsewhere.bus.publish([message("a", b"there")])
            there.until(lambda book, number=number: len(book.heard) > number)  # type: ignore[misc]
        book.until(lambda book: len(book.heard) == 10)
        assert set(book.bodies()) == {b"here"}
        assert set(there.bodies()) == {b"there"}
        elsewhere.close()

    @pytest.mark.parametrize("topic", ["", ".a", "a b", "a\n", "*", "a.*", "ä", "a/b", "x" * 129, None], ids=short)
    @needs(Feature.TOPICS)
    def test_a_bad_topic_is_refused(self, store: Store, message: MakeMessage, book: Notebook, topic: str) -> None:
        store.bus.listen(["#"], book)
        with pytest.raises(BadName):
            store.bus.publish([message("fine"), message(topic)])
        store.bus.publish([message("end")])
        assert [one.topic for one in book.until_topic("end")] == ["end"], "nothing of a refused call is told"

    @needs(Feature.TOPICS)
    def test_bad_messages_and_patterns_are_refused(self, store: Store, message: MakeMessage, book: Notebook) -> None:
        bad: list[Message] = [
            message("a", b"x" * (MESSAGE_LIMIT + 1)),
            message("a", headers={"a\n": ""}),
            message("a", at=-1.0),
            Message("a", "no id"),
        ]
        for one in bad:
            with pytest.raises((BadBody, BadName, BadValue)):
                store.bus.publish([one])
        for patterns in ([], ["a/b"], [".a"], ["a b"], ["#"] * 101, "text"):
            with pytest.raises(BadValue):
                store.bus.listen(patterns, book)
