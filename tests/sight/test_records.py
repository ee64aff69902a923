"""What is kept of log records: put into words when somebody looks, or at once where waiting would change it or hold memory."""

from __future__ import annotations

import gc
import logging
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.sight.records import Records

log = logging.Logger("ropeway-tests-of-records")  # outside of the tree: pytest holds all records that come to its root
log.addHandler(logging.NullHandler())


@pytest.fixture
def records() -> Iterator[Records]:
    kept = Records()
    kept.start()
    yield kept
    kept.stop()


@pytest.fixture
def worded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time that a record is put into words."""
    seen: list[str] = []
    before = logging.LogRecord.getMessage

    def heard(record: logging.LogRecord) -> str:
        seen.append(str(record.msg))
        return before(record)

    monkeypatch.setattr(logging.LogRecord, "getMessage", heard)
    return seen


def texts(records: Records) -> list[str]:
    return [row["text"] for row in records.since()]


def test_numbers_and_short_texts_wait_until_somebody_looks(records: Records, worded: list[str]) -> None:
    log.warning("%s has %d of %.1f, %s", "shop", 3, 2.5, None)
    log.error("plain")
    assert not worded
    assert texts(records) == ["shop has 3 of 2.5, None", "plain"]
    assert len(worded) == 2
    first, second = records.since()
    assert (first["level"], second["level"], first["logger"]) == ("WARNING", "ERROR", log.name)
    assert first["where"].startswith("test_records.py:")
    assert (first["n"], second["n"]) == (1, 2)
    assert [row["n"] for row in records.since(1)] == [2]


def test_an_argument_that_changes_later_is_told_as_it_was(records: Records) -> None:
    growing = [1]
    table = {"n": 1}
    log.warning("it holds %s", growing)
    log.warning("the table says %(n)d", table)
    growing.append(2)
    table["n"] = 2
    assert texts(records) == ["it holds [1]", "the table says 1"]


class Request:
    """What a program would not like to live on."""

    def __str__(self) -> str:
        return "a request"


def test_nothing_of_the_programs_is_held(records: Records) -> None:
    def fail(request: Request) -> None:
        raise ValueError(f"no {request}")

    request = Request()
    died = weakref.ref(request)
    log.warning("by argument: %s", request)
    log.warning("beside", extra={"request": request})
    log.warning(request)
    try:
        fail(request)
    except ValueError:
        log.exception("in a frame")
    del request
    gc.collect()
    assert died() is None
    assert texts(records) == ["by argument: a request", "beside", "a request", "in a frame"]
    assert "ValueError: no a request" in records.since()[-1]["traceback"]


def test_long_arguments_hold_no_memory(records: Records) -> None:
    tracemalloc.start()
    try:
        for number in range(500):
            log.warning("%s", f"{number}" + "x" * 100_000)
            log.warning("y" * 100_000 + f"{number}")
        assert tracemalloc.get_traced_memory()[0] < 20 << 20
    finally:
        tracemalloc.stop()
    assert len(records.since()) == 1000


def test_wrong_arguments_are_told(records: Records) -> None:
    log.warning("wrong %d", "arguments")
    log.warning("wrong %s", "arguments", "here")
    assert all("do not fit" in text for text in texts(records))


def test_a_factory_of_the_program_that_takes_secrets_out_is_heeded() -> None:
    before = logging.getLogRecordFactory()

    def discreet(*given: Any, **more: Any) -> logging.LogRecord:
        record = before(*given, **more)
        record.msg, record.args = "(taken out)", ()
        return record

    logging.setLogRecordFactory(discreet)
    records = Records()
    try:
        records.start()
        log.warning("the plan is %s", "clear")
        assert texts(records) == ["(taken out)"]
        records.stop()
        assert logging.getLogRecordFactory() is discreet
    finally:
        logging.setLogRecordFactory(before)


def test_a_factory_that_came_later_goes_on_when_we_stop(records: Records) -> None:
    ours = logging.getLogRecordFactory()

    def around(*given: Any, **more: Any) -> logging.LogRecord:
        return ours(*given, **more)

    logging.setLogRecordFactory(around)
    try:
        log.warning("heard")
        records.stop()
        log.warning("not heard")
        assert logging.getLogRecordFactory() is around
        assert texts(records) == ["heard"]
    finally:
        logging.setLogRecordFactory(logging.LogRecord)


def test_heard_again_below_a_factory_that_came_later_each_record_is_heard_once(records: Records) -> None:
    ours = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *given, **more: ours(*given, **more))
    records.stop()
    records.start()
    log.warning("heard once")
    assert texts(records) == ["heard once"]


def test_heard_again_after_all_factories_were_thrown_out(records: Records) -> None:
    ours = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *given, **more: ours(*given, **more))
    records.stop()
    logging.setLogRecordFactory(logging.LogRecord)
    records.start()
    log.warning("heard once")
    assert texts(records) == ["heard once"]
