"""Processes that claim at once where lanes and limits hold: no two of a lane together, none before its turn, never more than may run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engines import place
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Limits, Store
from ropeway.stores import open_store
from ropeway.stores.sql import lanes
from ropeway.testing.crew import Crew, fork

pytestmark = pytest.mark.timeout(300)

JOBS, LANES, CLAIMERS = 1000, 50, 8
MOST = 5  # jobs of a claim
ENGINES: list[Any] = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    pytest.param("mysql", marks=pytest.mark.service("mariadb")),
]
new_id = IdMaker(time.time_ns, os.urandom)

Run = tuple[int, int, str, str]  # when it was in hand, when it was about to be settled, which job, and how it was settled


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as one:
        yield one


def claimer(seed: int) -> Callable[[Crew, str], None]:
    """Claims until nothing is left. Of four jobs one is given back, to be run again at once or after a moment."""

    def run(crew: Crew, who: str) -> None:
        dice, holder = Random(seed), Holder(f"host:{os.getpid()}:{who}")
        store: Store = open_store(crew.url)
        lines = []
        while True:
            lent = store.claim(["q"], dice.randint(1, MOST), 60.0, holder)
            if not lent:
                counts = store.counts(["q"])["q"]
                if not counts.ready + counts.delayed + counts.running:
                    break
                store.wait(["q"], 0.2)
                continue
            begun = time.monotonic_ns()
            for one in lent:
                verb = dice.choice(["ack", "ack", "ack", "nack"])
                lines.append(f"{begun} {time.monotonic_ns()} {one.job.body.decode()} {verb}\n")
                if verb == "ack":
                    assert store.ack([Ack(one.receipt)]) == [True]
                else:
                    delay = dice.choice([0.0, 0.005])
                    assert store.nack([Handback(one.receipt, delay, restore=dice.random() < 0.5)]) == [True]
        (crew.folder / who).write_text("".join(lines))
        store.close()

    return run


def history(url: str, folder: Path) -> list[Run]:
    """What the claimers have done, in the order of its beginnings."""
    crew = Crew(url, folder)
    pids = [fork(crew, f"claimer-{number}", claimer(number)) for number in range(CLAIMERS)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * CLAIMERS, "the tracebacks are above"
    runs = []
    for number in range(CLAIMERS):
        for line in (folder / f"claimer-{number}").read_text().splitlines():
            begun, ended, job, verb = line.split()
            runs.append((int(begun), int(ended), job, verb))
    return sorted(runs)


def most_at_once(runs: list[Run]) -> int:
    """How many of these were in hand together."""
    marks = sorted([(begun, 1) for begun, _, _, _ in runs] + [(ended, -1) for _, ended, _, _ in runs])
    now = most = 0
    for _, step in marks:
        now += step
        most = max(most, now)
    return most


def test_each_lane_is_in_strict_order(url: str, tmp_path: Path) -> None:
    store = open_store(url)
    numbers = [(number % LANES, number // LANES) for number in range(JOBS)]
    for begin in range(0, JOBS, 100):
        store.put([Job(new_id(), "q", b"%d/%d" % one, lane=f"lane {one[0]}") for one in numbers[begin : begin + 100]])
    store.close()
    runs = history(url, tmp_path)
    assert len([run for run in runs if run[3] == "ack"]) == JOBS
    for lane in range(LANES):
        mine = [run for run in runs if run[2].startswith(f"{lane}/")]
        assert most_at_once(mine) == 1, f"two of lane {lane} at once"
        turns = [int(job.partition("/")[2]) for _, _, job, _ in mine]
        assert turns == sorted(turns), f"lane {lane} out of order"
        assert [turn for turn, run in zip(turns, mine, strict=True) if run[3] == "ack"] == list(range(JOBS // LANES))


@pytest.mark.parametrize("limits", [Limits(running=3), Limits(running=6, lane=2)], ids=["limit", "wide lanes under a limit"])
def test_a_limit_is_never_passed(url: str, tmp_path: Path, limits: Limits) -> None:
    store = open_store(url)
    store.limit(["q"], limits)
    store.put(
        [Job(new_id(), "q", b"%d/%d" % (number % 5, number), lane=f"{number % 5}" if limits.lane > 1 else "") for number in range(400)]
    )
    store.close()
    runs = history(url, tmp_path)
    assert len([run for run in runs if run[3] == "ack"]) == 400
    assert 1 < most_at_once(runs) <= limits.running
    if limits.lane > 1:
        assert max(most_at_once([run for run in runs if run[2].startswith(f"{lane}/")]) for lane in range(5)) == limits.lane, (
            "wide, not too wide"
        )


def test_an_end_between_letting_in_and_looking_lets_nobody_overtake(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if url.startswith("sqlite"):
        pytest.skip("there nobody ends anything while another claims")
    store, other, me = open_store(url), open_store(url), Holder("host:1:me")
    first, second, third = (Job(new_id(), "q", body, lane="l") for body in (b"1", b"2", b"3"))
    store.put([first, second])
    (lent,) = store.claim(["q"], 5, 60.0, me)
    assert store.claim(["q"], 5, 60.0, me) == []  # the second is parked
    store.put([third])
    let_in = lanes.Places.let_in

    def and_then_it_ends(self: lanes.Places) -> None:
        let_in(self)
        assert other.ack([Ack(lent.receipt)]) == [True]

    with monkeypatch.context() as patch:
        patch.setattr(lanes.Places, "let_in", and_then_it_ends)
        assert store.claim(["q"], 5, 60.0, me) == [], "the third stands behind the second, which is parked"
    assert [one.job.body for one in store.claim(["q"], 5, 60.0, me)] == [b"2"]
    store.close()
    other.close()
