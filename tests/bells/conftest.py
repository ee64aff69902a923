"""What the tests of bells start with: second processes, and sleeping places that are closed again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.bells.choice import BellChoice
from ropeway.bells.place import SleepingPlace

from .keeping import SECRET, Store

HOME = Path(__file__).resolve().parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the program of these tests in a process of its own, behind the words of `before`."""
    begun: list[subprocess.Popen[str]] = []

    def _start(*args: object, before: tuple[str, ...] = (), errors: bool = False) -> subprocess.Popen[str]:
        command = [*before, sys.executable, "-m", "tests.bells.program", *map(str, args)]
        stderr = subprocess.STDOUT if errors else None
        begun.append(subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=stderr, text=True))
        return begun[-1]

    yield _start
    for child in begun:
        child.kill()
        child.communicate()


@pytest.fixture
def open_place() -> Iterator[Callable[[SleepingPlace], SleepingPlace]]:
    """Keep a sleeping place until the test is over."""
    kept: list[SleepingPlace] = []
    yield lambda place: kept.append(place) or place  # type: ignore[func-returns-value]
    for place in kept:
        place.close()


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    for bell in store.bells:
        bell.close()


@pytest.fixture(params=[b"", SECRET], ids=["without", "with"])
def sealed(request: pytest.FixtureRequest) -> Iterator[Store]:
    store = Store(BellChoice(secret=request.param))
    yield store
    for bell in store.bells:
        bell.close()
