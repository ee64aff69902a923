"""Schedules on every engine: added, edited while workers look on, paused, and what the code and an operator say of the same one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.errors import BadName, BadValue, Conflict, Unsupported
from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.schedule import QUEUE, Schedule, plan, spelled
from ropeway.schedules import Schedules, coded
from ropeway.store import Feature, Query
from ropeway.testing.clock import FakeClock
from ropeway.worker.planter import Planter

pytestmark = pytest.mark.slow

DAY = 86400.0


def no_words(*_: object) -> None:
    raise AssertionError(f"warned: {_}")


class Place:
    """A store, its schedules, and a planter that looks when it is told."""

    def __init__(self, url: str, clock: FakeClock) -> None:
        self.url = url
        self.clock = clock
        self.link = Link(url, clock, name="test")
        self.schedules = Schedules(self.link)
        self.planter = Planter(self.link, lambda: False, no_words)

    def jobs(self, queue: str = "q") -> list[Job]:
        found = self.link.store.browse(Query(queues=(queue,), limit=None))
        return sorted((entry.job for entry in found), key=lambda job: job.due)

    def ticks(self, queue: str = "q") -> list[float]:
        """The moments for which jobs are there, as their keys say."""
        return [job.due for job in self.jobs(queue)]

    def forward(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, with a planter that looks when it said it would."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 1e-9:
            self.clock.advance(min(left, max(1e-3, self.planter.look())))
        self.planter.look()

    def drain(self, queue: str = "q") -> list[str]:
        """Run what is due; the ticks that ran."""
        claims = iter(lambda: Queue(self.link, queue).claim(), None)
        out = []
        for claim in claims:
            out.append(claim.headers["ropeway-tick"])
            claim.ack()
        return out


@pytest.fixture(params=engines())
def place_(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with place(request.param, tmp_path) as url:
        made = Place(url, FakeClock(now=1_800_000_003.0))
        if Feature.EDIT not in made.link.store.features:
            with pytest.raises(Unsupported, match="edit"):
                made.schedules.add("s", "every 10s", "q", 1)
            made.link.close()
            pytest.skip("refused, as this engine has no EDIT")
        yield made
        made.link.close()


def test_each_tick_is_planted_once_and_on_time(place_: Place) -> None:
    place_.schedules.add("beat", "every 10s", "q", {"n": 1}, priority=7, headers={"a": "b"})
    start = place_.clock.now()
    place_.forward(60)
    ticks = place_.ticks()
    assert ticks == pytest.approx([start + 7 + 10 * n for n in range(6)], abs=0.01)
    job = place_.jobs()[0]
    assert (job.body, job.priority) == (b'{"n":1}', 7)
    assert job.headers == {"a": "b", "ropeway-schedule": "beat", "ropeway-tick": spelled(start + 7)}
    assert job.key == f"schedule:beat:{spelled(start + 7)}"


def test_a_tick_is_planted_ahead_so_that_it_comes_without_its_planter(place_: Place) -> None:
    place_.schedules.add("hourly", "@hourly", "q", 1)
    tick = place_.schedules.ticks("hourly")[0]
    place_.clock.advance(tick - 4.9 - place_.clock.now())
    place_.planter.look()
    assert Queue(place_.link, "q").claim() is None
    place_.clock.advance(4.91)
    assert place_.drain() == [spelled(tick)]


def test_missed_ticks(place_: Place) -> None:
    for catch_up in ("none", "last", "all"):
        place_.schedules.add(catch_up, "0 * * * *", catch_up, 1, catch_up=catch_up)  # type: ignore[arg-type]
    first = place_.schedules.ticks("last")[0]
    place_.clock.advance(first + 5 * 3600 + 600 - place_.clock.now())  # six are missed
    place_.planter.look()
    assert place_.drain("none") == []
    assert place_.drain("last") == [spelled(first + 5 * 3600)]
    assert place_.drain("all") == [spelled(first + n * 3600) for n in range(6)]
    place_.planter.look()
    assert [place_.drain(name) for name in ("none", "last", "all")] == [[], [], []]
    place_.clock.advance(50 * 60 + 5)
    place_.planter.look()
    place_.clock.advance(1)
    assert [place_.drain(name) for name in ("none", "last", "all")] == [[spelled(first + 6 * 3600)]] * 3


def test_at_most_a_hundred_are_caught_up() -> None:
    old = Schedule("s", "every 1s", "q", catch_up="all", tick=1_000_000.0)
    ticks, new = plan(old, 2_000_000.5)
    assert len(ticks) == 100
    assert ticks[-1] in (2_000_000.0, 2_000_001.0)  # with the one that is planted ahead
    assert new.tick == ticks[-1] + 1


def test_edited_while_a_tick_is_planted_ahead(place_: Place) -> None:
    """The job of the old expression is taken out again."""
    place_.schedules.add("s", "every 1m", "q", 1)
    tick = place_.schedules.ticks("s")[0]
    place_.clock.advance(tick - 3 - place_.clock.now())
    place_.planter.look()
    assert place_.ticks() == pytest.approx([tick], abs=0.01)
    place_.schedules.edit("s", "every 1h")
    assert place_.ticks() == []
    place_.forward(3600 - tick % 3600 + 10)
    assert [round(t) % 3600 for t in place_.ticks()] == [0]


def test_another_content_keeps_the_tick_that_is_planted_ahead(place_: Place) -> None:
    place_.schedules.add("s", "every 1m", "q", "old")
    tick = place_.schedules.ticks("s")[0]
    place_.clock.advance(tick - 3 - place_.clock.now())
    place_.planter.look()
    place_.schedules.put("s", "every 1m", "q2", "new")
    place_.forward(1)
    assert place_.ticks() == []
    assert place_.ticks("q2") == pytest.approx([tick], abs=0.01)
    assert place_.jobs("q2")[0].body == b"new"


def test_pause_and_resume(place_: Place) -> None:
    place_.schedules.add("s", "every 1m", "q", 1)
    tick = place_.schedules.ticks("s")[0]
    place_.clock.advance(tick - 3 - place_.clock.now())
    place_.planter.look()
    assert place_.schedules.pause("s").paused
    assert place_.ticks() == [], "also what was planted ahead"
    assert place_.schedules.ticks("s") == []
    place_.forward(600)
    assert place_.ticks() == []
    place_.schedules.resume("s")
    place_.schedules.resume("s")
    now = place_.clock.now()
    place_.forward(50)
    assert place_.ticks() == pytest.approx([now - now % 60 + 60], abs=0.01), "what was missed by the pause is not caught up"


def test_delete_and_add_again(place_: Place) -> None:
    place_.schedules.add("s", "every 1m", "q", 1)
    tick = place_.schedules.ticks("s")[0]
    with pytest.raises(Conflict, match="already"):
        place_.schedules.add("s", "every 1m", "q", 1)
    place_.clock.advance(tick - 3 - place_.clock.now())
    place_.planter.look()
    assert place_.schedules.delete("s")
    assert not place_.schedules.delete("s")
    assert place_.ticks() == []
    assert place_.schedules.browse() == []
    place_.schedules.add("s", "every 1m", "q", 2)
    place_.forward(1)
    assert place_.ticks() == pytest.approx([tick], abs=0.01)


def test_a_tick_that_runs_is_not_planted_again_by_a_schedule_made_anew(place_: Place) -> None:
    place_.schedules.add("s", "every 1m", "q", 1)
    tick = place_.schedules.ticks("s")[0]
    place_.clock.advance(tick - 3 - place_.clock.now())
    place_.planter.look()
    place_.link.store.requeue(Query(queues=("q",), states=frozenset({State.DELAYED}), limit=None))
    claim = Queue(place_.link, "q").claim()
    assert claim is not None
    place_.schedules.delete("s")
    place_.schedules.add("s", "every 1m", "q", 1)
    place_.forward(1)
    assert len(place_.jobs()) == 1, "its key is held"
    claim.ack()


def test_run_now(place_: Place) -> None:
    place_.schedules.add("s", "@yearly", "q", {"x": 1}, keep="1h")
    handle = place_.schedules.run("s")
    entry = handle.entry()
    assert entry is not None
    assert (entry.job.body, entry.job.keep, entry.job.headers) == (b'{"x":1}', 3600.0, {"ropeway-schedule": "s"})
    assert place_.schedules.run("s").created


def test_a_clock_that_steps(place_: Place) -> None:
    """Back: no tick comes again. Forward: those that are jumped over are missed ones."""
    place_.schedules.add("s", "every 10s", "q", 1)
    ran = []
    for step in (0, -500, 0, 1000, -1000, 300):
        place_.clock.step(step)
        for _ in range(40):
            place_.forward(5)
            ran += place_.drain()
    assert ran == sorted(set(ran)), "each tick once, and in order"
    assert len(ran) >= 40


def test_clocks_of_workers_that_disagree(place_: Place) -> None:
    """Each worker has a clock of its own, and most engines believe it. Whatever they think, each tick is planted once."""
    apart = not place_.url.startswith("memory:")  # which is one space, and has one time
    rates = (1.0, 0.9, 1.3) if apart else (1.0, 1.0, 1.0)
    clocks = [FakeClock(now=1_800_000_003.0 + off) for off in ((0, -40, 75) if apart else (0, 0, 0))]
    links = [Link(place_.url, clock) for clock in clocks]
    planters = [Planter(link, lambda: False, no_words) for link in links]
    Schedules(links[0]).add("s", "every 10s", "q", 1)
    ran: list[str] = []
    for turn in range(300):
        for clock, rate in zip(clocks, rates, strict=True):
            clock.advance(rate)
        planters[turn % 3].look()
        planters[(turn + 1) % 3].look()
        for link in links:
            while claim := Queue(link, "q").claim():
                ran.append(claim.headers["ropeway-tick"])
                claim.ack()
    for link in links:
        link.close()
    assert len(ran) >= 28
    assert len(set(ran)) == len(ran)


def test_many_planters_at_once(place_: Place) -> None:
    links = [Link(place_.url, place_.clock) for _ in range(4)]
    planters = [Planter(link, lambda: False, no_words) for link in links]
    for name in "abc":
        place_.schedules.add(name, "every 10s", "q", name)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(12):
            list(pool.map(lambda planter: planter.look(), planters))
            place_.clock.advance(5)
    keys = [job.key for job in place_.jobs()]
    assert len(keys) == len(set(keys))
    assert {key.split(":", 2)[1] for key in keys} == set("abc")
    assert len(keys) >= 15
    for link in links:
        link.close()


def test_many_editors_at_once(place_: Place) -> None:
    place_.schedules.add("s", "every 10s", "q", 1)
    place_.clock = FakeClock()  # real threads wait for one another: not on a clock that jumps
    links = [Link(place_.url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: Schedules(links[n % 3]).edit("s", f"every {n + 10}s"), range(9)))
    found = place_.schedules.get("s")
    assert found is not None
    assert found.expression in {f"every {n + 10}s" for n in range(9)}
    assert len(place_.link.store.browse(Query(queues=(QUEUE,)))) == 1
    for link in links:
        link.close()


def wanted(expression: str = "every 1m", body: bytes = b"[]", name: str = "s") -> Schedule:
    return coded(name, expression, tz="UTC", catch_up="last", job=lambda: Job("", "q", body, task="t")).made()


def test_who_wins_code_or_operator(place_: Place) -> None:
    schedules = place_.schedules
    assert schedules.code(wanted()) == "added"
    assert schedules.code(wanted()) == "same"
    schedules.edit("s", "every 2m")
    schedules.pause("s")
    assert schedules.code(wanted()) == "same", "an operator's edit and pause stand"
    assert schedules.get("s").expression == "every 2m"  # type: ignore[union-attr]
    assert schedules.code(wanted("every 3m")) == "changed", "until the code says something else"
    found = schedules.get("s")
    assert found is not None
    assert (found.expression, found.paused, found.source) == ("every 3m", True, "code")
    schedules.add("mine", "every 5m", "q", 1)
    assert schedules.code(wanted(name="mine")) == "operator"
    assert schedules.get("mine").expression == "every 5m"  # type: ignore[union-attr]


def test_what_is_wrong_is_said_and_nothing_is_kept(place_: Place) -> None:
    schedules = place_.schedules
    for call in (
        lambda: schedules.add("s", "* * *", "q", 1),
        lambda: schedules.add("s", "@daily", "q", 1, tz="Mars"),
        lambda: schedules.add("s", "@daily", "q", 1, catch_up="some"),  # type: ignore[arg-type]
        lambda: schedules.add("../s", "@daily", "q", 1),
        lambda: schedules.add("s", "@daily", ".q", 1),
        lambda: schedules.edit("none", "@daily"),
        lambda: schedules.pause("none"),
        lambda: schedules.run("none"),
        lambda: schedules.ticks("none"),
    ):
        with pytest.raises((BadValue, BadName), match="othing was"):
            call()
    with pytest.raises(TypeError, match="no option 'delay'"):
        schedules.add("s", "@daily", "q", 1, delay="1m")  # type: ignore[call-arg]
    assert schedules.browse() == []


def test_a_damaged_record_is_buried_and_told(place_: Place) -> None:
    told: list[str] = []
    place_.planter._warn = lambda text, *more: told.append(text % more)
    place_.link.store.put([Job(place_.link.new_id(), QUEUE, b'{"name": 5}', key="bad")])
    place_.schedules.add("good", "every 10s", "q", 1)
    place_.forward(20)
    assert len(told) == 1
    assert "is no schedule" in told[0]
    assert place_.ticks() != []
    assert [s.name for s in place_.schedules.browse()] == ["good"]


def test_a_queue_that_takes_no_jobs_misses_its_ticks(place_: Place) -> None:
    told: list[str] = []
    place_.planter._warn = lambda text, *more: told.append(text % more)
    place_.schedules.add("s", "every 10s", "q", 1)
    place_.link.store.pause(["q"], put=True, reason="full")
    place_.forward(100)
    assert place_.ticks() == []
    assert len(told) == 1
    assert "full" in told[0]
    place_.link.store.pause(["q"], put=False)
    place_.forward(11)
    assert 1 <= len(place_.ticks()) <= 2


def test_copy_carries_schedules(place_: Place) -> None:
    from ropeway.carry import copy

    place_.schedules.add("s", "every 1h", "q", 1)
    other = Link("memory:", place_.clock)
    copy(place_.link.store, other.store)
    assert Schedules(other).browse() == place_.schedules.browse()
    other.close()


def test_a_lost_commit_is_made_again(place_: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planter that dies between the put and the giving back: the next one puts the same job, and it is one."""
    place_.schedules.add("s", "every 10s", "q", 1)
    store: Any = place_.link.store
    place_.clock.advance(10)

    class Died(Exception):
        pass

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(store, "nack", dies)
        with pytest.raises(Died):
            place_.planter.look()
    place_.clock.advance(20)
    place_.forward(1)
    keys = [job.key for job in place_.jobs()]
    assert len(keys) == len(set(keys)) >= 1
