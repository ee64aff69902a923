"""The bell: as many wake as there are jobs, nobody is rung who does not wait, and idle workers ask next to nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise

import pytest
import redis

from ropeway.store import Ack, Handback
from ropeway.stores.redis import RedisStore
from ropeway.testing.contract.harness import HOLDER

from .conftest import Opener, Serve, make
from .servers import Server

pytestmark = pytest.mark.slow


def announced(server: Server, queue: str = "q") -> int:
    with server.client() as client:
        return int(client.zcard(f"ropeway:{{{queue}}}:b"))


def until(server: Server, count: int) -> None:
    """Wait until so many are announced."""
    deadline = time.monotonic() + 30
    while announced(server) != count:
        assert time.monotonic() < deadline, f"{announced(server)} of {count} wait"
        time.sleep(0.01)


def statements(client: redis.Redis) -> int:
    """How many commands clients have sent so far; what a script does is not counted here."""
    stats = client.info("commandstats")
    return sum(
        row["calls"] for name, row in stats.items() if name in {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_subscribe", "cmdstat_smembers"}
    )


def test_a_put_wakes_as_many_as_there_are_jobs(serve: Serve, opened: Opener) -> None:
    server = serve()
    waiters = [opened(server.url) for _ in range(20)]
    putter = opened(server.url)
    with ThreadPoolExecutor(20) as pool:
        waiting: list[Future[bool]] = [pool.submit(store.wait, ["q"], 60.0) for store in waiters]
        until(server, 20)
        woken: set[Future[bool]] = set()
        for jobs in (1, 5):
            putter.put([make() for _ in range(jobs)])
            deadline = time.monotonic() + 20
            while len({one for one in waiting if one.done()} - woken) < jobs:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            new = {one for one in waiting if one.done()} - woken
            assert len(new) == jobs, "more woke than there is work for"
            assert all(one.result() for one in new)
            woken |= new
            until(server, 20 - len(woken))
        for store in waiters:
            store.wake()
        wait(waiting, 20)


def test_all_threads_of_one_process_hear_what_comes_at_once(serve: Serve, opened: Opener) -> None:
    """The messages of one put arrive together, in one read of the one connection."""
    server = serve()
    store, putter = opened(server.url), opened(server.url)
    with ThreadPoolExecutor(5) as pool:
        for _ in range(10):
            waiting = [pool.submit(store.wait, ["q"], 60.0) for _ in range(5)]
            until(server, 5)
            putter.put([make() for _ in range(5)])
            assert [one.result(20) for one in waiting] == [True] * 5
            assert putter.ack([Ack(one.receipt) for one in putter.claim(["q"], 5, 30.0, HOLDER)]) == [True] * 5


def test_nobody_waits_and_nothing_is_sent(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(server.url)
    store.put([make() for _ in range(50)])
    lent = store.claim(["q"], 10, 30.0, HOLDER)
    store.nack([Handback(one.receipt) for one in lent])
    with server.client() as client:
        assert "cmdstat_publish" not in client.info("commandstats")
        assert not [key for key in client.keys("*") if key.endswith(b":b")]


def test_of_two_one_works_and_the_other_hears(serve: Serve, opened: Opener) -> None:
    """Who has a job does not wait any more: the next bell is for the other, though the first has listened too."""
    server = serve()
    first, other, putter = (opened(server.url) for _ in range(3))
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(first.wait, ["q"], 60.0)
        until(server, 1)
        putter.put([make()])
        assert early.result(20)
        assert len(first.claim(["q"], 1, 60.0, HOLDER)) == 1
        late = pool.submit(other.wait, ["q"], 60.0)
        until(server, 1)
        putter.put([make()])
        assert late.result(20)


def test_a_bell_that_finds_nobody_is_passed_on(serve: Serve, opened: Opener) -> None:
    """Woken for another reason and busy since, it is still announced: what it hears goes to the next."""
    server = serve()
    busy, idle, putter = (opened(server.url) for _ in range(3))
    with ThreadPoolExecutor(2) as pool:
        sleeping = pool.submit(idle.wait, ["q"], 60.0)
        until(server, 1)
        early = pool.submit(busy.wait, ["q"], 60.0)
        until(server, 2)
        busy.wake()
        assert early.result(20) is False
        assert announced(server) == 2
        begun = time.monotonic()
        putter.put([make()])
        assert sleeping.result(20)
        assert time.monotonic() - begun < 10


def test_the_dead_are_passed_over(serve: Serve, opened: Opener) -> None:
    """A process that was killed is announced still; the bell goes to one that hears it."""
    server = serve()
    alive, putter = opened(server.url), opened(server.url)
    pids = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            try:
                RedisStore(alive._options, alive._clock).wait(["q"], 60.0)
            finally:
                os._exit(0)
        pids.append(pid)
    with ThreadPoolExecutor(1) as pool:
        until(server, 3)
        sleeping = pool.submit(alive.wait, ["q"], 60.0)
        until(server, 4)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        with server.client() as client:
            while client.execute_command("PUBSUB", "CHANNELS").__len__() > 1:
                time.sleep(0.01)
        begun = time.monotonic()
        putter.put([make()])
        assert sleeping.result(20)
        assert time.monotonic() - begun < 10


def test_somebody_is_awake_when_a_delayed_job_or_a_lease_comes_due(serve: Serve, opened: Opener) -> None:
    """Ten sleep for a minute; what comes due in a second is found, though nobody knew of it when they fell asleep."""
    server = serve()
    waiters = [opened(server.url) for _ in range(10)]
    worker = opened(server.url)
    got: list[float] = []
    done = threading.Event()

    def work(store: RedisStore) -> None:
        while not done.is_set():
            if store.wait(["q"], 60.0):
                for lent in store.claim(["q"], 10, 60.0, HOLDER):
                    got.append(time.time() - lent.job.due)
                    store.ack([Ack(lent.receipt)])

    threads = [threading.Thread(target=work, args=(store,), daemon=True) for store in waiters]
    for thread in threads:
        thread.start()
    until(server, 10)
    worker.put([make(delay=0.5), make(delay=0.8)])
    worker.put([make("other", delay=0.0)])
    (held,) = worker.claim(["other"], 1, 30.0, HOLDER)
    worker.nack([Handback(held.receipt)])
    deadline = time.monotonic() + 20
    while len(got) < 2:
        assert time.monotonic() < deadline, "it slept on"
        time.sleep(0.01)
    assert max(got) < 5
    done.set()
    for store in waiters:
        store.wake()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_lease_that_another_took_while_they_slept(serve: Serve, opened: Opener) -> None:
    server = serve()
    sleeper, worker = opened(server.url), opened(server.url)
    job = make()
    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(sleeper.wait, ["q"], 60.0)
        until(server, 1)
        with server.client() as client:
            client.zremrangebyscore("ropeway:{q}:b", "-inf", "+inf")  # so that the put rings nobody
            worker.put([job])
            worker.claim(["q"], 1, 1.0, HOLDER)
        worker.put([make("q", delay=3600.0)])
        sleeper.wake()
        assert sleeping.result(20) is False
        begun = time.monotonic()
        assert sleeper.wait(["q"], 60.0) is True
        assert time.monotonic() - begun < 15
        assert sleeper.claim(["q"], 1, 30.0, HOLDER)[0].job.id == job.id


def test_a_hundred_idle_workers_ask_next_to_nothing(serve: Serve, opened: Opener) -> None:
    """They take turns: all that the server does for them, inside the scripts too, is counted over a time in which several look."""
    server = serve()
    waiters = [opened(server.url) for _ in range(100)]

    def commands() -> int:
        stats = client.info("commandstats")
        return sum(row["calls"] for name, row in stats.items() if name != "cmdstat_info")

    with ThreadPoolExecutor(100) as pool:
        waiting = [pool.submit(store.wait, ["q"], 3600.0) for store in waiters]
        until(server, 100)
        with server.client() as client:
            threading.Event().wait(1.0)  # who has announced itself has also to subscribe, to be counted before
            before, begun = commands(), time.monotonic()
            threading.Event().wait(12.0)
            rate = (commands() - before) / (time.monotonic() - begun)
            bounds = sorted(score / 1e6 for _, score in client.zrange("ropeway:{q}:b", 0, -1, withscores=True))
        for store in waiters:
            store.wake()
        wait(waiting, 30)
    assert 0 < rate < 5
    assert len(bounds) == 100
    gaps = [later - sooner for sooner, later in pairwise(bounds)]
    assert max(gaps) < 10, "for so long nobody would look, if the one before were dead"


def test_the_killed_watch_is_stood_in_for(serve: Serve, opened: Opener) -> None:
    """Six wait. The one that was to wake for a delayed job is killed before; another has it in seconds, and not in half a minute."""
    server = serve()
    store, putter = opened(server.url), opened(server.url)
    names: dict[bytes, int] = {}
    read, write = os.pipe()
    for count in range(1, 7):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                mine = RedisStore(store._options, store._clock)
                os.write(write, mine._waiting._name.encode())
                code = 0 if mine.wait(["q"], 600.0) else 2
            finally:
                os._exit(code)
        names[os.read(read, 16)] = pid
        until(server, count)
    try:
        putter.put([make(delay=1.5)])
        due = time.time() + 1.5
        with server.client() as client:
            while True:  # until the one that was told of it has announced itself again
                who, moment = client.zrange("ropeway:{q}:b", 0, 0, withscores=True)[0]
                if abs(moment / 1e6 - due) < 0.5:
                    break
                assert time.time() < due, "nobody would wake for it"
                time.sleep(0.002)
        watch = names.pop(who.partition(b".")[0])
        os.kill(watch, signal.SIGKILL)
        os.waitpid(watch, 0)
        others = dict.fromkeys(names.values(), 0)
        while not any(os.waitpid(pid, os.WNOHANG)[0] for pid in others):
            assert time.time() < due + 15, "nobody woke"
            time.sleep(0.01)
    finally:
        for pid in names.values():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # it is the one that woke


@pytest.mark.parametrize("options", ["bell=off&poll=50ms", "poll=50ms"])
def test_the_poll_of_the_url_is_kept(serve: Serve, opened: Opener, options: str) -> None:
    server = serve()
    store = opened(f"{server.url}?{options}")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, ["q"], 20.0)
        with server.client() as client:
            while statements(client) < 8:
                time.sleep(0.01)
            assert bool(client.execute_command("PUBSUB", "CHANNELS")) == (not options.startswith("bell"))
        opened(server.url).put([make()])
        assert waiting.result(20) is True


def test_wake_and_close_from_a_signal_handler(url: str, opened: Opener) -> None:
    store = opened(url)
    before = signal.signal(signal.SIGALRM, lambda *_: store.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begun = time.monotonic()
        assert store.wait(["q"], 60.0) is False
        signal.signal(signal.SIGALRM, lambda *_: store.close())
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert store.wait(["q"], 60.0) is False
        assert time.monotonic() - begun < 20
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_bell_that_was_cut_off_is_made_again(serve: Serve, opened: Opener) -> None:
    server = serve()
    store, putter = opened(server.url), opened(server.url)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, ["q"], 60.0)
        until(server, 1)
        with server.client() as client:
            for _ in range(3):
                client.client_kill_filter(_type="pubsub")
                while not client.execute_command("PUBSUB", "CHANNELS"):
                    time.sleep(0.01)
        begun = time.monotonic()
        putter.put([make()])
        assert waiting.result(20) is True
        assert time.monotonic() - begun < 10
