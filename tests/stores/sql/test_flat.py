"""A claim costs the same amount of work whatever stands in front of it: 100,000 delayed, dead and done jobs of higher priority."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job, State
from ropeway.store import Ack, Handback, Holder, Query
from ropeway.stores import open_store

from .mariadb import Place, connected

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180 if "ROPEWAY_FLAT" not in os.environ else 1800)]

HOLDER = Holder("host:1:flat", bound=False)
MANY = int(os.environ.get("ROPEWAY_FLAT", "100000"))
ROUNDS, BATCH = 10, 10
LANES = 5  # priorities with delayed jobs in front: a claim looks at the first of each
new_id = IdMaker(time.time_ns, os.urandom)

# of five, three are delayed, one is dead and one is done; n is a number of the row
SHAPE = """'q', 1 + n % 5, case when n % 5 < 3 then 4000000000000000 else 1 end, 1,
    case n % 5 when 3 then 2 when 4 then 3 else 0 end, case when n % 5 < 3 then null else 4000000000000000 end"""
# a lane of ten behind which the others are parked
PARKED = "'q', 1, 1, 1, 1, 4611686018427387904"
PLACES = "(queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from"
COLUMNS = "id, queue, priority, due, created, state, moment, head, body"


class Engine:
    """A store, its work so far, and a way past it."""

    def __init__(
        self, store: Any, work: Callable[[], int], fill: Callable[[], None], analyse: Callable[[], object], park: Callable[[], None]
    ) -> None:
        self.store, self.work, self.fill, self.analyse, self.park = store, work, fill, analyse, park
        self.store.rescue._heal = 1 << 62  # a look at all that is parked comes once a minute: on a slow machine in the midst of a count

    def cost(self, *, laned: bool = False) -> float:
        """Of one round of all that a worker does, on average."""
        store = self.store
        store.put([Job(new_id(), "q", b"x", lane=f"lane {new_id()}" if laned else "") for _ in range(BATCH * ROUNDS)])
        before = self.work()
        for _ in range(ROUNDS):
            lent = store.claim(["q"], BATCH, 60.0, HOLDER)
            assert len(lent) == BATCH
            assert store.extend([one.receipt for one in lent[:2]], 60.0) == [True, True]
            assert store.nack([Handback(lent[0].receipt, delay=3600.0)]) == [True]
            assert all(store.ack([Ack(one.receipt) for one in lent[1:]]))
            store.wait(["q"], 0.0)
        return (self.work() - before) / ROUNDS


def sqlite(folder: Path) -> Iterator[Engine]:
    """Work is counted in steps of SQLite's machine."""
    path, steps = folder / "jobs.db", [0]
    store: Any = open_store(f"sqlite:{path}?durability=os&bell=off")
    store.put([Job(new_id(), "other")])

    def count(event: Any) -> None:
        steps[0] += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

    for session in store.desk._stack._free:
        session.connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)
    own = apsw.Connection(str(path))
    numbers = f"with recursive one(n) as (values (1) union all select n + 1 from one where n < {MANY})"

    def fill() -> None:
        own.execute(f"insert into ropeway_job ({COLUMNS}) {numbers} select randomblob(16), {SHAPE}, x'', x'' from one")

    def park() -> None:
        rows = f"{numbers} select randomblob(16), {PARKED}, x'', x'', 'long ' || n % 10 from one"
        own.execute(f"insert into ropeway_job ({COLUMNS}, lane) {rows}")
        own.execute(f"insert into ropeway_place {PLACES} ropeway_job where moment = {1 << 62}")

    yield Engine(store, lambda: steps[0], fill, lambda: own.execute("analyze"), park)
    own.close()
    store.close()


def mariadb() -> Iterator[Engine]:
    """Work is counted in rows that the server reads, of indexes and tables."""
    place = Place(os.environ["ROPEWAY_TEST_MARIADB"], "flat")
    store: Any = open_store(f"{place.url}&bell=off")
    store.put([Job(new_id(), "other")])
    own = connected(os.environ["ROPEWAY_TEST_MARIADB"])
    own.cursor().execute(f"alter table {place.prefix}job stats_auto_recalc = 0")

    def work() -> int:
        rows = store.desk.read(lambda session: session.ask("show session status like 'Handler_read%'"))
        return sum(int(value) for _, value in rows)

    def fill() -> None:
        rows = f"select unhex(md5(n)), {SHAPE}, '', '' from (select seq as n from seq_1_to_{MANY}) numbers"
        own.cursor().execute(f"insert into {place.prefix}job ({COLUMNS}) {rows}")

    def park() -> None:
        numbers = f"(select seq as n from seq_1_to_{MANY}) numbers"
        rows = f"select unhex(md5(concat('p', n))), {PARKED}, '', '', concat('long ', n % 10) from {numbers}"
        own.cursor().execute(f"insert into {place.prefix}job ({COLUMNS}, lane) {rows}")
        own.cursor().execute(f"insert into {place.prefix}place {PLACES} {place.prefix}job where moment = {1 << 62}")

    yield Engine(store, work, fill, lambda: own.cursor().execute(f"analyze table {place.prefix}job, {place.prefix}place"), park)
    own.close()
    store.close()
    place.drop()


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    yield from sqlite(tmp_path) if request.param == "sqlite" else mariadb()


@pytest.mark.parametrize("when", ["never", "while-empty", "when-full"])
def test_a_claim_is_flat(engine: Engine, when: str) -> None:
    """`when` the tables were analysed."""
    if when == "while-empty":
        engine.analyse()
    empty = engine.cost()
    engine.fill()
    if when == "when-full":
        engine.analyse()
    full = engine.cost()
    print(f"{empty:.0f} a round when empty, {full:.0f} with {MANY:,} in front")
    assert full < 1.2 * empty + LANES * 60, f"{empty:.0f} a round when empty, {full:.0f} with {MANY:,} in front"


@pytest.mark.parametrize("when", ["never", "while-empty", "when-full"])
def test_a_claim_from_a_guarded_queue_is_flat(engine: Engine, when: str) -> None:
    """In front are as many jobs that are parked in ten long lanes, besides."""
    engine.cost(laned=True)
    if when == "while-empty":
        engine.analyse()
    empty = engine.cost(laned=True)
    engine.fill()
    engine.park()
    if when == "when-full":
        engine.analyse()
    full = engine.cost(laned=True)
    print(f"{empty:.0f} a round when empty, {full:.0f} with {2 * MANY:,} in front")
    assert full < 1.3 * empty + LANES * 60, f"{empty:.0f} a round when empty, {full:.0f} with {2 * MANY:,} in front"


def test_a_page_costs_the_same_wherever_it_begins(engine: Engine) -> None:
    for _ in range(20):
        engine.store.put([Job(new_id(), "long", b"x", delay=3600.0) for _ in range(1000)])

    def page(limit: int, after: str = "") -> tuple[str, float]:
        before = engine.work()
        found = engine.store.browse(Query(queues=("long",), states=frozenset({State.DELAYED}), limit=limit, after=after))
        assert len(found) == limit
        return found[-1].cursor, engine.work() - before

    first, deep = page(100)[1], page(100, page(15_000)[0])[1]
    assert deep < 1.5 * first + 100, f"{first:.0f} of the first page, {deep:.0f} behind 15,000"


def test_a_claim_is_flat_beside_many_queues(engine: Engine) -> None:
    alone = engine.cost()
    for at in range(0, 2000, 100):
        engine.store.put([Job(new_id(), f"other-{number}", b"x") for number in range(at, at + 100)])
    among = engine.cost()
    assert among < 1.2 * alone + 100, f"{alone:.0f} a round alone, {among:.0f} beside 2,000 queues"
