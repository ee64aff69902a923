"""Keys on every engine: taken for a period, replaced, debounced; two at once, runs that go on, and a death in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.claim import Claim
from ropeway.errors import BadBody, BadValue, Conflict, StoreError, Unsupported
from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.store import Counts, Feature
from ropeway.tasks import Tasks
from ropeway.testing.clock import FakeClock
from ropeway.unique import HEADER, MARK, kept

pytestmark = pytest.mark.slow

SLACK = 0.1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=engines())
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Callable[[], Link]]:
    """Opens links to one place, on the test's clock."""
    links: list[Link] = []
    with place(request.param, tmp_path) as url:

        def go() -> Link:
            links.append(Link(url, clock, name="test"))
            return links[-1]

        yield go
        for link in links:
            link.close()


@pytest.fixture(params=engines())
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Queue[Any]]]:
    """Opens the queue on the system's clock, for those who wait for one another; on an engine that can edit."""
    links: list[Link] = []
    with place(request.param, tmp_path) as url:

        def go() -> Queue[Any]:
            links.append(Link(url, name="test"))
            if Feature.EDIT not in links[-1].store.features:
                pytest.skip("refused, as this engine has no EDIT: see the other tests")
            return Queue(links[-1], "q")

        yield go
        for link in links:
            link.close()


@pytest.fixture
def queue(opened: Callable[[], Link]) -> Queue[Any]:
    return Queue(opened(), "q")


@pytest.fixture
def editable(queue: Queue[Any]) -> Queue[Any]:
    """The queue on an engine that can edit; on others the refusal is all there is to see."""
    if Feature.EDIT not in queue._link.store.features:
        with pytest.raises(Unsupported, match="cannot replace a job: it lacks edit"):
            queue.put(1, key="k", on_conflict="replace")
        assert len(queue) == 0
        pytest.skip("refused, as this engine has no EDIT")
    return queue


def standing(queue: Queue[Any]) -> dict[str, int]:
    counts: Counts = queue.counts()
    return {name: number for name in ("ready", "delayed", "running", "dead", "done") if (number := getattr(counts, name))}


def taken(queue: Queue[Any]) -> Claim[Any]:
    claim = queue.claim()
    assert claim is not None
    return claim


# -- for a period


def test_the_key_stays_taken_from_the_put_on(queue: Queue[Any], clock: FakeClock) -> None:
    queue.put(1, key="k", unique_for="10m")
    clock.advance(120)
    taken(queue).ack()
    for _ in range(3):
        with pytest.raises(Conflict):
            queue.put(2, key="k", unique_for="10m")
        clock.advance(150)
    clock.advance(30 + SLACK)
    assert queue.put(3, key="k", unique_for="10m").created


def test_a_run_that_took_longer_lets_go_at_its_end(queue: Queue[Any], clock: FakeClock) -> None:
    queue.put(1, key="k", unique_for=60)
    claim = queue.claim(lease="1h")
    assert claim is not None
    clock.advance(90)
    with pytest.raises(Conflict):
        queue.put(2, key="k")
    claim.ack()
    assert standing(queue) == {}
    assert queue.put(3, key="k").created


def test_what_is_dead_lets_go(queue: Queue[Any]) -> None:
    queue.put(1, key="k", unique_for="10m")
    taken(queue).bury("no")
    assert queue.put(2, key="k").created


def test_a_longer_keep_stays_a_longer_keep(queue: Queue[Any], clock: FakeClock) -> None:
    queue.put(1, key="k", unique_for=10, keep="1h")
    taken(queue).ack()
    clock.advance(3000)
    assert standing(queue) == {"done": 1}


def test_a_shorter_keep_is_not_forgotten(queue: Queue[Any], clock: FakeClock) -> None:
    queue.put(1, key="k", unique_for=60, keep=30)
    claim = queue.claim(lease="1h")
    assert claim is not None
    clock.advance(55)
    claim.ack("result")
    clock.advance(20)
    assert standing(queue) == {"done": 1}, "its result was to be read for so long"
    clock.advance(10 + SLACK)
    assert standing(queue) == {}


def test_a_worker_settles_it_so_as_well(real: Callable[[], Queue[Any]]) -> None:
    from ropeway.worker import Worker

    queue = real()
    tasks = Tasks(queue._link)

    @tasks.task(queue="q", unique="{n}", unique_for="10m")
    def once(n: int) -> int:
        return n

    once.put(7)
    assert Worker(queue._link, tasks, ["q"], drain=True, concurrency=1).run() == 0
    (entry,) = queue.browse()
    assert entry.state is State.DONE
    assert entry.due == pytest.approx(entry.job.created + 600, abs=0.1), "from the put on, not from the end"
    with pytest.raises(Conflict):
        once.put(7)


@pytest.mark.parametrize("told", ["", "x", "nan nan", "1", "1 2 3", "-5 1", "inf 0", "1e300 1", "10  5", "1 nan"])
def test_a_strange_header_says_nothing(told: str) -> None:
    assert kept(Job("0" * 32, "q", key="k", keep=5.0, created=1000.0, headers={HEADER: told}), 1001.0) is None


# -- replace


def test_the_waiting_job_gets_the_new_content_and_place(editable: Queue[Any], clock: FakeClock) -> None:
    first = editable.put("old", key="k", delay="1h", headers={"a": "1"}, keep="1h")
    clock.advance(5)
    second = editable.put("new", key="k", on_conflict="replace", delay=10, priority=3, headers={"b": "2"}, ttl=60)
    assert (second.id, second.created) == (first.id, False)
    assert editable.claim() is None
    clock.advance(10 + SLACK)
    claim = taken(editable)
    assert (claim.data, claim.job.priority, claim.headers, claim.attempt, claim.job.keep) == ("new", 3, {"b": "2"}, 1, 0.0)
    assert 0 < claim.job.expires() - clock.now() <= 50 + SLACK
    claim.ack()
    assert standing(editable) == {}


def test_a_free_key_is_an_ordinary_put(editable: Queue[Any]) -> None:
    assert editable.put(1, key="k", on_conflict="replace").created
    taken(editable).ack()
    assert editable.put(2, key="k", on_conflict="replace").created


def test_what_runs_or_is_kept_is_not_replaced(editable: Queue[Any]) -> None:
    first = editable.put("old", key="k", keep="1h")
    claim = taken(editable)
    with pytest.raises(Conflict, match="runs") as caught:
        editable.put("new", key="k", on_conflict="replace")
    assert (caught.value.key, caught.value.job_id) == ("k", first.id)
    claim.ack()
    with pytest.raises(Conflict, match="done and still kept"):
        editable.put("new", key="k", on_conflict="replace")
    assert standing(editable) == {"done": 1}


def test_one_after_a_retry_is_replaced_with_its_history(editable: Queue[Any]) -> None:
    editable.put("old", key="k")
    taken(editable).nack(delay="1m", error="smtp busy")
    editable.put("new", key="k", on_conflict="replace")
    claim = taken(editable)
    assert (claim.data, claim.attempt) == ("new", 2)
    claim.ack()


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_bodies_of_any_size(editable: Queue[Any], size: int) -> None:
    for old in (b"", b"x" * 50_000):
        editable.put(old, key="k")
        editable.put(bytes(size), key="k", on_conflict="replace")
        claim = taken(editable)
        assert claim.body == bytes(size)
        claim.ack()


def test_many_at_once(real: Callable[[], Queue[Any]]) -> None:
    """Each comes to an end, one job stands, and its content is whole and that of one of them."""
    queues = [real() for _ in range(4)]
    queues[0].put({"n": -1, "twice": -2}, key="k", delay="1h")

    def put(n: int) -> bool:
        return queues[n % 4].put({"n": n, "twice": 2 * n}, key="k", on_conflict="replace", delay="1h").created

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(put, range(24))) == [False] * 24
    assert standing(queues[0]) == {"delayed": 1}
    (entry,) = queues[0].browse()
    data = json.loads(entry.job.body)
    assert 0 <= data["n"] < 24
    assert data["twice"] == 2 * data["n"]


def test_two_at_once_with_nothing_there(real: Callable[[], Queue[Any]]) -> None:
    queues = [real() for _ in range(2)]
    for turn in range(5):
        with ThreadPoolExecutor(2) as pool:
            created = list(pool.map(lambda queue: queue.put(turn, key="k", on_conflict="replace").created, queues))  # noqa: B023
        assert sorted(created) == [False, True], "exactly one made the job"
        taken(queues[0]).ack()
        assert standing(queues[0]) == {}


def test_beside_a_worker_nothing_is_lost(real: Callable[[], Queue[Any]]) -> None:
    """Every put that was answered was run, or stood where a later one came; the last one was run."""
    queue, other = real(), real()
    ran: list[int] = []
    with ThreadPoolExecutor(1) as pool:

        def work() -> None:
            while not ran or ran[-1] != 60:
                for claim in other.claims(idle=0.05):
                    with claim:
                        ran.append(claim.data)

        working = pool.submit(work)
        for n in range(61):
            while True:
                try:
                    queue.put(n, key="k", on_conflict="replace")
                    break
                except Conflict:
                    pass
        working.result(60)
    assert ran == sorted(ran)
    assert ran[-1] == 60
    assert standing(queue) == {}


def test_a_death_between_the_two_steps_loses_nothing(editable: Queue[Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    editable.put("old", key="k")
    store: Any = editable._link.store

    class Died(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(store, "nack", dies)
        with pytest.raises(Died):
            editable.put("new", key="k", on_conflict="replace")
    (entry,) = editable.browse()
    assert entry.state is State.RUNNING
    assert entry.holder.endswith(MARK)
    assert editable.put("newer", key="k", on_conflict="replace").created is False, "waits for the lease of the dead one, then goes on"
    claim = taken(editable)
    assert claim.data == "newer"
    claim.ack()
    assert standing(editable) == {}


def test_an_answer_that_was_lost_may_be_asked_for_again(editable: Queue[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    editable.put("old", key="k")
    store: Any = editable._link.store
    nack = store.nack

    def loses(handbacks: Any) -> Any:
        nack(handbacks)
        raise StoreError("gone")

    job_id = editable._link.new_id()
    with monkeypatch.context() as patch:
        patch.setattr(store, "nack", loses)
        with pytest.raises(StoreError):
            editable.put("new", key="k", id=job_id, on_conflict="replace")
    editable.put("new", key="k", id=job_id, on_conflict="replace")
    assert taken(editable).data == "new"


def test_another_lane_is_refused(editable: Queue[Any]) -> None:
    if Feature.LANES not in editable._link.store.features:
        pytest.skip("no lanes here")
    editable.put("old", key="k", lane="a", delay=60)
    with pytest.raises(Conflict, match="lane"):
        editable.put("new", key="k", lane="b", on_conflict="replace")
    assert standing(editable) == {"delayed": 1}


# -- debounce


def test_a_job_is_put_off_until_it_is_quiet(editable: Queue[Any], clock: FakeClock) -> None:
    for n in range(10):
        editable.put(n, key="k", debounce="5s")
        clock.advance(3)
        assert editable.claim() is None
    clock.advance(2 + SLACK)
    claim = taken(editable)
    assert claim.data == 9
    claim.ack()
    assert standing(editable) == {}


def test_a_steady_stream_runs_at_last(editable: Queue[Any], clock: FakeClock) -> None:
    ran = []
    start = clock.now()
    for n in range(60):
        editable.put(n, key="k", debounce="5s", debounce_max="20s")
        clock.advance(2)
        if claim := editable.claim():
            ran.append(round(clock.now() - start))
            claim.ack()
    assert len(ran) in (5, 6)
    assert all(20 <= b - a <= 26 for a, b in pairwise(ran))
    assert 20 <= ran[0] <= 24


def test_what_comes_while_it_runs_is_run_after(editable: Queue[Any], clock: FakeClock) -> None:
    """The run has perhaps not seen it: a second job waits, and is debounced itself."""
    editable.put("a", key="k", debounce=5)
    clock.advance(6)
    running = editable.claim(lease="1h")
    assert running is not None
    for body in "bcd":
        assert editable.put(body, key="k", debounce=5).created is (body == "b")
        clock.advance(1)
    assert standing(editable) == {"running": 1, "delayed": 1}
    running.ack()
    clock.advance(5)
    claim = taken(editable)
    assert claim.data == "d"
    claim.ack()
    assert standing(editable) == {}


def test_a_kept_result_stands_until_the_next_run_is_put(editable: Queue[Any], clock: FakeClock) -> None:
    for n in range(3):
        handle = editable.put(n, key="k", debounce=5, keep="1d")
        assert handle.created
        clock.advance(5 + SLACK)
        taken(editable).ack(n)
        assert handle.result(timeout=1) == n
    assert standing(editable) == {"done": 1}
    editable.purge()
    editable.put(1, key="k", debounce=5, unique_for="10m")
    clock.advance(5 + SLACK)
    taken(editable).ack()
    with pytest.raises(Conflict, match="done and still kept"):
        editable.put(2, key="k", debounce=5)


def test_tasks_debounce_too(editable: Queue[Any], clock: FakeClock) -> None:
    tasks = Tasks(editable._link)

    @tasks.task(queue="q", unique="doc:{doc}", debounce="5s", debounce_max="1m")
    def index(doc: int, text: str) -> None: ...

    handles = [index.put(1, "a"), index.put(1, "b"), index.put(2, "c"), index.options(priority=1).put(1, "d")]
    assert [handle.created for handle in handles] == [True, False, True, False]
    assert len({handle.id for handle in handles}) == 2
    clock.advance(5 + SLACK)
    assert sorted(taken(editable).data["text"] for _ in range(2)) == ["c", "d"]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"on_conflict": "replace"}, "about a key"),
        ({"unique_for": 5}, "about a key"),
        ({"debounce": 5}, "about a key"),
        ({"key": "k", "on_conflict": "maybe"}, "replace"),
        ({"key": "k", "debounce": 5, "delay": 5}, "delay="),
        ({"key": "k", "debounce": 5, "on_conflict": "keep"}, "keep"),
        ({"key": "k", "debounce": 5, "debounce_max": 3}, "longer"),
        ({"key": "k", "debounce_max": 3}, "longer"),
        ({"key": "k", "debounce": -1}, "100 years"),
        ({"key": "k", "debounce": "soon"}, "no delay"),
        ({"key": "k", "on_conflict": "replace", "tx": object()}, "transaction"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], hint: str) -> None:
    queue = Queue[Any](Link("memory:"), "q")
    with pytest.raises(BadValue, match=hint):
        queue.put(1, **options)
    assert len(queue) == 0
    queue._link.close()


def test_a_streamed_body_replaces_nothing(editable: Queue[Any]) -> None:
    editable.put(b"old", key="k")
    if Feature.STREAM in editable._link.store.features:
        with pytest.raises(BadBody, match="streamed"):
            editable.put_file([b"new"], key="k", on_conflict="replace")
        assert taken(editable).body == b"old"
    else:
        editable.put_file([b"new"], key="k", on_conflict="replace")
        assert taken(editable).body == b"new"


def test_awaited(editable: Queue[Any]) -> None:
    import asyncio

    async def go() -> list[bool]:
        first = await editable.aput("old", key="k")
        second = await editable.aput("new", key="k", on_conflict="replace")
        return [first.created, second.created, first.id == second.id]

    assert asyncio.run(go()) == [True, False, True]
    assert taken(editable).data == "new"
