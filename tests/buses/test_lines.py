"""The publisher's side by itself: what waits for a slow listener, what is dropped and how that is told, and where a port is found."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from ropeway.bells.choice import BellChoice
from ropeway.buses import line as lines
from ropeway.buses import stream
from ropeway.buses.frames import read_announcement
from ropeway.buses.places import Port
from ropeway.errors import ConfigError

from .conftest import Notebook, Two, message


class Stuck:
    """A listener that does not move until it is let go."""

    def __init__(self) -> None:
        self.book, self.go, self.held = Notebook(), threading.Event(), threading.Event()

    def __call__(self, messages: object, missed: int) -> None:
        self.held.set()
        self.go.wait(30)
        self.book(messages, missed)  # type: ignore[arg-type]


@pytest.fixture
def stuck() -> Stuck:
    return Stuck()


def test_what_is_dropped_is_counted_by_topic(two: Two, stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two listeners of one process: each is told of its own."""
    monkeypatch.setattr(lines, "MOST", 20)
    other = Notebook()
    two.listener.listen(["a.*"], stuck)
    two.listener.listen(["b.*"], other)
    two.publisher.publish([message("a.first")])
    assert stuck.held.wait(20)
    for _ in range(300):  # the kernel takes some of them
        two.publisher.publish([message("a.x", bytes(20_000)), message("b.x", bytes(20_000)), message("b.y", bytes(20_000))])
    stuck.go.set()
    two.publisher.publish([message("a.end"), message("b.end")])
    stuck.book.until(lambda book: len(book.heard) + sum(missed for _, missed in book.gaps) >= 302)
    other.until(lambda book: len(book.heard) + sum(missed for _, missed in book.gaps) >= 601)
    for book, count in ((stuck.book, 302), (other, 601)):
        assert len(book.heard) + sum(missed for _, missed in book.gaps) == count
        assert sum(missed for _, missed in book.gaps) > 100
        assert all(missed > 0 for _, missed in book.gaps)


def test_too_many_topics_are_not_counted_apart(two: Two, stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count stays within bounds; what is beyond them is told as some."""
    monkeypatch.setattr(lines, "MOST", 1)
    monkeypatch.setattr(lines, "TOPICS", 10)
    two.listener.listen(["a.*"], stuck)
    two.publisher.publish([message("a.first")])
    assert stuck.held.wait(20)
    for number in range(100):
        two.publisher.publish([message(f"a.{number}", bytes(60_000))])
    stuck.go.set()
    stuck.book.until(lambda book: book.gaps)
    assert stuck.book.gaps[-1][1] == -1


def test_a_publisher_that_closes_waits_a_moment_and_no_longer(two: Two, stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LINGER", 0.2)
    two.listener.listen(["a"], stuck)
    two.publisher.publish([message("a", bytes(500_000)) for _ in range(20)])
    began = time.monotonic()
    two.publisher.close()
    assert time.monotonic() - began < 10
    stuck.go.set()


def test_a_batch_larger_than_the_buffer_goes_as_far_as_it_can(two: Two, book: Notebook) -> None:
    """One call, 12 MiB, to one who listens well: what was told and what was missed add up."""
    two.listener.listen(["a"], book)
    two.publisher.publish([message("a", bytes(60_000)) for _ in range(200)])
    two.publisher.publish([message("a", b"end")])
    book.until(lambda book: len(book.heard) + sum(missed for _, missed in book.gaps) == 201)
    assert len(book.heard) > 60


def test_the_thread_that_sends_ends_when_nothing_is_left(two: Two, stuck: Stuck) -> None:
    two.listener.listen(["a"], stuck)
    two.publisher.publish([message("a", bytes(500_000)) for _ in range(5)])
    stuck.go.set()
    stuck.book.until(lambda book: len(book.heard) == 5)
    end = time.monotonic() + 20
    while any(thread.name == "ropeway-bus-out" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.05)
    two.publisher.publish([message("a", bytes(500_000)) for _ in range(5)])
    stuck.book.until(lambda book: len(book.heard) == 10)


def test_many_patterns_are_one(two: Two) -> None:
    """A note holds 64 KiB: a process with very many patterns hears everything, and chooses for itself."""
    books = [Notebook() for _ in range(5)]
    for number, book in enumerate(books):
        two.listener.listen([f"a{number}.b{n}" for n in range(50)], book)
    assert two.announced().patterns == ["#"]
    two.publisher.publish([message("c"), message("a3.b7"), message("a0.b0")])
    books[3].until_topic("a3.b7")
    books[0].until_topic("a0.b0")
    assert [book.topics() for book in books] == [["a0.b0"], [], [], ["a3.b7"], []]


def test_descriptors_do_not_grow(two: Two, book: Notebook) -> None:
    def once() -> None:
        end = two.listener.listen(["a"], book)
        before = len(book.heard)
        two.publisher.publish([message("a")])
        book.until(lambda book: len(book.heard) == before + 1)
        end()
        two.publisher.publish([message("a")])

    once()
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        once()
    assert len(os.listdir("/proc/self/fd")) <= count + 2


def test_ports_of_a_range_are_taken_in_turn() -> None:
    """As with the bell, whose range this is: those of TCP."""
    place = Port(BellChoice("udp", "127.0.0.2", 47311, 47312), "")
    (first, here), (second, there) = place.listen(""), place.listen("")
    try:
        assert (here.partition("@")[0], there.partition("@")[0]) == ("127.0.0.2:47311", "127.0.0.2:47312")
        with pytest.raises(ConfigError, match="47311 to 47312"):
            place.listen("")
        reached = place.reach(here)
        assert reached is not None
        reached.close()
        assert place.reach(here.partition("@")[0]) is None, "a loopback address of who knows which host"
        assert place.reach("192.0.2.1:47311") is None, "this bell does not ring beyond the host"
    finally:
        first.close()
        second.close()


def test_the_folder_holds_no_sockets_of_the_dead(two: Two, book: Notebook, tmp_path: Path) -> None:
    if two.kind != "unix":
        pytest.skip("ports are free by themselves")
    two.listener.listen(["a"], book)
    (living,) = os.listdir(tmp_path / "listen")
    dead = socket.socket(socket.AF_UNIX)
    name = "0" * 32
    folder = os.open(tmp_path / "listen", os.O_RDONLY)
    dead.bind(f"/proc/self/fd/{folder}/{name}")
    os.close(folder)
    dead.close()
    os.utime(tmp_path / "listen" / name, (1, 1))
    other = two.bus()
    other.listen(["a"], Notebook())
    assert name not in os.listdir(tmp_path / "listen")
    assert living in os.listdir(tmp_path / "listen")
    assert all(read_announcement(value) for value in two.notes.notes("listen/").values())
