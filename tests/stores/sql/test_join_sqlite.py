"""One process, one SQLite file: the application and the store both write to it by Python's own library; nothing breaks or is lost."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

import ropeway
from ropeway.errors import StoreError

ROUNDS = 120


@pytest.mark.timeout(60)
def test_threads_that_write_beside_a_worker(tmp_path: Path) -> None:
    path = f"{tmp_path}/app.db"
    with sqlite3.connect(path) as made:
        made.execute("create table effects (n integer primary key)")
    made.close()
    failed: list[BaseException] = []
    with ropeway.connect(f"sqlite:{path}?driver=sqlite3", config=False) as broker:
        queue = broker.queue("q")
        assert len(queue) == 0

        def produce(first: int) -> None:
            connection = sqlite3.connect(path, timeout=30, isolation_level="IMMEDIATE")
            for n in range(first, first + ROUNDS):
                connection.execute("insert into effects values (?)", (n,))
                queue.put(n, tx=connection)
                connection.rollback() if n % 5 == 0 else connection.commit()
                if n % 20 == 0:  # closing drops locks where there are two copies of SQLite
                    connection.close()
                    connection = sqlite3.connect(path, timeout=30, isolation_level="IMMEDIATE")
            connection.close()

        seen: list[int] = []

        def consume() -> None:
            for claim in queue.claims(idle="3s"):
                with claim:
                    seen.append(claim.data)

        def guarded(work: object, *given: int) -> None:
            try:
                work(*given)  # type: ignore[operator]
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=guarded, args=(produce, begin)) for begin in (1000, 2000, 3000)]
        threads += [threading.Thread(target=guarded, args=(consume,)) for _ in range(2)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert not failed
    with sqlite3.connect(path) as look:
        assert look.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert sorted(seen) == [n for (n,) in look.execute("select n from effects order by n")]
    look.close()
    assert len(seen) == 3 * ROUNDS * 4 // 5


def test_first_use_inside_a_transaction(tmp_path: Path) -> None:
    """The tables are not there, and nobody but the caller could make them now."""
    connection = sqlite3.connect(f"{tmp_path}/app.db", isolation_level="IMMEDIATE")
    with ropeway.connect(f"sqlite:{tmp_path}/app.db?driver=sqlite3&timeout=1s", config=False) as broker:
        broker.queue("q").put(1, tx=connection)
        connection.rollback()
        broker.queue("q").put(2, tx=connection)
        with pytest.raises(StoreError):
            broker.queue("q").put(3)  # another writer, and ours is waiting for itself
        connection.commit()
        assert broker.queue("q").claim().data == 2  # type: ignore[union-attr]
    connection.close()
