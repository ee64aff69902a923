"""What MariaDB reads for a verb stays the same, whatever its statistics say: those of a server that was restarted are of another day."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder
from ropeway.stores import open_store

from .mariadb import Place, connected

pytestmark = [pytest.mark.service("mariadb"), pytest.mark.timeout(300)]

HOLDER = Holder("host:1:plans", bound=False)
MANY, BATCH, NEVER, FAR = 3000, 10, 1 << 62, 4000000000000000
ROUND = 500  # rows that one round may read: some 300 and less are needed
LIES = [(0, 0, 1), (0, 1, 1), (30, 1, 1), (60, 60, 1), (1_000_000, 1, 10_000), (1_000_000, 1_000_000, 1)]
COLUMNS = "id, queue, priority, due, created, state, moment, lane, head, body"
# delayed behind what is due and before it, dead, done, and parked in ten long lanes
JUNK = [
    f"'q', 50, {FAR}, 1, 0, null, null",
    f"'q', 1, {FAR}, 1, 0, null, null",
    f"'q', 1, 1, 1, 2, {FAR}, null",
    f"'q', 1, 1, 1, 3, {FAR}, null",
    f"'q', 1, 1, 1, 1, {NEVER}, concat('long ', n % 10)",
]
new_id = IdMaker(time.time_ns, os.urandom)


class Engine:
    """A store whose tables hold a lot that no claim is for."""

    def __init__(self) -> None:
        self.place = Place(os.environ["ROPEWAY_TEST_MARIADB"], "plans")
        self.store: Any = open_store(f"{self.place.url}&bell=off")
        self.store.rescue._heal = NEVER  # what looks at all that is parked comes once a minute, and may fall into any round
        self._own = connected(os.environ["ROPEWAY_TEST_MARIADB"]).cursor()
        self.store.put([Job(new_id(), "other")])
        for table in ("job", "place"):
            self._own.execute(f"alter table {self.place.prefix}{table} stats_auto_recalc = 0")

    def fill(self) -> None:
        job, place = self.place.prefix + "job", self.place.prefix + "place"
        for number, row in enumerate(JUNK):
            seq = f"(select seq as n from seq_1_to_{MANY}) numbers"
            self._own.execute(f"insert into {job} ({COLUMNS}) select unhex(md5(concat({number}, ' ', n))), {row}, '', '' from {seq}")
        self._own.execute(
            f"insert into {place} (queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from {job} "
            f"where moment = {NEVER}"
        )

    def lie(self, rows: int, different: int, pages: int) -> None:
        """A table that has another name is opened anew, with the statistics that are written down for it."""
        for table in (self.place.prefix + name for name in ("job", "place")):
            ask = self._own.execute
            ask("update mysql.innodb_table_stats set n_rows = %s, clustered_index_size = %s where table_name = %s", (rows, pages, table))
            ask(
                "update mysql.innodb_index_stats set stat_value = if(stat_name like 'n_diff%%', %s, %s) where table_name = %s",
                (different, pages, table),
            )
            ask(f"rename table {table} to {table}_")
            ask(f"rename table {table}_ to {table}")

    def is_(self, kind: str) -> None:
        """Past the store, which would open all lanes, for the junk that is parked there."""
        limit, lanes = 1000 if kind == "limited" else 0, int(kind == "laned")
        self._own.execute(f"update {self.place.prefix}queue set max_running = {limit}, lanes = {lanes} where name = 'q'")

    def read(self) -> int:
        """Rows that the store's connection has had read so far, of indexes and tables."""
        rows = self.store.desk.read(lambda session: session.ask("show session status like 'Handler_read%'"))
        return sum(int(value) for _, value in rows)

    def round(self, lane: str) -> int:
        """How many rows are read for what a worker does with some jobs."""
        store = self.store
        store.put([Job(new_id(), "q", b"x", lane=lane and f"{lane} {number % (BATCH - 1)}") for number in range(BATCH)])
        before = self.read()
        lent = store.claim(["q"], BATCH, 60.0, HOLDER)
        assert len(lent) == (BATCH - 1 if lane else BATCH)
        assert store.extend([one.receipt for one in lent[:2]], 60.0) == [True, True]
        assert store.nack([Handback(lent[0].receipt, delay=3600.0)]) == [True]
        assert store.bury([Handback(lent[1].receipt)]) == [True]
        assert store.ack([Ack(lent[2].receipt, keep=3600.0), Ack(lent[3].receipt)]) == [True, True]
        assert all(store.ack([Ack(one.receipt) for one in lent[4:]]))
        store.wait(["q"], 0.0)
        store.rescue._sweep = 0.0
        store.rescue.look()
        store.desk.write(lambda session: session.run("forget", state=3, before=5))
        return self.read() - before


@pytest.fixture(scope="module")
def filled() -> Iterator[Engine]:
    engine = Engine()
    engine.fill()
    yield engine
    engine.store.close()
    engine.place.drop()


@pytest.mark.parametrize("lie", LIES, ids=str)
@pytest.mark.parametrize("kind", ["plain", "limited", "laned"])
def test_no_statistics_make_a_verb_read_what_is_not_its_own(filled: Engine, kind: str, lie: tuple[int, int, int]) -> None:
    """A lie is how many rows there are, how many different ones, and on how many pages."""
    filled.is_(kind)
    filled.lie(*lie)
    rows = filled.round(f"lane {new_id()}" if kind == "laned" else "")
    assert rows < ROUND, f"{rows} rows read, of {len(JUNK) * MANY} that are in the way"


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in-a-commit"])
def test_of_several_acks_each_is_told_for_itself(filled: Engine, together: bool) -> None:
    """All are deleted in one statement where all receipts count; here one is over, and one is given twice."""
    store = filled.store
    filled.is_("plain")
    store.put([Job(new_id(), "acks", b"x") for _ in range(4)])
    lent = store.claim(["acks"], 4, 60.0, HOLDER)
    assert store.ack([Ack(lent[1].receipt)]) == [True]
    acks = [Ack(one.receipt) for one in [*lent, lent[3]]]
    if together:
        with store.commit():
            answers = store.ack(acks)
    else:
        answers = store.ack(acks)
    assert answers == [True, False, True, True, False]
    assert store.claim(["acks"], 4, 60.0, HOLDER) == []
