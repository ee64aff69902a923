"""Counting and writing: by minutes, bounded, and once a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropeway.broker import Broker
from ropeway.errors import BadValue, StoreError
from ropeway.history import tally as counting
from ropeway.history.reading import gather, history
from ropeway.history.sums import OTHER, Sums, pack, unpack
from ropeway.history.tally import Tally
from ropeway.link import Link
from ropeway.notes import NOTE_LIMIT
from ropeway.testing.clock import START, FakeClock

MINUTE = int(START) // 60 * 60


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=float(MINUTE))


@pytest.fixture
def link(clock: FakeClock) -> Iterator[Link]:
    made = Link("memory:", clock)
    yield made
    made.close()


def tally(link: Link, name: str = "one") -> Tally:
    return Tally(link, name, chance=lambda: 0.0)


def end(
    one: Tally, queue: str = "mails", task: str = "send", *, done: int = 1, failed: int = 0, run: float = 0.2, wait: float = 0.02
) -> None:
    with one.lock:
        one.turn()
        now = one.cell(queue, task)
        now.done += done
        now.failed += failed
        now.runs += [run] * (done + failed)
        now.waits += [wait] * (done + failed)


def test_a_minute_is_written_when_it_is_over(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    end(one, done=3, failed=1)
    clock.advance(59.0)
    one.beat()
    assert history(link) == []
    clock.advance(1.0)
    one.beat()
    (row,) = history(link)
    assert (row.at, row.queue, row.task, row.done, row.failed, row.dead) == (MINUTE, "mails", "send", 3, 1, 0)
    assert row.run_p50 is not None and 0.1 < row.run_p50 <= 0.25
    assert row.wait_p95 is not None and 0.01 < row.wait_p95 <= 0.025


def test_nothing_is_written_while_nothing_ends(link: Link, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    one, written = tally(link), list[str]()
    note = link.store.notes.note
    monkeypatch.setattr(link.store.notes, "note", lambda key, *rest: (written.append(key), note(key, *rest)))
    for _ in range(300):
        clock.advance(1.0)
        one.beat()
    assert written == []
    end(one)
    for _ in range(300):
        clock.advance(1.0)
        one.beat()
    assert [key.split("/")[1] for key in written] == ["held", "m", "h"], "whose they are, one note for the minutes, one for the hours"


def test_each_minute_has_its_row_and_hours_their_sums(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    for minute in range(30):
        end(one, done=minute + 1)
        clock.advance(60.0)
        one.beat()
    rows = history(link, "1h")
    assert [row.at for row in rows] == [MINUTE + 60 * n for n in range(30)]
    assert [row.done for row in rows] == [n + 1 for n in range(30)]
    hours = history(link, "24h")
    assert sum(row.done for row in hours) == sum(range(31))
    assert {row.at % 3600 for row in hours} == {0}
    assert len(history(link, "10m")) <= 11


def test_several_workers_are_merged(link: Link, clock: FakeClock) -> None:
    one, other = tally(link, "one"), tally(link, "other")
    end(one, done=2, run=0.02)
    end(other, done=5, run=20.0)
    end(other, "films", "cut")
    one.write(), other.write()
    assert [(row.queue, row.task, row.done) for row in history(link)] == [("films", "cut", 1), ("mails", "send", 7)]
    (mails,) = history(link, queue="mails")
    assert mails.run_p95 is not None and mails.run_p95 > 10
    assert [row.queue for row in history(link, task="cut")] == ["films"]


def test_a_minute_may_be_written_in_parts(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    for _ in range(3):
        end(one, done=2)
        one.write()
        clock.advance(5.0)
    (row,) = history(link)
    assert row.done == 6


def test_what_was_written_stays_when_the_worker_is_another(link: Link, clock: FakeClock) -> None:
    end(first := tally(link, "first"), done=4)
    clock.advance(60.0)
    first.beat()
    end(second := tally(link, "second"), done=1)
    second.write()
    assert [row.done for row in history(link)] == [4, 1]


def test_minutes_leave_after_six_hours_and_hours_after_eight_days(link: Link, clock: FakeClock) -> None:
    end(one := tally(link))
    one.write()
    clock.advance(5.9 * 3600)
    assert history(link, "6h")
    clock.advance(3600)
    assert not link.store.notes.notes("history/m/") and link.store.notes.notes("history/h/")
    assert history(link, "8d")
    clock.advance(10 * 86400)
    assert not link.store.notes.notes("history/")


def test_too_many_tasks_are_told_together(link: Link) -> None:
    one = tally(link)
    for number in range(500):
        end(one, "mails", f"task-{number}")
    for number in range(300):
        end(one, f"queue-{number}", "send")
    one.write()
    rows = history(link)
    assert sum(row.done for row in rows) == 800
    assert len(rows) <= counting.MOST + counting.MOST_OTHERS + 1
    assert {row.done for row in rows if (row.queue, row.task) == ("mails", OTHER)} == {500 - counting.MOST}
    assert any(row.queue == OTHER for row in rows)
    assert len(one.totals()) <= counting.MOST_TOTALS + 1


def test_a_note_never_grows_beyond_its_limit(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    for minute in range(10):
        for number in range(70):
            end(one, f"{'q' * 100}-{minute}-{number}", "t" * 120, run=3.0**number % 4000)
        clock.advance(60.0)
    one.write()
    sizes = {key: len(value) for key, value in link.store.notes.notes("history/").items()}
    assert sizes and max(sizes.values()) <= NOTE_LIMIT
    assert sum(row.done for row in history(link)) == 700


def test_many_cells_are_folded_to_fit_and_none_is_lost() -> None:
    cells = {(MINUTE, f"queue-{n:0100}", f"task-{n:0100}"): Sums(done=n, run=[1 << 40] * 20) for n in range(1000)}
    data = pack(cells)
    assert len(data) <= NOTE_LIMIT
    told = unpack(f"history/m/{MINUTE // 600}/one", data)
    assert sum(sums.done for _, sums in told) == sum(range(1000))
    assert ("queue-" + f"{999:0100}") in {cell[1] for cell, _ in told}, "the busiest keeps its name"


def test_while_the_store_fails_the_counts_are_kept(link: Link, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    one, real = tally(link), link.store.notes.note

    def fails(*_: object) -> None:
        raise StoreError("away")

    monkeypatch.setattr(link.store.notes, "note", fails)
    for _ in range(90):
        end(one)
        clock.advance(60.0)
        one.beat()
    assert len(one._pages) <= counting.MOST_PAGES
    monkeypatch.setattr(link.store.notes, "note", real)
    clock.advance(counting.AGAIN)
    one.beat()
    assert sum(row.done for row in history(link, "6h")) == 90


def test_a_clock_that_is_set_back_takes_nothing_away(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    end(one, done=7)
    one.write()
    clock.advance(1200.0)
    end(one, done=1)
    one.write()
    clock.step(-1200.0)
    end(one, done=2)
    one.write()
    clock.step(1200.0)
    assert sum(row.done for row in history(link)) == 10


GOOD = pack({(MINUTE, "mails", "send"): Sums(done=1)})
KEY = f"history/m/{MINUTE // 600}/evil"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEY, b""),
        (KEY, b"\xff" * 100),
        (KEY, GOOD[:-3]),
        (KEY, b"\x93\x02" + GOOD[2:]),
        (KEY, b"\x91" * 60000),
        (KEY, pack({(MINUTE, "../mails", "send"): Sums(done=1)})),
        (KEY, pack({(MINUTE, "mails", "<script>"): Sums(done=1)})),
        (KEY, pack({(MINUTE + 1, "mails", "send"): Sums(done=1)})),
        (KEY, pack({(MINUTE - 86400, "mails", "send"): Sums(done=1)})),
        (KEY, pack({(MINUTE, "mails", "send"): Sums(done=-5)})),
        (KEY, pack({(MINUTE, "mails", "send"): Sums(run_seconds=float("nan"))})),
        (KEY, pack({(MINUTE, "mails", "send"): Sums(run_seconds=float("inf"))})),
        (KEY, pack({(MINUTE, "mails", "send"): Sums(run=[1] * 1000)})),
        ("history/m/x/evil", GOOD),
        ("history/m/99999999999999999999/evil", GOOD),
        (f"history/m/{MINUTE // 600 - 1}/evil", GOOD),
        ("history/m", GOOD),
    ],
)
def test_a_note_that_is_none_of_ours_is_passed_over(link: Link, key: str, value: bytes) -> None:
    end(one := tally(link))
    one.write()
    link.store.notes.note(key, value, 3600.0)
    assert [row.done for row in history(link, "3h")] == [1]


@pytest.mark.parametrize("span", [0, "9d", -1, "x"])
def test_a_span_that_no_history_covers_is_refused(link: Link, span: object) -> None:
    with pytest.raises(BadValue):
        history(link, span)  # type: ignore[arg-type]


def test_totals_are_of_all_since_the_start(link: Link, clock: FakeClock) -> None:
    one = tally(link)
    for _ in range(3):
        end(one, done=2, run=0.2)
        clock.advance(60.0)
        one.beat()
    end(one, failed=1, done=0)
    sums = one.totals()["mails", "send"]
    assert (sums.done, sums.failed, sum(sums.run)) == (6, 1, 7)
    assert one.totals() == one.totals(), "asking counts nothing twice"
    one.write()
    assert one.totals()["mails", "send"].done == 6


async def ask(broker: Broker) -> int:
    return len(await broker.ahistory("1h"))


def test_the_awaitable_twin(link: Link) -> None:
    import asyncio

    end(one := tally(link))
    one.write()
    assert asyncio.run(ask(Broker(link, config=False))) == 1
    assert len(gather(link, 3600.0)) == 1
