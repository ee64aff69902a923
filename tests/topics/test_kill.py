"""I16, under kill -9: what was published after a group was made, and acknowledged, is handled by that group at least once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines import engines, place
from ropeway.broker import Broker
from ropeway.ids import made_at

from .conftest import LONG, until

pytestmark = pytest.mark.slow

KILLS = 5


@pytest.fixture(params=engines(processes=True))
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    here = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here / "tests"), str(here / "src")])}

    def start(*words: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen([sys.executable, "-m", "tests.topics.program", *words], env=env, cwd=here))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def lines(path: Path) -> list[str]:
    """The whole lines of a file that others write to."""
    return path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []


def test_every_group_handles_every_acknowledged_message(
    shared: str, tmp_path: Path, connect: Callable[..., Broker], start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    broker, folder, dice = connect(shared), str(tmp_path), random.Random(16)
    for group in ("one", "two"):
        broker.groups.add(group, "t.*")
    publishers = [start("publish", shared, folder) for _ in range(2)]
    workers = [start("work", shared, folder, "one", "two", "late") for _ in range(2)]
    published, handled = tmp_path / "publish", tmp_path / "work"
    made = 0.0
    for kill in range(KILLS):
        before, done = len(lines(published)), len(lines(handled))
        until(lambda before=before: len(lines(published)) > before + 20)
        until(lambda done=done: len(lines(handled)) > done)
        if kill == 2:
            until(lambda: broker.groups.get("late"))  # made by the workers
            made = time.time()
        for crew, words in ((publishers, ("publish", shared, folder)), (workers, ("work", shared, folder, "one", "two", "late"))):
            victim = crew.pop(dice.randrange(2))
            victim.kill()
            victim.wait()
            crew.append(start(*words))
    for publisher in publishers:
        publisher.kill()
        publisher.wait()
    acked = set(lines(published))
    assert len(acked) > 100
    wanted = {("one", i) for i in acked} | {("two", i) for i in acked} | {("late", i) for i in acked if made_at(i) > made + 0.01}

    def missing() -> set[tuple[str, ...]]:
        return wanted - {tuple(line.split()) for line in lines(handled)}

    end = time.monotonic() + LONG
    while left := missing():
        assert time.monotonic() < end, f"{len(left)} of {len(wanted)} were not handled: {sorted(left)[:3]} {broker.groups.counts()}"
        time.sleep(0.05)
    for group, counts in broker.groups.counts().items():
        assert counts.dead == 0, f"{group}: {[entry.error for entry in broker.queue(f'_group.{group}').browse(state='dead')]}"
