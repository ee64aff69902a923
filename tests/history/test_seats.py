"""A start of a worker leaves no note of its own: the name of one that has ended is taken over, and no count is lost or told twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.errors import StoreError
from ropeway.history.reading import HistoryRow, history
from ropeway.history.seat import FREE, HELD
from ropeway.history.tally import Tally
from ropeway.link import Link
from ropeway.testing.clock import FakeClock

from .test_tally import MINUTE, end

STARTS = 200


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=float(MINUTE))


@pytest.fixture
def link(clock: FakeClock) -> Iterator[Link]:
    made = Link("memory:", clock)
    yield made
    made.close()


def notes(link: Link, kind: str = "") -> list[str]:
    return list(link.store.notes.notes(f"history/{kind}"))


def counted(rows: list[HistoryRow], step: int = 60) -> Counter[int]:
    told: Counter[int] = Counter()
    for row in rows:
        told[row.at // step * step] += row.done
    return told


def test_two_hundred_starts_leave_a_note_for_each_time_and_no_more(link: Link, clock: FakeClock) -> None:
    expected: Counter[int] = Counter()
    for number in range(STARTS):
        one = Tally(link, f"worker-{number}", chance=lambda: 0.0)
        end(one, task=f"task-{number % 5}", done=number % 3 + 1)
        expected[int(clock.now()) // 60 * 60] += number % 3 + 1
        clock.advance(7.0)
        one.close()
    assert counted(history(link, "1h")) == expected
    assert sum(counted(history(link, "8d")).values()) == sum(expected.values())
    slots = {minute // 600 for minute in expected}
    assert len(notes(link, "m/")) == len(slots)
    assert len(notes(link, "h/")) == len({minute // 86400 for minute in expected})
    assert notes(link, "free/") == [f"{FREE}worker-0"]
    assert not notes(link, "held/")


def test_as_many_names_as_there_are_at_once(link: Link, clock: FakeClock) -> None:
    random, there, total = Random(7), [], 0
    for number in range(STARTS):
        there.append(one := Tally(link, f"worker-{number}"))
        end(one)
        one.write()
        total += 1
        if len(there) == 5:
            there.pop(random.randrange(5)).close()
        clock.advance(1.0)
    assert len(notes(link, "held/")) == 4
    assert len({key.split("/")[3] for key in notes(link, "m/")}) == 5
    assert sum(row.done for row in history(link)) == total


def test_what_is_counted_after_the_end_has_a_name_of_its_own(link: Link) -> None:
    one, other = Tally(link, "one"), Tally(link, "other")
    end(one, done=1)
    one.close()
    end(other, done=2)
    other.write()
    end(one, done=4)
    one.close()
    end(other, done=8)
    other.close()
    end(one, done=16)
    one.close()
    assert sum(row.done for row in history(link)) == 31
    assert sorted(notes(link, "free/")) == [f"{FREE}one", f"{FREE}one-1"]


def test_a_note_of_a_newer_release_is_left_as_it_is(link: Link) -> None:
    one = Tally(link, "one")
    end(one, done=1)
    one.close()
    kept = dict.fromkeys([*notes(link, "m/"), *notes(link, "h/")], b"what a newer release has written")
    for key, value in kept.items():
        link.store.notes.note(key, value, 3600.0)
    other = Tally(link, "other")
    end(other, done=2)
    other.close()
    found = link.store.notes.notes("history/")
    assert {key: found[key] for key in kept} == kept
    assert sum(row.done for row in history(link)) == 2
    assert len(notes(link, "m/")) == 2


class Trouble:
    """Notes that fail at some of the calls, before they are done or after."""

    def __init__(self, inner: Any, random: Random) -> None:
        self._inner = inner
        self._random = random
        self.on = True

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)

        def called(*args: Any) -> Any:
            bad = self._random.random() if self.on else 1.0
            if bad < 0.1:
                raise StoreError("not done")
            answer = inner(*args)
            if bad < 0.2:
                raise StoreError("done, and the answer was lost")
            return answer

        return called


@pytest.mark.parametrize("seed", range(20))
def test_a_store_that_fails_now_and_then_costs_a_name_and_never_a_count(
    link: Link, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    trouble = Trouble(link.store.notes, random)
    monkeypatch.setattr(link.store, "notes", trouble)
    total, tallies = 0, []
    for number in range(60):
        one = Tally(link, f"worker-{number}")
        for _ in range(random.randrange(1, 4)):
            end(one, done=number + 1)
            total += number + 1
            clock.advance(random.uniform(0, 30))
            one.beat()
        one.close()
        tallies.append(one)
    trouble.on = False
    for one in tallies:
        one.write()  # those that could not, or did not know
    assert sum(row.done for row in history(link, "6h")) == total
    assert sum(row.done for row in history(link, "8d")) == total


@pytest.mark.parametrize("engine", engines())
def test_many_at_once_on_every_engine(engine: str, tmp_path: Path) -> None:
    """Eight that start and end over and over, each on a connection of its own: they fight for the same names."""
    eight, rounds, failed = 8, STARTS // 8, []
    with place(engine, tmp_path) as url, closing(Link(url)) as link:
        link.store.notes.notes("")  # the place is made
        barrier = threading.Barrier(eight)

        def work(number: int) -> None:
            try:
                with closing(Link(url)) as own:
                    barrier.wait(30)
                    for turn in range(rounds):
                        one = Tally(own, f"worker-{number}-{turn}")
                        end(one, task=f"task-{number}")
                        one.write()
                        end(one, task=f"task-{number}")
                        one.close()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(eight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not failed
        told: Counter[str] = Counter()
        for row in history(link, "6h"):
            told[row.task] += row.done
        assert told == {f"task-{number}": 2 * rounds for number in range(eight)}
        names = {key.split("/")[3] for key in notes(link, "h/")}
        assert len(names) <= 2 * eight, "for a moment between two notes a name is nobody's, so there may be some more than eight"
        assert sorted(notes(link, "free/")) == sorted(FREE + name for name in names)


@pytest.mark.parametrize("engine", engines())
def test_of_many_that_drop_a_note_one_is_told_so(engine: str, tmp_path: Path) -> None:
    eight, rounds = 8, 20
    with place(engine, tmp_path) as url, closing(Link(url)) as link:
        for number in range(rounds):
            link.store.notes.note(f"seats/{number}", b"", 60.0)
        barrier, told = threading.Barrier(eight), Counter[int]()

        def work() -> None:
            with closing(Link(url)) as own:
                for number in range(rounds):
                    barrier.wait(30)
                    if own.store.notes.forget(f"seats/{number}"):
                        told[number] += 1

        threads = [threading.Thread(target=work) for _ in range(eight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert told == dict.fromkeys(range(rounds), 1)


KILLED = """
import os, sys
from ropeway.history.tally import Tally
from ropeway.link import Link
one = Tally(Link(sys.argv[1]), sys.argv[2])
with one.lock:
    one.turn()
    one.cell("mails", "send").done += 1
assert one.write()
os._exit(9)
"""


def test_the_name_of_one_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    with Broker(Link(url), config=False) as broker:
        for number in range(5):
            killed = subprocess.run([sys.executable, "-c", KILLED, url, f"killed-{number}"], check=False, timeout=60)
            assert killed.returncode == 9
        assert sum(row.done for row in broker.history()) == 5
        assert notes(broker.link, "held/") == [f"{HELD}killed-0/killed-4"]
        living = Tally(broker.link, "living")
        end(living)
        living.write()
        assert notes(broker.link, "held/") == [f"{HELD}killed-0/living"]
        other = Tally(broker.link, "other")
        end(other)
        other.write()
        assert f"{HELD}other/other" in notes(broker.link, "held/"), f"process {os.getpid()} lives, and keeps its name"
        assert sum(row.done for row in broker.history()) == 7


def test_workers_leave_a_bounded_history(tmp_path: Path) -> None:
    with Broker(Link(f"dir:{tmp_path}/spool?durability=os"), config=False) as broker:

        @broker.task(queue="mails")
        def send(number: int) -> None: ...

        for number in range(20):
            send.put(number)
            broker.worker("mails", drain=True).run()
        assert sum(row.done for row in broker.history()) == 20
        assert len(notes(broker.link)) <= 5, "two slots, two days and a free name at the most"
