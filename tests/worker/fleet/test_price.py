"""What presence costs a server, counted by the server: a hundred idle workers stay under five statements a second, waiting included."""

from __future__ import annotations

import pytest

import servers
from ropeway.bells.bell import LIFETIME, RENEWED
from ropeway.link import Link
from ropeway.worker.fleet.presence import IDLE
from stores.sql.mariadb import connected

from .conftest import Manned

FLEET = 100
BEATS = 30
BEHIND = 60.0  # the poll behind the bell of MariaDB; what waiting costs there is counted by that engine's own test


@pytest.mark.service("mariadb")
def test_a_hundred_idle_workers_on_mariadb() -> None:
    server = servers.own("mariadb")
    try:
        link = Link(server.url)
        own = connected(server.url)
        cursor = own.cursor()

        def asked() -> int:
            cursor.execute("show global status like 'Questions'")
            return int(cursor.fetchall()[0][1])

        one = Manned(link)
        before = asked()
        for _ in range(BEATS):
            one.post._presence.touch()
            one.post.beat()
        a_beat = (asked() - before - 1) / BEATS
        waiting = FLEET / BEHIND + FLEET / (LIFETIME * RENEWED)
        print(f"{a_beat:.1f} statements a note; {FLEET * a_beat / IDLE + waiting:.1f} a second for {FLEET} idle workers")
        assert 1 <= a_beat < 3
        assert FLEET * a_beat / IDLE + waiting < 5
        own.close()
        link.close()
    finally:
        server.remove()


@pytest.mark.service("mariadb")
def test_waiting_for_orders_too_is_announced_anew_by_one_statement() -> None:
    """A worker waits for its queues and for its orders; what it says all day must stay one statement."""
    from ropeway.clock import SYSTEM
    from ropeway.stores.sql.board import SqlBoard

    server = servers.own("mariadb")
    try:
        link = Link(server.url)
        own = connected(server.url)
        cursor = own.cursor()

        def asked() -> int:
            cursor.execute("show global status like 'Questions'")
            return int(cursor.fetchall()[0][1])

        board = SqlBoard(link.store.desk, SYSTEM)  # type: ignore[attr-defined]
        for queues in (["mails", "_orders.x", "Mails"], ["q"], [f"q{n}" for n in range(8)]):
            board.announce("127.0.0.1:9", queues, 100.0)
            before = asked()
            board.announce("127.0.0.1:9", queues, 100.0)
            assert asked() - before - 1 == 1
            cursor.execute("select queue from ropeway_waiting")
            assert sorted(queue for (queue,) in cursor.fetchall()) == sorted(queues)
        own.close()
        link.close()
    finally:
        server.remove()
