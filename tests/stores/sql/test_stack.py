"""The stack of sessions: no more than allowed are open, and who waits gets the first that comes back."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ropeway.stores.sql.stack import Full, Stack


class Fake:
    """A session that counts."""

    opened = 0

    def __init__(self) -> None:
        Fake.opened += 1
        self.broken = self.closed = False

    def close(self) -> None:
        self.closed = True


def stack(limit: int, patience: float = 20.0) -> Any:
    Fake.opened = 0
    return Stack(Fake, limit, patience)  # type: ignore[arg-type]


def test_the_last_that_was_given_back_is_the_next() -> None:
    some = stack(4)
    first, second = some.take(), some.take()
    some.give(first)
    some.give(second)
    assert some.take() is second
    assert some.take() is first
    assert Fake.opened == 2


def test_a_broken_one_makes_room() -> None:
    some = stack(1)
    one = some.take()
    one.broken = True
    some.give(one)
    assert one.closed
    assert some.take() is not one
    assert Fake.opened == 2


def test_a_fresh_one_is_none_that_lay_there() -> None:
    some = stack(2)
    old = some.take()
    some.give(old)
    assert some.take(fresh=True) is not old
    assert old.closed


def test_one_that_cannot_be_opened_takes_no_room() -> None:
    def refuse() -> Any:
        raise FileNotFoundError

    some = Stack(refuse, 1, 0.0)
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            some.take()


def test_who_waits_too_long_is_told() -> None:
    some = stack(1, patience=0.0)
    some.take()
    with pytest.raises(Full):
        some.take()


def test_many_threads_share_a_few() -> None:
    some, lock, out, most = stack(3), threading.Lock(), 0, 0

    def use(_: int) -> None:
        nonlocal out, most
        one = some.take()
        with lock:
            out += 1
            most = max(most, out)
        os.sched_yield()
        with lock:
            out -= 1
        some.give(one)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(use, range(3000)))
    assert most <= 3
    assert Fake.opened <= 3


def test_a_fork_opens_its_own() -> None:
    some = stack(1)
    mine = some.take()
    some.give(mine)
    pid = os.fork()
    if not pid:
        os._exit(0 if some.take() is not mine and not mine.closed else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert some.take() is mine
