"""A ring that speaks of a due job spares the sleeper a look, and is believed no further than that; and the slots that puts keep open."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import Sleeper, SystemClock
from ropeway.job import Job
from ropeway.link import Link
from ropeway.store import Handback, Holder
from ropeway.stores import open_store
from ropeway.stores.directory import slots as slots_module

ME = Holder("me")
pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no unix sockets here")


class Watched(SystemClock):
    """Tells when somebody is about to sleep by it: then he has announced himself and looked."""

    def __init__(self) -> None:
        self.asleep = threading.Event()

    def sleep(self, on: Sleeper, seconds: float) -> bool:
        self.asleep.set()
        return super().sleep(on, seconds)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    made: Any = open_store(f"dir:{tmp_path}/spool?durability=os", Watched())
    made.put([Job(Link("memory:").new_id(), "q")])  # the queue is there
    assert made.claim(("q",), 1, 30.0, ME)
    yield made
    made.close()


def asleep(store: Any, wait: Callable[[], bool]) -> tuple[threading.Thread, list[bool]]:
    """A thread that sleeps in `wait`; and where its answer will be."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(wait()))
    thread.start()
    assert store._clock.asleep.wait(40)
    return thread, answers


def looks_of(store: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    looks: list[float] = []
    look = store._waiting.look

    def counted(stations: Any) -> float:
        looks.append(look(stations))
        return looks[-1]

    monkeypatch.setattr(store._waiting, "look", counted)
    return looks


def test_a_put_that_is_due_spares_the_look(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_of(store, monkeypatch)
    thread, answers = asleep(store, lambda: store.wait(("q",), 10.0))
    before = len(looks)
    store.put([Job(Link("memory:").new_id(), "q")])
    thread.join(60)
    assert (answers, len(looks)) == ([True], before)
    assert len(store.claim(("q",), 5, 30.0, ME)) == 1


def test_a_delayed_put_is_looked_at_and_slept_on(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_of(store, monkeypatch)
    began = time.monotonic()
    thread, answers = asleep(store, lambda: store.wait(("q",), 10.0))
    before = len(looks)
    store.put([Job(Link("memory:").new_id(), "q", delay=0.4)])
    thread.join(60)
    assert answers == [True]
    assert len(looks) > before
    assert time.monotonic() - began >= 0.4


def test_of_a_queue_switched_off_no_ring_is_believed(store: Any) -> None:
    store.pause(("q",), claim=True, reason="no")
    thread, answers = asleep(store, lambda: store.wait(("q",), 0.5))
    store.put([Job(Link("memory:").new_id(), "q")])
    thread.join(60)
    assert answers == [False]


def test_a_ring_of_the_past_is_forgotten_by_the_next_wait(store: Any) -> None:
    sleeper = store._waiting.mine()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"due", f"\0ropeway.{sleeper.name}".encode())
    began = time.monotonic()
    assert store.wait(("q",), 0.2) is False
    assert time.monotonic() - began >= 0.2


def test_no_slot_is_closed_while_it_is_in_use(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "OPEN", 4)
    slots = store._stations["q"].intake.slots
    slots.enter()
    held = [slots.open(50, slots_module.slot_of(number << 22, slots_module.WIDE)) for number in range(10)]
    slots.enter()
    slots.leave()  # another's call ends: ours goes on
    assert len({os.fstat(fd).st_ino for fd in held}) == 10
    slots.leave()
    still = 0
    for fd in held:
        try:
            os.fstat(fd)
            still += 1
        except OSError:
            continue
    assert still <= 2
    assert os.fstat(slots.open(50, slots_module.slot_of(0, slots_module.WIDE)))


def test_an_end_that_nobody_can_be_told_of_is_an_end_all_the_same(tmp_path: Path) -> None:
    """Found by planting errors: the job had ended, and who had ended it got the system's own error."""
    store = open_store(f"dir:{tmp_path}/spool?durability=os")
    store.put([Job(Link("memory:").new_id(), "q")])
    (lent,) = store.claim(("q",), 1, 30.0, ME)
    (tmp_path / "spool" / "+ends").write_text("no folder")
    assert store.bury([Handback(lent.receipt)]) == [True]
    assert store.counts()["q"].dead == 1
    store.close()
