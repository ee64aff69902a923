"""Each situation is named by its code, its text names what is concrete, and looking changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engines import engines, place
from house.tree import HOME
from ropeway.job import State
from ropeway.store import Entry, Query, Store
from ropeway.testing.clock import FakeClock
from ropeway.why import CODES
from server.inside import Inside

from . import situations, situations_of_workers
from .planting import SITUATIONS, state_of
from .stage import Stage

ROOMS = (situations, situations_of_workers)  # importing them is what fills the table
BESIDE = {"put-stopped", "clocks-differ"}  # never the first
DEEDS = {"dead-no-task", "dead-unreadable", "lease-over"}  # planted by real workers and at real stores, elsewhere in this folder
OF_QUEUES = {"no-queue", "empty", "all-delayed", "falling-behind", "catching-up", "one-lane", "slow-task", "retry-storm", "keeping-up"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[[str], Stage]]:
    """Makes stages: of the two embedded engines on a fake clock, of the others as they are."""
    with ExitStack() as stack:

        def make(engine: str, *, fake: bool = True) -> Stage:
            if engine == "http":
                made = Stage(stack.enter_context(Inside("memory:")))
            else:
                made = Stage(stack.enter_context(place(engine, tmp_path)), FakeClock() if fake else None)
            stack.callback(made.end)
            return made

        yield make


def all_of(store: Store) -> object:
    """Everything that a store shows."""
    shown = [(e.job.id, e.state, moment(e), e.attempts, e.deaths, e.holder, len(e.history)) for e in store.browse(Query(limit=None))]
    return sorted(shown), store.queues(), store.notes.notes("")


def moment(entry: Entry) -> float:
    """Its due; the end of a lease is told anew at each look, out of another clock, and differs by what lies between the two."""
    return 0.0 if entry.state is State.RUNNING else entry.due


def check(stage: Stage, name: str) -> None:
    code, plant, _ = SITUATIONS[name]
    planted = plant(stage)
    before = all_of(stage.store)
    found = stage.why(planted.job, planted.queue)
    assert all_of(stage.store) == before, "looking changes nothing"
    codes = [one.code for one in found.causes]
    assert codes, "there is always a cause"
    if code in BESIDE:
        assert codes[-1] == code, found
    else:
        assert codes[0] == code, found
    first = found.causes[0]
    assert not [part for part in planted.text if part not in first.text], first
    assert not [part for part in planted.unblock if part not in first.unblock], first
    assert not [one for one in planted.also if one not in codes], found
    assert (found.id, found.state) == (planted.job, state_of(stage, planted.job))
    assert all(one.code in CODES and one.text for one in found.causes)


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("engine", ["memory", "dir"])
def test_it_is_named(stage: Callable[..., Stage], engine: str, name: str) -> None:
    check(stage(engine), name)


OTHERS = [*(one for one in engines() if one.values[0] not in ("memory", "dir")), pytest.param("http")]


@pytest.mark.parametrize("name", [name for name, (_, _, timeless) in SITUATIONS.items() if timeless])
@pytest.mark.parametrize("engine", OTHERS)
def test_on_every_engine(stage: Callable[..., Stage], engine: str, name: str) -> None:
    check(stage(engine, fake=False), name)


def test_every_code_is_planted() -> None:
    planted = {code for code, _, _ in SITUATIONS.values()}
    assert set(CODES) - planted == DEEDS | OF_QUEUES
    assert len(planted) >= 35


def test_the_guide_lists_every_code() -> None:
    page = (HOME / "docs" / "guides" / "why.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == CODES
