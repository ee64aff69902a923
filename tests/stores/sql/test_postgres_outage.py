"""PostgreSQL taken away: restarted, stopped at once, its connections cut, its answers held back. Each test has a server of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

import servers
from ropeway.errors import ConfigError, StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Store
from ropeway.stores import open_store

pytestmark = [pytest.mark.slow, pytest.mark.service("postgresql"), pytest.mark.timeout(180)]

HOLDER = Holder("host:1:outage", bound=False)
pause = threading.Event().wait
new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    one = servers.own("postgresql")
    yield one
    one.remove()


@pytest.fixture
def store(server: servers.Server) -> Iterator[Store]:
    one = open_store(f"{server.url}?timeout=10s&namespace=n{os.urandom(4).hex()}")
    yield one
    one.close()


def made(count: int, queue: str = "q") -> list[Job]:
    return [Job(new_id(), queue, b"x") for _ in range(count)]


def until_it_answers(store: Store, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            store.counts(["q"])
            return
        except StoreError:
            assert time.monotonic() < end, "it did not come back"
            time.sleep(0.05)


class Load:
    """Putters and workers in threads, who go on through all that happens, and what they were told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.confirmed: set[str] = set()
        self.unknown: set[str] = set()
        self.done: set[str] = set()
        self.failures: list[StoreError] = []
        self.strange: list[BaseException] = []
        self.stop, self.drain = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self._go, args=(run,)) for run in (self._put, self._put, self._work, self._work)]
        for thread in self.threads:
            thread.start()

    def _go(self, run: Callable[[], None]) -> None:
        while not self.stop.is_set():
            try:
                run()
            except StoreError as error:
                self.failures.append(error)
                self.stop.wait(0.02)
            except BaseException as error:
                self.strange.append(error)
                return

    def _put(self) -> None:
        if self.drain.is_set():
            self.stop.wait(0.05)
            return
        jobs = made(3)
        ids = {job.id for job in jobs}
        try:
            assert self.store.put(jobs) == [True] * 3
        except StoreError as error:
            if not error.definite:
                self.unknown |= ids
            raise
        self.confirmed |= ids
        self.stop.wait(0.002)

    def _work(self) -> None:
        lent = self.store.claim(["q"], 10, 2.0, HOLDER)
        if not lent:
            self.store.wait(["q"], 0.2)
            return
        for one, acked in zip(lent, self.store.ack([Ack(one.receipt) for one in lent]), strict=True):
            if acked:
                self.done.add(one.job.id)

    def end(self) -> None:
        """Put no more, let the workers finish, and let all go home."""
        self.drain.set()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                counts = self.store.counts(["q"])["q"]
                if not counts.ready + counts.running:
                    break
            except StoreError:
                pass
            time.sleep(0.1)
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


def go_through(store: Store, trouble: Callable[[], None], times: int = 3) -> Load:
    store.put(made(1))
    load = Load(store)
    try:
        for _ in range(times):
            before, end = len(load.confirmed), time.monotonic() + 30
            while len(load.confirmed) < before + 50:
                assert time.monotonic() < end, f"nothing is put any more: {load.failures[-3:]} {load.strange}"
                time.sleep(0.01)
            trouble()
        until_it_answers(store)
        load.stop.wait(0.2)
    finally:
        load.end()
    assert not load.strange
    assert load.failures, "nobody noticed: no trouble was made"
    return load


def test_connections_cut_under_load(server: servers.Server, store: Store) -> None:
    """Workers come back by themselves, and every job that was confirmed is run."""

    def cut() -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for _ in range(4):
                connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ropeway'")
                pause(0.05)

    load = go_through(store, cut)
    left = load.confirmed - load.done
    assert not left, f"{len(left)} of {len(load.confirmed)} were lost"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT], ids=["restarted", "stopped-at-once"])
def test_a_server_that_goes_and_comes_under_load(server: servers.Server, store: Store, how: signal.Signals) -> None:
    """Nothing confirmed is lost: what is still there is run; acks of the last moments may be undone, then the job runs again."""

    def restart() -> None:
        server.stop(how)
        server.start()

    load = go_through(store, restart, times=2)
    left = load.confirmed - load.done
    assert not left, f"{len(left)} of {len(load.confirmed)} were lost"


def test_puts_fail_in_time_while_it_is_away(server: servers.Server, store: Store) -> None:
    store.put(made(1))
    server.stop()
    try:
        begun = time.monotonic()
        with pytest.raises(StoreError) as told:
            store.put(made(1))
        assert told.value.definite
        assert time.monotonic() - begun < 40
    finally:
        server.start()
    until_it_answers(store)
    assert store.put(made(1)) == [True]


def test_a_server_that_hangs_is_given_up_in_time(server: servers.Server) -> None:
    store = open_store(f"{server.url}?timeout=1s&namespace=hang")
    store.put(made(1))
    with psycopg.connect(server.url, autocommit=True) as connection:
        pids = [row[0] for row in connection.execute("select pid from pg_stat_activity where application_name = 'ropeway'").fetchall()]
    for pid in [*pids, server.pid]:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(StoreError, match="no answer within 1 s") as told:
            store.put(made(1))
        assert not told.value.definite, "it may be done when the server goes on"
        assert time.monotonic() - begun < 30
    finally:
        for pid in [*pids, server.pid]:
            os.kill(pid, signal.SIGCONT)
    until_it_answers(store)
    store.close()


def test_a_lock_that_is_not_to_be_had_is_told_and_nothing_is_done(server: servers.Server) -> None:
    store = open_store(f"{server.url}?timeout=1s&prefix=locked_")
    store.put(made(1))
    with psycopg.connect(server.url) as connection:
        connection.execute("lock table locked_job in access exclusive mode")
        job = made(1)
        with pytest.raises(StoreError, match="nothing was done") as told:
            store.put(job)
        assert told.value.definite
    assert store.counts(["q"])["q"].ready == 1
    assert store.put(job) == [True]
    store.close()


def test_a_commit_that_is_cut_is_unknown_and_may_be_repeated(server: servers.Server, store: Store) -> None:
    """The connection goes in the middle of the commit: the put is not said to have failed, and repeating it stores it once."""
    jobs = made(2)
    store.put(made(1))
    with pytest.raises(StoreError) as told, store.commit():
        store.put(jobs)
        session = store.desk._local.commit.session  # type: ignore[attr-defined]
        wire = session.wire
        ask = wire.ask

        def cut(call: object) -> object:
            wire.ask = ask
            done = ask(call)
            os.close(os.dup(wire.pg.socket))
            assert done == []
            from ropeway.stores.sql.postgres.faults import Lost

            wire.broken = True
            raise Lost("the cable was cut after the commit had gone out")

        wire.ask = cut
    assert not told.value.definite
    assert "unknown" in str(told.value)
    assert store.put(jobs) == [True, True]
    assert store.counts(["q"])["q"].ready == 3


def test_claims_that_a_crash_has_undone_do_not_let_old_receipts_in(server: servers.Server, store: Store) -> None:
    """Claims are not synced: after a crash the same job is claimed again with the same attempt, and only the token tells the two apart."""
    count = 200
    store.put(made(count))
    undone = 0
    for _ in range(3):
        first = store.claim(["q"], count, 300.0, HOLDER)
        server.stop(signal.SIGQUIT)
        server.start()
        until_it_answers(store)
        second = store.claim(["q"], count, 300.0, HOLDER)
        undone += len(second)
        again = {one.job.id for one in second}
        old = [one for one in first if one.job.id in again]
        assert store.ack([Ack(one.receipt) for one in old]) == [False] * len(old)
        assert all(store.ack([Ack(one.receipt) for one in second]))
        store.put(made(count))
        if undone:
            return
    pytest.skip("no claim was undone in three crashes: the server had written them already")


def test_what_is_refused_says_what_to_do(server: servers.Server) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create role stranger login password 'hush'")
        connection.execute("revoke create on schema public from public")
    place = server.url.split("@")[1].split("/")[0]
    for url, said in (
        (f"postgresql://stranger:hush@{place}/postgres", "permission denied.*Ask the owner"),
        (f"postgresql://postgres:hush@{place}/nowhere", "does not exist.*Look at the user"),
        ("postgresql://postgres:hush@127.0.0.1:1/x?timeout=2s", "does not answer.*nothing was done"),
    ):
        store = open_store(url)
        with pytest.raises(StoreError, match=said) as told:
            store.put(made(1))
        assert told.value.definite
        assert "hush" not in str(told.value) + store.url  # type: ignore[attr-defined]
        store.close()


def test_it_works_without_the_right_to_create_once_the_tables_are_there(server: servers.Server) -> None:
    owner = open_store(f"{server.url}?schema=shop")
    owner.put(made(1))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create role clerk login")
        connection.execute("grant usage on schema shop to clerk")
        connection.execute("grant select, insert, update, delete on all tables in schema shop to clerk")
    place = server.url.split("@")[1]
    clerk = open_store(f"postgresql://clerk@{place}?schema=shop")
    assert clerk.put(made(2)) == [True, True]
    lent = clerk.claim(["q"], 5, 30.0, HOLDER)
    assert clerk.ack([Ack(one.receipt) for one in lent]) == [True] * 3
    clerk.close()
    owner.close()


def test_what_an_answer_survives_is_read_from_the_server(server: servers.Server) -> None:
    def durability(url: str) -> str:
        store = open_store(url)
        try:
            return str(store.durability())
        finally:
            store.close()

    assert durability(server.url) == "K"
    assert durability(f"{server.url}?durability=os") == "P"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create role hasty login superuser")
        connection.execute("alter role hasty set synchronous_commit = off")
    place = server.url.split("@")[1]
    assert durability(f"postgresql://hasty@{place}") == "P"
    with pytest.raises(ConfigError, match="synchronous_commit is off"):
        open_store(f"postgresql://hasty@{place}?require=K").put(made(1))
    with pytest.raises(ConfigError, match="no synchronous_standby_names"):
        open_store(f"{server.url}?require=R").put(made(1))


def test_the_checkup_sees_an_old_snapshot(server: servers.Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from ropeway.stores.sql.postgres import checkup

    store.put(made(1))
    assert any("LISTEN and NOTIFY work" in one.text for one in store.check())
    assert not [one for one in store.check() if one.level == "fault"]
    monkeypatch.setattr(checkup, "OLD", 0)
    with psycopg.connect(server.url) as connection:
        connection.execute("set transaction isolation level repeatable read")
        connection.execute("select 1")
        pause(0.05)
        assert any("has been open" in one.text for one in store.check())
