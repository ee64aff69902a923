"""Ids: they only grow, never meet, and say when they were made."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropeway.errors import BadName
from ropeway.ids import ID_LENGTH, IdMaker, check_id, is_id, made_at


def zeros(count: int) -> bytes:
    return bytes(count)


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=50))
def test_ids_grow_whatever_the_clock_does(moments: list[int]) -> None:
    ticks = iter(moments)
    new_id = IdMaker(lambda: next(ticks), zeros)
    ids = [new_id() for _ in moments]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(is_id(one) for one in ids)


def test_ids_grow_within_one_tick() -> None:
    new_id = IdMaker(lambda: 1_800_000_000_000_000_000, os.urandom)
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))


@given(st.integers(0, 2**47 * 1_000_000))
def test_an_id_is_a_uuid_of_version_7_and_says_its_time(nanoseconds: int) -> None:
    one = IdMaker(lambda: nanoseconds, os.urandom)()
    parsed = uuid.UUID(one)
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert len(one) == ID_LENGTH
    assert made_at(one) == pytest.approx(nanoseconds / 1e9, abs=0.002)


def test_ids_of_many_threads_never_meet() -> None:
    new_id = IdMaker(time.time_ns, os.urandom)
    out: list[list[str]] = [[] for _ in range(6)]
    start = threading.Barrier(6)

    def make(mine: list[str]) -> None:
        start.wait()
        mine.extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in out]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for mine in out for one in mine}) == 12_000
    for mine in out:
        assert mine == sorted(mine)


def test_a_fork_that_reseeds_shares_nothing() -> None:
    new_id = IdMaker(lambda: 1, os.urandom)
    new_id()
    ends = os.pipe()
    pid = os.fork()
    if not pid:
        new_id.reseed()
        os.write(ends[1], "".join(new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(ends[1])
    with open(ends[0]) as pipe:
        text = pipe.read()
    child = {text[place : place + ID_LENGTH] for place in range(0, len(text), ID_LENGTH)}
    mine = {new_id() for _ in range(100)}
    assert len(child) == 100
    assert not child & mine
    assert not {one[16:] for one in child} & {one[16:] for one in mine}, "the random parts must differ, not only the counts"


def test_ids_still_grow_after_reseeding() -> None:
    new_id = IdMaker(lambda: 5, os.urandom)
    before = new_id()
    new_id.reseed()
    assert new_id() > before


def test_random_bytes_are_used_once() -> None:
    asked = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    new_id = IdMaker(time.time_ns, entropy)
    tails = {new_id()[17:] for _ in range(2000)}
    assert len(tails) == 2000
    assert 1 < len(asked) < 20, "many ids from one call, and more calls when it is used up"


def test_ids_as_people_write_them() -> None:
    one = "01a3185c-5000-7000-AB05-25a7c302da76"
    assert check_id(one) == "01a3185c50007000ab0525a7c302da76"
    assert not is_id(one)


@pytest.mark.parametrize(
    "value", ["", "0" * 31, "0" * 33, "g" * 32, "../" + "0" * 29, "0" * 32 + "\n", "\uff10" * 32, None, 7, b"0" * 32], ids=ascii
)
def test_what_is_no_id(value: object) -> None:
    with pytest.raises(BadName):
        check_id(value)
    assert not is_id(value)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 700)), min_size=1, max_size=8))
def test_many_ids_at_once_are_as_one_after_the_other(rounds: list[tuple[int, int]]) -> None:
    ticks = iter([moment for moment, _ in rounds for _ in (0, 1)])
    new_id = IdMaker(lambda: next(ticks), os.urandom)
    ids = []
    for _, count in rounds:
        some = new_id.many(count)
        assert len(some) == count
        ids += [*some, new_id()]
    assert ids == sorted(set(ids))
    assert all(is_id(one) and uuid.UUID(one).version == 7 and uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)
