"""MariaDB taken away: killed and restarted, its connections cut, its answers held back or lost. The server is these tests' own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from ropeway.clock import SYSTEM
from ropeway.errors import ConfigError, RopewayError, StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Query, Store
from ropeway.stores import open_store
from ropeway.testing.crew import DONE, Crew, fork
from ropeway.testing.history import judge
from ropeway.testing.ledger import read
from ropeway.testing.proof.told import Told

from .mariadb import connected
from .proxy import Cable

pytestmark = [pytest.mark.slow, pytest.mark.service("mariadb"), pytest.mark.timeout(180)]

HOLDER = Holder("host:1:outage", bound=False)
LEASE = 2.0
new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    one = servers.own("mariadb")
    yield one
    one.remove()


@pytest.fixture
def prefix() -> str:
    return f"t{os.urandom(4).hex()}_"


@pytest.fixture
def store(server: servers.Server, prefix: str) -> Iterator[Store]:
    one = open_store(f"{server.url}?timeout=10s&prefix={prefix}")
    yield one
    one.close()


def made(count: int, queue: str = "q") -> list[Job]:
    return [Job(new_id(), queue, b"x") for _ in range(count)]


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except StoreError:
            pass
        assert time.monotonic() < end, "it did not come back"
        time.sleep(0.02)


def hang(server: servers.Server) -> None:
    """Stopped: back when its last thread is."""
    os.kill(server.pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{server.pid}/task")
    until(lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()))


def cut_all(server: servers.Server) -> None:
    """KILL CONNECTION for all but our own."""
    connection = connected(server.url)
    cursor = connection.cursor()
    cursor.execute("select id from information_schema.processlist where id <> connection_id() and command <> 'Daemon'")
    for (number,) in cursor.fetchall():
        try:
            cursor.execute(f"kill connection {number}")
        except Exception as error:
            assert "Unknown thread" in str(error)
    connection.close()


# -- processes at work while it goes and comes


def put_on(crew: Crew, who: str) -> None:
    """Puts until it is told to stop, whatever is answered."""
    told, sign = Told(open_store(crew.url), crew.folder, who), crew.folder / "enough"
    while not sign.exists():
        if None in told.put(made(3)):
            time.sleep(0.02)
    told.close()


def work_on(crew: Crew, who: str) -> None:
    """Works until all is done, whatever is answered."""
    told, sign = Told(open_store(crew.url), crew.folder, who), crew.folder / DONE
    while not sign.exists():
        if lent := told.claim("q", 5, LEASE):
            told.ack(lent)
            continue
        try:
            told.store.wait(["q"], 0.2)
        except StoreError:
            time.sleep(0.02)
    told.close()


def test_workers_come_back_and_nothing_confirmed_is_lost(server: servers.Server, prefix: str, tmp_path: Path) -> None:
    """Two processes put and three work, while the server is killed and started again, and all connections are cut, in turn."""
    crew = Crew(f"{server.url}?timeout=10s&prefix={prefix}", tmp_path / "ledger")
    crew.folder.mkdir()
    people = {f"worker-{number}": work_on for number in range(3)} | {f"putter-{number}": put_on for number in range(2)}
    pids = [fork(crew, who, run) for who, run in people.items()]

    def all_have_worked_since(moment: float) -> bool:
        lines = [line for line in read(crew.folder) if line.at > moment and line.what in ("claim", "put.ok")]
        return {line.who for line in lines} == people.keys()

    try:
        until(lambda: all_have_worked_since(0.0))
        for _ in range(2):
            server.stop(signal.SIGKILL)
            server.start()
            moment = SYSTEM.boot()
            until(lambda m=moment: all_have_worked_since(m))  # type: ignore[misc]
            for _ in range(3):
                cut_all(server)
            moment = SYSTEM.boot()
            until(lambda m=moment: all_have_worked_since(m))  # type: ignore[misc]
        (crew.folder / "enough").touch()
        store = open_store(crew.url)
        until(lambda: not (counts := store.counts(["q"])["q"]).ready + counts.running)
        left = {entry.job.id: str(entry.state) for entry in store.browse(Query(limit=None))}
        store.close()
    finally:
        (crew.folder / "enough").touch()
        (crew.folder / DONE).touch()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * len(pids)
    lines = read(crew.folder)
    verdict = judge(lines, left)
    assert verdict, verdict.violations[:5]
    trouble = sum(line.what in ("put.refused", "put.unknown", "ack.lost") for line in lines)
    assert trouble, "nobody noticed: no trouble was made"
    assert verdict.figures["put.ok"] > 200


def test_the_worker_of_the_command_line_outlives_its_server(server: servers.Server, store: Store, tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.touch()
    command = [sys.executable, "-m", "ropeway", "-u", store.url, "work", "q", "--", "sh", "-c", f"cat >> {done}; echo >> {done}"]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    try:
        expected: set[str] = set()
        for turn in range(3):
            jobs = [Job(new_id(), "q", f"{turn}-{number}".encode()) for number in range(3)]
            until(lambda j=jobs: store.put(j) == [True] * 3)  # type: ignore[misc] # the same jobs again: their ids make that safe
            expected |= {job.body.decode() for job in jobs}
            until(lambda e=expected: e <= set(done.read_text().split()))  # type: ignore[misc]
            if turn == 0:
                server.stop(signal.SIGKILL)
                server.start()
            elif turn == 1:
                cut_all(server)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, (tmp_path / "log").read_text()
        counts = store.counts(["q"])["q"]
        assert (counts.ready, counts.running, counts.dead) == (0, 0, 0)
    finally:
        worker.kill()
        worker.wait()


# -- puts while it is away


def test_puts_fail_in_time_while_it_is_away(server: servers.Server, store: Store) -> None:
    store.put(made(1))
    server.stop(signal.SIGKILL)
    try:
        for _ in range(2):
            begun = time.monotonic()
            with pytest.raises(StoreError) as told:
                store.put(made(1))
            assert time.monotonic() - begun < 40
        assert told.value.definite
    finally:
        server.start()
    until(lambda: store.put(made(1)) == [True])


def test_a_server_that_hangs_is_given_up_in_time(server: servers.Server, prefix: str) -> None:
    store = open_store(f"{server.url}?timeout=1s&prefix={prefix}")
    store.put(made(1))
    jobs = made(1)
    hang(server)
    try:
        begun = time.monotonic()
        with pytest.raises(StoreError, match="the same call may be repeated") as told:
            store.put(jobs)
        assert not told.value.definite, "it may be done when the server goes on"
        assert time.monotonic() - begun < 30
    finally:
        os.kill(server.pid, signal.SIGCONT)
    until(lambda: store.put(jobs) == [True])
    assert store.counts(["q"])["q"].ready == 2
    store.close()


def test_an_idle_connection_that_died_is_not_noticed(server: servers.Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked whether it lives before it is used for something whose outcome would be unknown."""
    from ropeway.stores.sql.mysql import session

    monkeypatch.setattr(session, "IDLE", 0.0)
    store.put(made(1))
    cut_all(server)
    assert store.put(made(1)) == [True]
    cut_all(server)
    assert len(store.claim(["q"], 5, 60.0, HOLDER)) == 2


def test_a_look_whose_connection_died_is_repeated(server: servers.Server, store: Store) -> None:
    """Looking changes nothing, so its outcome is never unknown."""
    store.put(made(1))
    looks: list[Callable[[], int]] = [
        lambda: store.counts(["q"])["q"].ready,
        lambda: len(store.browse(Query())),
        lambda: len(store.queues()),
    ]
    for look in looks:
        cut_all(server)
        assert look() == 1


@pytest.mark.parametrize("many", [1, 2], ids=["one", "many"])
def test_a_lock_that_is_not_to_be_had_is_told_in_time(server: servers.Server, prefix: str, many: int) -> None:
    """Once the waiting was repeated, sixty times."""
    store = open_store(f"{server.url}?timeout=1s&prefix={prefix}")
    store.put(made(1))
    connection = connected(server.url)
    jobs = made(many)
    for lock in (f"lock tables {prefix}job write", f"select * from {prefix}job order by id for update"):
        connection.cursor().execute("begin")
        connection.cursor().execute(lock)
        begun = time.monotonic()
        with pytest.raises(StoreError, match="nothing was done") as told:
            store.put(jobs)
        assert told.value.definite
        assert time.monotonic() - begun < 30
        connection.cursor().execute("unlock tables")
        connection.cursor().execute("rollback")
    connection.close()
    assert store.counts(["q"])["q"].ready == 1
    assert store.put(jobs) == [True] * many
    store.close()


# -- an answer that is lost


def through(cable: Cable, prefix: str) -> Store:
    return open_store(f"mysql://root@127.0.0.1:{cable.port}/test?timeout=5s&prefix={prefix}")


@pytest.mark.parametrize("before", [False, True], ids=["done", "not-done"])
@pytest.mark.parametrize("how", ["one", "many", "commit"])
def test_a_put_that_is_cut_is_unknown_and_may_be_repeated(server: servers.Server, prefix: str, how: str, before: bool) -> None:
    with Cable(server.port) as cable:
        store = through(cable, prefix)
        jobs = made(1 if how == "one" else 3)

        def put() -> list[bool]:
            if how != "commit":
                return store.put(jobs)
            with store.commit():
                return store.put(jobs)

        store.put(made(1))
        cable.cut(b"insert into" if how == "one" else b"commit", before=before)
        with pytest.raises(StoreError, match="unknown") as told:
            put()
        assert cable.cuts == 1
        assert not told.value.definite
        assert store.counts(["q"])["q"].ready == (1 if before else 1 + len(jobs))
        assert put() == [True] * len(jobs)
        assert store.counts(["q"])["q"].ready == 1 + len(jobs)
        store.close()


@pytest.mark.parametrize("before", [False, True], ids=["done", "not-done"])
def test_an_ack_that_is_cut_may_be_repeated(server: servers.Server, prefix: str, before: bool) -> None:
    with Cable(server.port) as cable:
        store = through(cable, prefix)
        store.put(made(2))
        acks = [Ack(one.receipt) for one in store.claim(["q"], 2, 60.0, HOLDER)]
        cable.cut(b"delete j from", before=before)
        with pytest.raises(StoreError, match="unknown"):
            store.ack(acks)
        assert store.ack(acks) == [before] * 2, "False: it was done, or another has it"
        assert store.counts(["q"])["q"].running == 0
        store.close()


# -- what is refused


@pytest.fixture
def shop(server: servers.Server) -> Iterator[str]:
    """A database without the rights that everybody has in `test`; holds the tables, and one job."""
    with connected(server.url) as connection:
        for statement in (
            "create database shop",
            "create or replace user stranger@'127.0.0.1' identified by 'hush'",
            "create or replace user reader@'127.0.0.1' identified by 'hush'",
            "grant select on shop.* to reader@'127.0.0.1'",
            "create or replace user clerk@'127.0.0.1' identified by 'hush'",
            "grant select, insert, update, delete on shop.* to clerk@'127.0.0.1'",
        ):
            connection.cursor().execute(statement)
        one = open_store(f"mysql://root@127.0.0.1:{server.port}/shop")
        one.put(made(1))
        one.close()
        yield f"127.0.0.1:{server.port}/shop"
        connection.cursor().execute("drop database shop")


def test_what_is_refused_says_what_to_do(server: servers.Server, shop: str) -> None:
    wrong, missing = "nothing was opened. Look at the user, the password", "nothing was done. Ask the owner of the tables"
    refused: list[tuple[str, type[RopewayError], str]] = [
        (f"clerk:shush@{shop}", ConfigError, f"Access denied for user 'clerk'.*{wrong}"),
        (f"root@127.0.0.1:{server.port}/nowhere", ConfigError, f"Unknown database 'nowhere'.*{wrong}"),
        (f"stranger:hush@{shop}", ConfigError, f"Access denied for user 'stranger'.*{wrong}"),
        (f"reader:hush@{shop}", StoreError, f"INSERT.* command denied.*{missing}"),
        (f"reader:hush@{shop}?prefix=new_", StoreError, f"CREATE command denied.*{missing}"),
        ("clerk:hush@127.0.0.1:1/shop?timeout=2s", StoreError, "does not answer.*nothing was done"),
    ]
    for url, kind, said in refused:
        one: Any = open_store(f"mysql://{url}")
        with pytest.raises(kind, match=said) as told:
            one.put(made(1))
        text = str(told.value)
        assert not isinstance(told.value, StoreError) or told.value.definite, text
        assert "hush" not in text + one.url
        assert "\n" not in text
        assert len(text) < 400
        one.close()
    owner = open_store(f"mysql://root@{shop}")
    assert owner.counts(["q"])["q"].ready == 1
    owner.close()


def test_a_read_only_server_is_told_and_waited_for(server: servers.Server, shop: str) -> None:
    clerk = open_store(f"mysql://clerk:hush@{shop}")
    with connected(server.url) as connection:
        cursor = connection.cursor()
        cursor.execute("set global read_only = 1")
        try:
            for jobs in (made(1), made(2)):
                with pytest.raises(StoreError, match=r"read-only.*nothing was done. Write to the primary") as told:
                    clerk.put(jobs)
                assert told.value.definite
            with pytest.raises(StoreError, match="read-only"):
                clerk.claim(["q"], 1, 60.0, HOLDER)
            assert clerk.counts(["q"])["q"].ready == 1, "looking goes on"
        finally:
            cursor.execute("set global read_only = 0")
    assert clerk.put(made(1)) == [True]
    assert len(clerk.claim(["q"], 5, 60.0, HOLDER)) == 2
    clerk.close()


def test_it_works_with_the_four_rights_once_the_tables_are_there(shop: str) -> None:
    four = open_store(f"mysql://clerk:hush@{shop}")
    assert four.put(made(2)) == [True, True]
    assert four.ack([Ack(one.receipt) for one in four.claim(["q"], 5, 30.0, HOLDER)]) == [True] * 3
    four.close()
