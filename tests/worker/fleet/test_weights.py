"""Weights: shares that hold over many turns, no queue starved, and what is no weight refused."""

from __future__ import annotations

from collections import Counter

import pytest

from ropeway.errors import BadValue
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet.weights import Turns, split
from ropeway.worker.lookout import Lookout

from ..fakes import Bench


def test_patterns_come_apart() -> None:
    assert split(["critical,*,!low"]) == (("critical", "*", "!low"), {})
    assert split(["mails=3", "web=1", "*"]) == (("mails", "web", "*"), {"mails": 3, "web": 1})
    assert split(["mails=3,web,"]) == (("mails", "web"), {"mails": 3})


@pytest.mark.parametrize(
    "wrong", ["mails=0", "mails=-1", "mails=x", "mails=1.5", "mails=1001", "!low=2", "=3", "a b=2", "mails=²", ",", "mails=9999999999999"]
)
def test_what_is_no_weight_is_refused(wrong: str) -> None:
    with pytest.raises(BadValue):
        split([wrong])


def test_the_first_place_is_shared_by_weight_and_evenly() -> None:
    turns = Turns({"mails": 3, "w*": 1})
    orders = [turns.order(["mails", "web"]) for _ in range(8)]
    assert [order[0] for order in orders] == ["mails", "mails", "web", "mails"] * 2
    assert all(sorted(order) == ["mails", "web"] for order in orders), "those behind are asked as well"


def test_queues_without_a_weight_have_one_and_queues_may_come_and_go() -> None:
    turns = Turns({"a": 2})
    firsts = Counter(turns.order(["a", "b", "c"])[0] for _ in range(400))
    assert firsts == {"a": 200, "b": 100, "c": 100}
    assert turns.order([]) == []
    firsts = Counter(turns.order(["b", "d"])[0] for _ in range(100))
    assert 45 <= firsts["b"] <= 55


def test_without_weights_the_order_is_strict() -> None:
    lookout = Lookout(Link("memory:", FakeClock()), ["a,b"])
    assert [lookout.turn() for _ in range(3)] == [["a", "b"]] * 3


def test_a_flooded_queue_does_not_starve_the_other() -> None:
    """As a worker does it: one slot, and both queues full."""
    link = Link("memory:", FakeClock())
    for name in ("mails", "web"):
        Queue(link, name).put_many([name] * 40)
    bench = Bench(link, "mails=3", "web=1", slots=1)
    ran: list[str] = []
    while len(ran) < 40:
        bench.until(lambda: bench.pool.started)
        ran.append(bench.pool.finish(seconds=0.2).lent.job.queue)
        bench.laps()
    assert Counter(ran) == {"mails": 30, "web": 10}
    assert "web" in ran[:4]
