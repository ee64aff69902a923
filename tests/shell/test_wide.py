"""Commands that take several slots of their worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from engines import place
from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.shell.command import CONTENT_TYPE, TAKES, Command, pack
from ropeway.worker import Worker
from ropeway.worker.shell import ShellRunner
from ropeway.worker.wide import takes_of

from .conftest import Store, Yard, until
from .test_recipes import SEEN, wide
from .tools import Ours


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link(f"memory:{uuid4().hex}")
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(3))
def test_never_more_than_there_are_and_all_are_run(seed: int, link: Link, tmp_path: Path) -> None:
    slots, random, log = 4, Random(seed), tmp_path / "log"
    queue = Queue[object](link, "q")
    wanted = [random.choice((1, 1, 1, 2, 3, 4, 9)) for _ in range(40)]
    for takes in wanted:
        counted = min(takes, slots)
        script = f"echo {counted} >> {log}; {random.choice(('', 'sleep 0.01; ', 'sleep 0.03; '))}echo -{counted} >> {log}"
        headers = {TAKES: str(takes)} if takes > 1 else {}
        queue.put_encoded(pack(Command(["sh", "-c", script])), CONTENT_TYPE, headers=headers)
    shell = ShellRunner()
    Worker(link, None, ("q",), pool=shell, commands=shell, drain=True, concurrency=slots).run()
    steps = [int(line) for line in log.read_text().split()]
    taken = [sum(steps[:number]) for number in range(len(steps) + 1)]
    assert max(taken) <= slots
    assert sorted(step for step in steps if step > 0) == sorted(min(takes, slots) for takes in wanted)


@pytest.mark.parametrize(("said", "takes"), [("3", 3), ("0", 1), ("", 1), ("-2", 1), ("x", 1), ("²", 1), ("9" * 6, 1000), ("9" * 5000, 1)])
def test_a_header_of_a_stranger(said: str, takes: int) -> None:
    assert takes_of(Job("1" * 32, "q", b"", CONTENT_TYPE, headers={TAKES: said})) == takes
    assert takes_of(Job("1" * 32, "q", b"", headers={TAKES: said})) == 1  # of a command only


def held_up(store: Store, yard: Yard) -> str:
    """One that takes two slots of a worker that has two, behind one that runs there: its id."""
    yard.hold("a")
    store.run("--", "./step", "a")
    store.worker("default", "--allow-commands", "-j", "2")
    yard.sees("begin a")
    waits = store.run("-N", "2", "--", "./step", "wide")
    until(lambda: store.shell.ok("show", waits).row["state"] == State.RUNNING, "it is held")
    return waits


def test_what_comes_behind_it_is_for_others(shared: Store, yard: Yard) -> None:
    waits = held_up(shared, yard)
    behind = [shared.run("--", "./step", name) for name in "bc"]
    shared.worker("default", "--allow-commands", "-j", "1")
    assert shared("wait", *behind).code == 0
    assert "begin wide" not in yard.log()
    yard.let_go()
    assert shared("wait", waits).code == 0
    assert yard.log()[-2:] == ["begin wide", "end wide"]


def test_killed_while_it_waits_for_its_slots(shared: Store, yard: Yard) -> None:
    waits = held_up(shared, yard)
    shared.shell.ok("kill", waits)
    assert shared("wait", waits).code == 143
    assert "before it began" in shared.shell.ok("show", waits).row["error"]
    assert shared("wait", shared.run("--", "./step", "b")).code == 0  # its slots are free again
    assert "begin wide" not in yard.log()


def test_a_worker_that_stops_gives_it_back(shared: Store, yard: Yard) -> None:
    waits = held_up(shared, yard)
    (one,) = shared.workers()
    shared.shell.ok("workers", "--pause", one["id"])
    until(lambda: shared.shell.ok("show", waits).row["state"] == State.READY, "it is given back")
    shared.shell.ok("workers", "--resume", one["id"])
    yard.let_go()
    assert shared("wait", waits).code == 0
    assert shared.shell.ok("show", waits).row["attempts"] == 1


@pytest.mark.service("postgresql")
def test_on_postgresql(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with place("postgresql", tmp_path) as url:
        store = Store(url, monkeypatch)
        store.worker("default", "--allow-commands", "-j", "3")
        try:
            assert wide(Ours(store), yard) == SEEN[wide]
        finally:
            yard.let_go()
            store.end()
