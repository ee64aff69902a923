"""The page about taking over a table of messages: its very code, on each database."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway

from .test_join_kill import connected, place, said  # noqa: F401 - a fixture

PAGE = Path(__file__).parents[3] / "docs" / "guides" / "application-table.md"


@pytest.fixture
def page(place: tuple[str, str]) -> Iterator[tuple[str, dict[str, Any], str]]:  # noqa: F811
    """The URL, what the code of the page defines, and the name of its table, which is one of the test's own."""
    url, table = place
    text = PAGE.read_text().replace("MessageQueue", table)
    (create,) = re.findall(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    binary = "bytea" if url.startswith("postgresql:") else "blob"
    said(url, create.replace("blob", binary))
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    if url.startswith("sqlite:"):
        code = code.replace('LOCK = "for update skip locked"', 'LOCK = ""')
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    yield url, names, table


def filled(url: str, table: str, count: int) -> None:
    binary = "x'{:02x}'" if not url.startswith("postgresql:") else "'\\x{:02x}'"
    rows = [f"({n}, '2026-01-01 00:00:{n % 60:02}', '{'mail' if n % 2 else 'print'}', {binary.format(n)})" for n in range(count)]
    said(url, f"insert into {table} (id, date_inserted, type, data) values {', '.join(rows)}")


def mover(url: str) -> Any:
    connection = connected(url)
    if url.startswith("sqlite:"):
        connection.isolation_level = "IMMEDIATE"
        connection.execute("begin immediate")
    return connection


def test_oldest_first_and_by_type(page: tuple[str, dict[str, Any], str]) -> None:
    url, names, table = page
    filled(url, table, 50)
    with ropeway.connect(url, config=False) as broker:
        assert broker.counts() == {}
        connection = mover(url)
        assert names["move"](broker, connection, 30) == 30
        if url.startswith("sqlite:"):
            connection.execute("begin immediate")
        assert names["move"](broker, connection) == 20
        connection.close()
        for kind, first in (("print", 0), ("mail", 1)):
            seen: list[int] = []
            names["consume"](broker, kind, lambda body, to=seen: to.append(body[0]))
            assert seen == list(range(first, 50, 2))
    assert said(url, f"select count(*) from {table}")[0][0] == 0


def test_each_row_once_with_two_movers_and_two_consumers(page: tuple[str, dict[str, Any], str]) -> None:
    url, names, table = page
    filled(url, table, 120)
    seen: list[int] = []
    with ropeway.connect(url, config=False) as broker:
        assert broker.counts() == {}

        def work() -> None:
            connection = mover(url)
            while names["move"](broker, connection, 7):
                if url.startswith("sqlite:"):
                    connection.execute("begin immediate")
            connection.close()
            names["consume"](broker, "mail", lambda body: seen.append(body[0]))

        side(work, 2)
        assert sorted(seen) == list(range(1, 120, 2))
        assert len(broker.queue("print")) == 60


def test_a_mover_that_fails_leaves_everything(page: tuple[str, dict[str, Any], str]) -> None:
    url, names, table = page
    filled(url, table, 10)
    said(url, f"update {table} set type = 'no queue' where id = 9")
    with ropeway.connect(url, config=False) as broker:
        assert broker.counts() == {}
        connection = mover(url)
        with pytest.raises(ropeway.BadName):
            names["move"](broker, connection)
        connection.rollback()
        connection.close()
        assert sum(counts.ready for counts in broker.counts().values()) == 0
        assert said(url, f"select count(*) from {table}")[0][0] == 10
        with connected(url) as connection:
            names["insert"](broker, connection, "mail", b"by itself")
            connection.commit()
        assert broker.queue("mail").claim().body == b"by itself"  # type: ignore[union-attr]


def side(work: Callable[[], None], count: int) -> None:
    """In so many threads; what one of them raises is raised."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    if failed:
        raise failed[0]
