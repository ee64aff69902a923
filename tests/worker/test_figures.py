"""The numbers of a worker as Prometheus reads them from the page of its process."""

from __future__ import annotations

import os
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

import ropeway
from ropeway.link import Link
from ropeway.metrics import FAMILIES
from ropeway.sight.here import here
from ropeway.tasks import Tasks
from ropeway.worker import Worker
from ropeway.worker.audience import Audience
from ropeway.worker.figures import at_work, worker_metrics
from ropeway.worker.fleet import workers as members
from ropeway.worker.fleet.post import Post
from ropeway.worker.keeper import Keeper
from ropeway.worker.planter import Planter
from ropeway.worker.pools.threads import ThreadPool
from ropeway.worker.progress import Progress

from .conftest import Running, until


@pytest.fixture(autouse=True)
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers of other tests that still end, or that were left in the middle on purpose, are none of ours."""
    others = [*at_work], [*here().workers]
    at_work.clear()
    here().workers.clear()
    yield
    at_work.extend(others[0])
    here().workers.extend(others[1])


def samples(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def test_a_worker_tells_of_itself(memory: Link, start: Callable[..., Running]) -> None:
    tasks, begun, go = Tasks(memory), threading.Event(), threading.Event()

    @tasks.task(queue="mails")
    def send(number: int) -> None:
        begun.set()
        assert go.wait(30)

    assert worker_metrics() == ""
    running = start(memory, tasks, ["mails"], concurrency=2)
    send.map(range(3))
    assert begun.wait(30)
    page = ropeway.introspect("127.0.0.1:0", output="none")
    try:
        until(lambda: samples(worker_metrics())["ropeway_worker_running[]"] == 2)
        go.set()
        done = "ropeway_job_ends_total[('outcome', 'done'), ('queue', 'mails'), ('task', 'send')]"
        until(lambda: samples(worker_metrics()).get(done) == 3)
        request = urllib.request.Request(page.url.partition("?")[0].rstrip("/") + "/metrics")
        if page.token:
            request.add_header("Authorization", f"Bearer {page.token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read().decode()
        values = samples(text)
        assert values[done] == 3
        assert values["ropeway_worker_claims_total[]"] == 3
        assert values["ropeway_worker_held[]"] == values["ropeway_worker_running[]"] == 0
        assert values["ropeway_worker_slots[]"] == 2
        assert values["ropeway_job_run_seconds_count[('queue', 'mails'), ('task', 'send')]"] == 3
        told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        assert {name for name, family in FAMILIES.items() if family.told != "server"} <= told
        names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names)), "a family is told once"
    finally:
        page.close()
    running.worker.stop()
    running.end()
    assert worker_metrics() == ""


class Boom(Exception):
    """What goes wrong in these tests."""


def threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith(("ropeway-slot", "ropeway-k", "ropeway-plan")))


BEGINNINGS = [(Keeper, "start"), (Planter, "start"), (Audience, "start"), (Progress, "start"), (ThreadPool, "open"), (Post, "beat")]


@pytest.mark.parametrize(("part", "verb"), BEGINNINGS, ids=lambda one: getattr(one, "__name__", one))
def test_a_worker_that_cannot_begin_leaves_nothing_behind(memory: Link, monkeypatch: pytest.MonkeyPatch, part: type, verb: str) -> None:
    before = threads()

    def boom(*_: object) -> None:
        raise Boom("no more threads")

    monkeypatch.setattr(part, verb, boom)
    with pytest.raises(Boom):
        Worker(memory, Tasks(memory), ["mails"], progress=True).run()
    assert worker_metrics() == ""
    assert not here().workers
    assert not members(memory), "its note is gone, too"
    until(lambda: threads() == before)


@pytest.mark.parametrize("part", [Keeper, Planter, Audience, Progress, ThreadPool])
def test_one_whose_end_goes_wrong_has_left_all_the_same(memory: Link, monkeypatch: pytest.MonkeyPatch, part: type) -> None:
    before, close = threads(), part.close  # type: ignore[attr-defined]

    def boom(one: object) -> None:
        close(one)
        raise Boom("at its end")

    monkeypatch.setattr(part, "close", boom)
    with pytest.raises(Boom):
        Worker(memory, Tasks(memory), ["mails"], drain=True, progress=True).run()
    assert worker_metrics() == ""
    assert not here().workers
    assert not members(memory)
    until(lambda: threads() == before)


def test_a_beat_that_comes_late_does_not_bring_it_back(memory: Link) -> None:
    """The thread that beats may stand in a store that does not answer while the worker ends."""
    worker = Worker(memory, Tasks(memory), ["mails"])
    worker.post.start()
    assert [member.id for member in members(memory)] == [worker.id]
    worker.post.leave()
    worker.post._presence.touch()
    worker.post.beat()
    assert not members(memory)


def test_a_forked_child_has_no_worker_of_its_parents(memory: Link) -> None:
    worker = Worker(memory, Tasks(memory), ["mails"])
    worker.post.start()
    try:
        assert worker_metrics()
        pid = os.fork()
        if not pid:
            os._exit(0 if worker_metrics() == "" and not here().workers else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert worker_metrics()
    finally:
        worker.post.leave()
    assert worker_metrics() == ""
