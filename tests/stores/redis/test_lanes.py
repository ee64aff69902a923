"""Lanes and limits on a real server: a race of processes, what is left behind, and who is woken when there is room again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import redis

from ropeway.store import Ack, Handback, Limits, Query
from ropeway.stores import open_store
from ropeway.stores.redis import RedisStore
from ropeway.testing.clock import FakeClock
from ropeway.testing.contract.harness import HOLDER
from ropeway.testing.crew import DONE, Crew, fork

from .conftest import Opener, Serve, make

JOBS, LANES, CLAIMERS, LIMIT = 1000, 50, 8, 6
VICTIM = "claimer-0"


def keys_of(url: str) -> list[str]:
    """All keys of the namespace but the names of the queues."""
    server, _, name = url.partition("?namespace=")
    with redis.Redis.from_url(server) as client:
        keys = [key.decode() for key in client.scan_iter(f"ropeway/{name}:*", count=10_000)]
    return sorted(key for key in keys if ":{+" not in key)


def claimer(crew: Crew, who: str) -> None:
    """Claims a few at a time and ends them one by one; writes down when each began and ended, by a clock that all share. The victim
    dies with its first handful."""
    dice = random.Random(who)
    store = open_store(crew.url)
    with (crew.folder / who).open("w", buffering=1) as book:
        while not (crew.folder / DONE).exists():
            store.wait(["q"], 0.2)
            for lent in store.claim(["q"], dice.randint(1, 4), crew.lease, HOLDER):
                book.write(f"begin {lent.job.body.decode()} {time.monotonic_ns()}\n")
                if who == VICTIM:
                    book.write(f"dies {time.monotonic_ns()}\n")
                    os.kill(os.getpid(), signal.SIGKILL)
                if dice.random() < 0.05:
                    time.sleep(0.002)
                back = dice.random() < 0.1
                book.write(f"{'back' if back else 'end'} {lent.job.body.decode()} {time.monotonic_ns()}\n")
                if back:
                    store.nack([Handback(lent.receipt, dice.choice([0.0, 0.001]))])
                else:
                    store.ack([Ack(lent.receipt)])


def runs(folder: Path) -> Iterator[tuple[int, int, str, str]]:
    """(begin, end, job, how) of all runs; one that a kill has cut off ended with it."""
    for file in folder.iterdir():
        begun: dict[str, int] = {}
        dead = 0
        for line in file.read_text().splitlines():
            match line.split():
                case ["begin", job, moment]:
                    begun[job] = int(moment)
                case ["dies", moment]:
                    dead = int(moment)
                case [what, job, moment]:
                    yield begun.pop(job), int(moment), job, what
        for job, moment in begun.items():
            assert dead, f"{file.name} has begun {job} and never ended it"
            yield moment, dead, job, "killed"


@pytest.mark.timeout(180)
def test_a_race_for_lanes_under_a_limit(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    store.limit(["q"], Limits(running=LIMIT))
    store.put([make(body=b"%d/%d" % (number % LANES, number // LANES), lane=f"lane {number % LANES}") for number in range(JOBS)])
    crew = Crew(url, tmp_path / "books", lease=2.0)
    crew.folder.mkdir()
    store.close()  # nothing of it may be shared
    victim = os.waitstatus_to_exitcode(os.waitpid(fork(crew, VICTIM, claimer), 0)[1])  # what it holds is in the way of the others at first
    assert victim == -signal.SIGKILL
    pids = [fork(crew, f"claimer-{number}", claimer) for number in range(1, CLAIMERS)]
    store = open_store(url)
    deadline = time.monotonic() + 120
    try:
        while (left := store.counts(["q"])["q"]).ready + left.delayed + left.running:
            assert time.monotonic() < deadline, left
            assert left.running <= LIMIT
            time.sleep(0.01)
    finally:
        (tmp_path / "books" / DONE).touch()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * (CLAIMERS - 1)
    (tmp_path / "books" / DONE).unlink()
    lanes: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
    edges: list[tuple[int, int]] = []
    for begin, end, job, how in runs(crew.folder):
        lane, _, number = job.partition("/")
        lanes[lane].append((begin, end, int(number), how))
        edges += [(begin, 1), (end, -1)]
    assert len(lanes) == LANES
    for lane, all_runs in lanes.items():
        all_runs.sort()
        assert [number for *_, number, how in all_runs if how == "end"] == list(range(JOBS // LANES)), lane
        assert [number for *_, number, _ in all_runs] == sorted(number for *_, number, _ in all_runs), (
            f"lane {lane}: a later one ran between"
        )
        for (_, end, one, _), (begin, _, other, _) in pairwise(all_runs):
            assert end <= begin, f"lane {lane}: {one} and {other} ran at once"
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    assert 1 < most <= LIMIT
    store.limit(["q"], Limits())
    store.close()
    assert keys_of(url) == [], "a lane was left behind"


def test_lanes_that_have_ended_leave_nothing(url: str, opened: Opener) -> None:
    """However their jobs ended, and whether they ever waited for one another."""
    store = opened(url)
    for round_ in range(3):
        store.put([make(body=b"%d" % n, lane=f"{round_}-{n % 7}", ttl=600.0 if n % 3 else 0.0) for n in range(70)])
        gone = 0
        while gone < 70:
            lent = store.claim(["q"], 100, 30.0, HOLDER)
            assert lent
            for number, one in enumerate(lent):
                if number % 5 == 0 and one.attempt == 1:
                    store.nack([Handback(one.receipt)])
                elif number % 5 == 1:
                    store.bury([Handback(one.receipt)])
                    gone += 1
                elif number % 5 == 2:
                    store.ack([Ack(one.receipt, b"result", keep=60.0)])
                    gone += 1
                else:
                    store.ack([Ack(one.receipt)])
                    gone += 1
        store.delete(Query(limit=None))
        assert keys_of(url) == []


def test_deleting_all_that_waits_and_is_parked(url: str, opened: Opener) -> None:
    store = opened(url)
    store.put([make(body=b"%d" % n, lane="x", priority=n % 2) for n in range(50)])
    (first,) = store.claim(["q"], 50, 30.0, HOLDER)
    assert [entry.job.body for entry in store.browse(Query(limit=None))][:2] == [b"2", b"4"], "parked, and in their order"
    pages, after = [], ""
    while page := store.browse(Query(limit=7, after=after)):
        pages += page
        after = page[-1].cursor
    assert [entry.job.id for entry in pages] == [entry.job.id for entry in store.browse(Query(limit=None))]
    assert store.delete(Query(limit=None)) == 49
    assert store.counts(["q"])["q"].ready == 0
    assert store.ack([Ack(first.receipt)]) == [True]
    assert keys_of(url) == []


def test_a_job_without_a_lane_costs_no_command_more(serve: Serve, opened: Opener) -> None:
    """Counted in the server, script by script: what lanes and limits need is only asked for where a job has one."""
    server = serve()
    store = opened(server.url)

    def calls(lane: str) -> dict[str, int]:
        with server.client() as client:
            client.config_resetstat()
            store.put([make(lane=lane) for _ in range(20)])
            lent = store.claim(["q"], 100, 30.0, HOLDER)
            while lent:
                store.ack([Ack(one.receipt) for one in lent])
                lent = store.claim(["q"], 100, 30.0, HOLDER)
            return {name.removeprefix("cmdstat_"): row["calls"] for name, row in client.info("commandstats").items()}

    store.put([make()])
    store.ack([Ack(store.claim(["q"], 1, 30.0, HOLDER)[0].receipt)])
    plain, laned = calls(""), calls("x")
    assert "zlexcount" in laned
    assert "zlexcount" not in plain
    assert sum(plain.values()) < 50, "a few commands for the whole batch of twenty"


def test_a_holder_that_will_never_run_again_gives_its_lane_when_its_ttl_ends(url: str, opened: Opener) -> None:
    """It is due later than that. Whoever waits, waits until then, though all of the lane is parked."""
    clock = FakeClock()
    store = opened(url, clock)
    for edited in (False, True):
        store.put([make(body=b"1", lane="x", ttl=30.0), make(body=b"2", lane="x")])
        (first,) = store.claim(["q"], 5, 60.0, HOLDER)
        edit = make(body=b"new", ttl=20.0) if edited else None
        store.nack([Handback(first.receipt, 60.0, edit=edit)])
        assert store.claim(["q"], 5, 60.0, HOLDER) == []
        assert store.counts(["q"])["q"].delayed == 1
        begun = clock.boot()
        while not store.wait(["q"], 600.0):
            pass
        assert (20 if edited else 30) - 1 < clock.boot() - begun < 31
        (second,) = store.claim(["q"], 5, 60.0, HOLDER)
        assert second.job.body == b"2"
        assert store.ack([Ack(second.receipt)]) == [True]
        assert keys_of(url) == []
    store.put([make(body=b"1", lane="x", ttl=30.0)])
    store.nack([Handback(store.claim(["q"], 5, 60.0, HOLDER)[0].receipt, 60.0)])
    assert store.delete(Query(limit=None)) == 1
    assert keys_of(url) == [], "its alarm goes with it"


def test_who_waits_is_woken_when_there_is_room(url: str, opened: Opener) -> None:
    """By an ack in a full lane, by one at the limit, and by one of a job that ran before there was a limit."""
    worker, waiter = opened(url), opened(url)
    worker.put([make(lane="x"), make(lane="x")])
    (lent,) = worker.claim(["q"], 5, 60.0, HOLDER)

    def woken() -> None:
        nonlocal lent
        with ThreadPoolExecutor(1) as pool:
            while waiter.wait(["q"], 0):
                assert waiter.claim(["q"], 5, 60.0, HOLDER) == []
            waiting = pool.submit(waiter.wait, ["q"], 100.0)
            while not any(key.endswith(":b") for key in keys_of(url)):
                time.sleep(0.005)
            begun = time.monotonic()
            assert worker.ack([Ack(lent.receipt)]) == [True]
            assert waiting.result(60) is True
            assert time.monotonic() - begun < 20
            (lent,) = waiter.claim(["q"], 1, 60.0, HOLDER)

    woken()
    worker.put([make(), make()])
    worker.limit(["q"], Limits(running=1))
    woken()  # of the lane, claimed without a limit
    woken()
    assert worker.ack([Ack(lent.receipt)]) == [True]


def test_raising_and_lowering_the_width_of_many_lanes(url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps: no single call of the server goes through all that is parked."""
    monkeypatch.setattr("ropeway.stores.redis.ruling.STEPS", 7)
    store = opened(url)
    store.put([make(lane=f"l{n % 10}") for n in range(60)])
    lent = store.claim(["q"], 100, 60.0, HOLDER)
    assert len(lent) == 10
    store.limit(["q"], Limits(lane=3))
    more = store.claim(["q"], 100, 60.0, HOLDER)
    assert len(more) == 20
    store.limit(["q"], Limits())
    assert store.claim(["q"], 100, 60.0, HOLDER) == []
    assert store.counts(["q"])["q"].ready == 30
    assert all(store.ack([Ack(one.receipt) for one in lent + more]))
    assert len(store.claim(["q"], 100, 60.0, HOLDER)) == 10


def test_a_dropped_queue_leaves_a_word_that_goes_by_itself(url: str, opened: Opener) -> None:
    """Others remember its name for a minute: they are told, for longer than that, and no longer."""
    store, other = opened(url), opened(url)
    assert other.put([make()]) == [True]
    other.ack([Ack(other.claim(["q"], 1, 30.0, HOLDER)[0].receipt)])
    store.limit(["q"], Limits(running=3))
    assert store.drop(["q"]) == [True]
    (key,) = keys_of(url)
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        assert 60_000 < client.pttl(key) <= 120_000
    assert store.queues() == []
    assert store.counts(["q"])["q"].limits == Limits()
    assert other.put([make() for _ in range(600)]) == [True] * 600
    assert store.queues() == ["q"]
    other.pause(["q"], put=True)
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        assert client.pttl(key) == -1, "a switch stays"
    assert store.drop(["q"]) == [False]


def test_a_put_and_a_drop_at_once_lose_no_name(url: str, opened: Opener) -> None:
    """However they meet: where a job is, its queue is named."""
    store, dropper = opened(url), opened(url)

    def drop(many: RedisStore) -> None:
        for _ in range(200):
            many.drop(["q"])

    with ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(drop, dropper)
        while not dropping.done():
            assert store.put([make()]) == [True]
            for one in store.claim(["q"], 9, 30.0, HOLDER):
                store.ack([Ack(one.receipt)])
        dropping.result()
    store.put([make()])
    assert store.queues() == ["q"]


@pytest.mark.parametrize("length", [121, 122, 128])
def test_ends_of_queues_with_long_names(url: str, opened: Opener, length: int) -> None:
    from ropeway.names import ended

    name = "x" * length
    store, waiter = opened(url), opened(url)
    store.put([make(name), make(name, keep=60.0)])
    dies, stays = store.claim([name], 2, 60.0, HOLDER)
    for act in (lambda: store.bury([Handback(dies.receipt)]), lambda: store.ack([Ack(stays.receipt)])):
        with ThreadPoolExecutor(1) as pool:
            heard = []
            waiting = pool.submit(waiter.wait, [ended(name)], 100.0, lambda heard=heard: bool(heard.append(1)))
            while not heard:
                time.sleep(0.005)
            assert act() == [True]
            assert waiting.result(60) is True
