"""The line on the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import progress
from ropeway.worker.journal import Counters

from .conftest import Running

SAID = [
    (Counters(), 0, None, 0.0, "0 done"),
    (Counters(done=1204, retried=3, buried=1), 8, 96, 312.4, "1204 done  3 retried  1 dead  8 in hand  96 waiting  312/s"),
    (Counters(done=1, lost=2), 0, 0, 0.42, "1 done  2 lost  0 waiting  0.4/s"),
]


@pytest.mark.parametrize(("counters", "held", "waiting", "rate", "line"), SAID)
def test_the_line(counters: Counters, held: int, waiting: int | None, rate: float, line: str) -> None:
    assert progress.said(counters, held, waiting, rate) == line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(memory: Link, start: Callable[..., Running]) -> None:
    tasks = Tasks(memory)

    @tasks.task
    def noop(number: int) -> None:
        import time

        time.sleep(0.01)

    noop.map(range(60))
    assert start(memory, tasks, ["default"], concurrency=1, drain=True, progress=True).end() == 0


def test_it_is_drawn_on_a_terminal_and_leaves_the_totals(
    memory: Link, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Terminal()
    monkeypatch.setattr("sys.stderr", out)
    run(memory, start)
    text = out.getvalue()
    assert text.endswith("\r\x1b[2K60 done\n")
    assert text.count("\r\x1b[2K") >= 2
    assert " waiting" in text


def test_nothing_is_drawn_elsewhere(memory: Link, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    run(memory, start)
    assert out.getvalue() == ""


def test_a_terminal_that_goes_away_harms_nothing(memory: Link, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "gone")

    monkeypatch.setattr("sys.stderr", Gone())
    run(memory, start)
