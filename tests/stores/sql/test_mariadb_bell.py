"""The UDP bell on MariaDB: a put wakes who sleeps though the poll is a minute, a lost ring costs a poll, an idle fleet asks for little."""

# ruff: noqa: F811 - a fixture
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

import servers
from ropeway.bells.bell import LIFETIME, RENEWED
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Store
from ropeway.stores import open_store

from .mariadb import Place, connected, place  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.service("mariadb"), pytest.mark.timeout(180)]

HOLDER = Holder("host:1:bell", bound=False)
TIMES = 20
BEHIND = 60.0  # seconds: the poll behind the bell of MariaDB
FLEET = int(os.environ.get("ROPEWAY_FLEET", "100"))
POLL = 3.0
PROCESSES = 5  # that share them, each thread with a sleeping place of its own
LOOKED_AT = float(os.environ.get("ROPEWAY_FLEET_SECONDS", "10"))
new_id = IdMaker(time.time_ns, os.urandom)

SLEEPERS = """
import sys, threading
from ropeway.stores import open_store
store = open_store(sys.argv[1])
def sleep():
    while True:
        store.wait(["q"], 300.0)
for _ in range(int(sys.argv[2])):
    threading.Thread(target=sleep, daemon=True).start()
print("up", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def opened(place: Place) -> Iterator[Callable[[str], Store]]:
    stores: list[Store] = []

    def one(options: str) -> Store:
        stores.append(open_store(f"{place.url}&{options}"))
        stores[-1].queues()  # the tables are made with the first call
        return stores[-1]

    place.empty()
    yield one
    for store in stores:
        store.close()


def made() -> list[Job]:
    return [Job(new_id(), "q", b"x")]


def ask(place: Place, text: str) -> Any:
    cursor = place._connection.cursor()
    cursor.execute(text)
    return cursor.fetchall()


def asleep(place: Place, count: int = 1) -> None:
    """Wait until that many have announced themselves, and have looked once more after that."""
    end = time.monotonic() + 30
    while ask(place, f"select count(*) from {place.prefix}waiting")[0][0] < count:
        assert time.monotonic() < end, "nobody has gone to sleep"
        time.sleep(0.005)
    threading.Event().wait(0.15)


class Worker(threading.Thread):
    """Waits, claims and acks, and notes when it had each job."""

    def __init__(self, store: Store, jobs: int) -> None:
        super().__init__(daemon=True)
        self.store, self.jobs = store, jobs
        self.started: list[float] = []
        self.start()

    def run(self) -> None:
        while len(self.started) < self.jobs:
            lent = self.store.claim(["q"], 1, 60.0, HOLDER)
            if not lent:
                self.store.wait(["q"], 60.0)
                continue
            self.started.append(time.monotonic())
            self.store.ack([Ack(lent[0].receipt)])


def test_a_job_starts_at_once_though_the_poll_is_a_minute(place: Place, opened: Callable[[str], Store]) -> None:
    putter, worker = opened("poll=60s"), Worker(opened("poll=60s"), TIMES)
    latencies = []
    for number in range(TIMES):
        asleep(place)
        putter.put(made())
        committed = time.monotonic()
        while len(worker.started) == number:
            assert time.monotonic() < committed + 30, "that would have been the poll"
            time.sleep(0.0005)
        latencies.append(worker.started[number] - committed)
    worker.join(20)
    print(f"median {median(latencies) * 1000:.1f} ms, worst {max(latencies) * 1000:.1f} ms of {TIMES}")
    assert max(latencies) < 25
    assert median(latencies) < 2


def test_who_sleeps_for_long_is_announced_anew(place: Place, opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """An announcement holds two minutes; a wait that lasted longer was rung no more."""
    from ropeway.bells import bell

    monkeypatch.setattr(bell, "LIFETIME", 1.0)
    putter, worker = opened("poll=60s"), Worker(opened("poll=60s"), 1)
    asleep(place)
    threading.Event().wait(2.0)
    putter.put(made())
    worker.join(20)
    assert worker.started, "that would have been the poll"


def test_every_ring_dropped_it_starts_within_one_poll(place: Place, opened: Callable[[str], Store]) -> None:
    """Who puts rings nobody. The poll is longer than what a busy machine takes, shorter than the poll behind a bell that works."""
    putter, worker = opened("bell=off"), Worker(opened("poll=2s"), 3)
    for number in range(3):
        asleep(place)
        putter.put(made())
        committed = time.monotonic()
        while len(worker.started) == number:
            assert time.monotonic() < committed + 2 + 5
            time.sleep(0.002)
    worker.join(20)
    assert len(worker.started) == 3


def test_a_hundred_who_wait_ask_for_less_than_five_statements_a_second() -> None:
    """In all, at the poll that stands behind the bell. Counted at a shorter one by a server of its own, since a minute is too long here.
    Each of them renews its announcement by one statement, which is added."""
    server = servers.own("mariadb")
    fleet: list[subprocess.Popen[str]] = []
    try:
        store = open_store(server.url)
        store.put([Job(new_id(), "other")])
        store.close()
        own = connected(server.url)
        cursor = own.cursor()

        def figure(name: str) -> int:
            cursor.execute(f"show global status like '{name}'")
            return int(cursor.fetchall()[0][1])

        for _ in range(PROCESSES):
            words = [sys.executable, "-c", SLEEPERS, f"{server.url}?poll={POLL:.0f}s", str(FLEET // PROCESSES)]
            fleet.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for one in fleet:
            assert one.stdout is not None
            assert one.stdout.readline() == "up\n"
        end = time.monotonic() + 60
        waiting = 0
        while waiting < FLEET:
            assert time.monotonic() < end, f"only {waiting} of {FLEET} are asleep"
            time.sleep(0.1)
            cursor.execute("select count(*) from ropeway_waiting")
            waiting = cursor.fetchall()[0][0]
        threading.Event().wait(1.0)  # the last of them looks once more after announcing itself
        before, begun = figure("Questions"), time.monotonic()
        threading.Event().wait(LOOKED_AT)
        asked, seconds = figure("Questions") - before - 1, time.monotonic() - begun
        looks = asked / seconds * POLL / BEHIND
        renewals = FLEET / (LIFETIME * RENEWED)
        print(f"{looks + renewals:.1f} statements a second by {FLEET} idle waiters; {asked} in {seconds:.0f} s at a poll of {POLL:.0f} s")
        assert asked > 0
        assert looks + renewals < 5
        own.close()
    finally:
        for process in fleet:
            process.kill()
            process.communicate()
        server.remove()
