"""What jobs log: kept with the attempt that fails, told while the worker is there, and free of charge for those that log nothing."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ropeway
from ropeway import Retry
from ropeway.job import State
from ropeway.worker import notebook

log = logging.getLogger("shop")


@pytest.fixture
def broker(tmp_path: Path) -> ropeway.Broker:
    return ropeway.connect(f"dir:{tmp_path}/spool?durability=os", config=False)


def test_the_last_lines_stay_with_an_attempt_that_fails(broker: ropeway.Broker) -> None:
    @broker.task(queue="q", retry=Retry(1))
    def boom(n: int) -> None:
        for line in range(n):
            log.warning("line %d token=abcdef", line)
        log.info("too low to be made")
        raise ValueError("no")

    handle, quiet = boom.put(150), boom.put(0)
    broker.worker("q", drain=True).run()
    (entry,) = broker.queue("q").browse(ids=[handle.id])
    (attempt,) = entry.history
    lines = attempt.log.splitlines()
    assert lines[-1].endswith("WARNING shop: line 149 token=***")
    assert len(attempt.log) <= notebook.KEPT
    assert len(lines) <= notebook.LINES + 1
    assert broker.queue("q").browse(ids=[quiet.id])[0].history[0].log == ""


def test_each_job_has_its_own_lines_and_they_are_told_when_it_is_done(broker: ropeway.Broker) -> None:
    meet = threading.Barrier(4)

    @broker.task(queue="q", keep="1h")
    def speak(name: str) -> None:
        meet.wait(20)
        log.error("I am %s", name)
        log.error("wrong %d arguments", "no")
        meet.wait(20)

    @broker.task(queue="q", keep="1h")
    async def aspeak(name: str) -> None:
        log.error("I am %s", name)

    handles = {name: speak.put(name) for name in "abcd"} | {"e": aspeak.put("e")}
    logging.raiseExceptions = False
    try:
        broker.worker("q", concurrency=5, drain=True).run()
    finally:
        logging.raiseExceptions = True
    for name, handle in handles.items():
        assert [row["text"] for row in notebook.told(handle.id)] == [f"I am {name}"]
    assert logging.getLogRecordFactory() is logging.LogRecord, "nothing of ours is left"


def test_what_is_logged_beside_jobs_is_nobodys(broker: ropeway.Broker) -> None:
    before = len(notebook._known)
    notebook.hear()
    try:
        with ThreadPoolExecutor() as pool:
            pool.submit(log.warning, "beside").result()
        log.warning("beside")
    finally:
        notebook.unhear()
    assert len(notebook._known) == before


def test_only_the_last_jobs_are_known(broker: ropeway.Broker) -> None:
    @broker.task(queue="q")
    def speak(n: int) -> None:
        log.warning("%d", n)

    handles = [speak.put(n) for n in range(notebook.JOBS + 20)]
    broker.worker("q", concurrency=1, drain=True).run()
    assert len(notebook._known) <= notebook.JOBS
    assert not notebook.told(handles[0].id)
    assert notebook.told(handles[-1].id)[0]["text"] == str(notebook.JOBS + 19)


def test_it_travels_with_the_job(broker: ropeway.Broker, tmp_path: Path) -> None:
    @broker.task(queue="q", retry=Retry(1))
    def boom() -> None:
        log.warning("so far so good")
        raise ValueError("no")

    handle = boom.put()
    broker.worker("q", drain=True).run()
    for number, url in enumerate((f"sqlite:{tmp_path}/jobs.db", "memory:log-travels", f"dir:{tmp_path}/other?durability=os")):
        with ropeway.connect(url, config=False) as other:
            broker.copy(other, "q")
            (entry,) = other.queue("q").browse(ids=[handle.id])
            assert entry.state is State.DEAD, number
            assert entry.history[0].log.endswith("WARNING shop: so far so good")


def test_a_factory_put_around_ours_does_not_make_the_next_worker_go_in_circles(broker: ropeway.Broker) -> None:
    """The introspection page that starts after a worker does that, and stays while workers come and go."""
    notebook.hear()
    ours = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *given, **more: ours(*given, **more))
    notebook.unhear()

    @broker.task(queue="q", retry=Retry(1))
    def boom() -> None:
        log.warning("said once")
        raise ValueError("no")

    handle = boom.put()
    broker.worker("q", drain=True).run()
    (entry,) = broker.queue("q").browse(ids=[handle.id])
    assert entry.history[0].log.count("said once") == 1
