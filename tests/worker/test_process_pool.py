"""The process pool: what is charged when a child dies, what goes back, what is killed, and what a job sees of its claim in there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.errors import BadValue, ConfigError
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from . import workshop
from .conftest import Running, until

pytestmark = pytest.mark.slow

Start = Callable[..., Running]


class Yard:
    """A store, the workshop's tasks on it, and what they said."""

    def __init__(self, link: Link, path: Path) -> None:
        self.link = link
        self.path = path
        self.journal = str(path / "journal")
        self.broker = Broker(link, config=False)
        self.broker.include(workshop.tasks)
        self.tasks = self.broker.tasks

    def lines(self, *what: str) -> list[list[str]]:
        text = Path(self.journal).read_text() if Path(self.journal).exists() else ""
        rows = [line.split(" ") for line in text.splitlines()]
        return [row for row in rows if not what or row[2] in what]

    def drain(self, **options: Any) -> Worker:
        worker = Worker(self.link, self.tasks, ("default",), **{"pool": "process", "concurrency": 2, "drain": True, **options})
        worker.run()
        return worker

    def browse(self, *states: State) -> list[Any]:
        return [entry for entry in Queue[Any](self.link, "default").browse(limit=None) if not states or entry.state in states]


@pytest.fixture
def yard(link: Link, tmp_path: Path) -> Iterator[Yard]:
    made = Yard(link, tmp_path)
    yield made
    made.broker.close()
    workshop.tasks.above = None


@pytest.fixture
def dir_yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(Link(f"dir:{tmp_path / 'spool'}?durability=os"), tmp_path)
    yield made
    made.broker.close()
    workshop.tasks.above = None


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_jobs_run_in_children_and_answer(yard: Yard) -> None:
    handles = workshop.add.map(range(300))
    awaited = workshop.aadd.map(range(50))
    worker = yard.drain()
    assert worker.counters.done == 350
    results: list[Any] = [handle.result(timeout="20s") for handle in handles]
    assert [result["sum"] for result in results] == list(range(1, 301))
    assert {result["before"] for result in results} == {0}, "a ContextVar of one job was seen by the next"
    assert os.getpid() not in {result["pid"] for result in results}
    mine: list[Any] = [handle.result(timeout="20s") for handle in awaited]
    assert {result["before"] for result in mine} == {0}
    assert len({result["loop"] for result in mine}) <= 2, "each child keeps its loop"


def test_failures_are_told_as_in_a_thread(yard: Yard) -> None:
    handles = [workshop.fails.put(how) for how in ("value", "discard", "later", "exit")]
    worker = yard.drain()
    assert worker.counters.buried == 3
    entries = [handle.entry() for handle in handles]
    assert all(entries)
    assert [(entry.state, entry.error) for entry in entries if entry] == [
        (State.DEAD, "ValueError: bad value"),
        (State.DEAD, "no such user"),
        (State.DELAYED, ""),
        (State.DEAD, "SystemExit: 4"),
    ]
    assert "workshop.py" in entries[0].history[-1].traceback  # type: ignore[union-attr]


@pytest.mark.parametrize(("how", "word"), [("exit", "exit 3"), ("kill", "killed by signal 9 (SIGKILL)"), ("segv", "(SIGSEGV)")])
def test_a_job_that_ends_its_process_is_charged_and_nobody_else_is(yard: Yard, how: str, word: str) -> None:
    before = workshop.add.map(range(40))
    bad = workshop.die.put(yard.journal, how)
    after = workshop.add.map(range(40))
    worker = yard.drain(retry=Retry(2, base=0.01))
    assert worker.counters.buried == 1
    assert [handle.result(timeout="20s")["sum"] for handle in (*before, *after)] == [*range(1, 41)] * 2
    entry = bad.entry()
    assert entry is not None
    assert (entry.state, entry.history[-1].outcome, entry.attempts) == (State.DEAD, "crashed", 2)
    assert entry.error.startswith("its process ended: ") and word in entry.error
    assert len(yard.lines("die")) == 2


def test_a_killer_is_buried_after_three_processes(yard: Yard) -> None:
    """Whatever its policy says."""
    handle = workshop.killer.put(yard.journal)
    yard.drain()
    entry = handle.entry()
    assert entry is not None
    assert entry.error == "its process ended: killed by signal 9 (SIGKILL); so it was 3 times"
    assert len(yard.lines("killer")) == 3


@pytest.mark.parametrize("how", ["loop", "sleep"])
def test_a_hard_timeout_ends_what_cannot_be_asked(yard: Yard, how: str) -> None:
    """It ignores SIGTERM and every exception. Its child is killed, and the spare goes on."""
    handle = workshop.hangs.put(yard.journal, how)
    others = workshop.add.map(range(30))
    start = time.monotonic()
    worker = yard.drain(concurrency=1)
    assert time.monotonic() - start < 30
    assert worker.counters.buried == 1
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, entry.error, entry.history[-1].outcome) == (State.DEAD, "timed out after 400ms", "timeout")
    assert all(other.result(timeout="20s") for other in others)
    (line,) = yard.lines("hangs")
    assert not alive(int(line[1]))


def test_a_timeout_that_races_the_end_settles_once(yard: Yard) -> None:
    """Some end just before their deadline, some just after, some are killed: each is done or timed out, and never both."""
    handles = workshop.close_call.map([yard.journal] * 10, range(10))
    worker = yard.drain()
    counters = worker.counters
    assert counters.done + counters.buried == counters.ran == 10
    assert (counters.lost, counters.retried) == (0, 0)
    states = [entry.state if (entry := handle.entry()) else State.DONE for handle in handles]
    assert states.count(State.DONE) == counters.done
    assert {entry.error for entry in yard.browse(State.DEAD)} <= {"timed out after 300ms"}
    assert states[9] is State.DEAD, "well after its deadline"
    runs = [line[3] for line in yard.lines("close")]
    assert len(runs) == len(set(runs)), "run again, though nothing of that sort may be"


def test_what_waits_behind_a_long_job_is_run_by_another_child(memory: Link, tmp_path: Path, start: Start) -> None:
    yard = Yard(memory, tmp_path)
    gate = tmp_path / "gate"
    try:
        workshop.nothing.map(range(400))  # so that it sends many at once
        workshop.gated.put(yard.journal, str(gate))
        workshop.nothing.map(range(400))
        running = start(memory, yard.tasks, ["default"], pool="process", concurrency=2, drain=True)
        until(lambda: running.worker.counters.done == 800)
        gate.touch()
        assert running.end() == 0
        assert running.worker.counters.done == 801
    finally:
        workshop.tasks.above = None


def test_a_job_called_back_tidies_up_and_its_child_lives_on(dir_yard: Yard, start: Start) -> None:
    for task in (workshop.tidy, workshop.atidy):
        Path(dir_yard.journal).unlink(missing_ok=True)
        handle = task.put(dir_yard.journal)
        running = start(dir_yard.link, dir_yard.tasks, ["default"], pool="process", concurrency=1)
        until(lambda: dir_yard.lines("begin"))
        assert handle.cancel()
        until(lambda: handle.state() is None)  # noqa: B023
        assert dir_yard.lines("tidied")
        assert workshop.add.put(1).result(timeout="40s")
        assert alive(int(dir_yard.lines("begin")[0][1]))
        running.worker.stop()
        assert running.end() == 0


def test_a_lost_lease_is_told(memory: Link, tmp_path: Path, start: Start) -> None:
    """SIGTERM with the verdict beside it; the claim says why. Nothing of the run is settled."""
    yard = Yard(memory, tmp_path)
    try:
        handle = workshop.tidy.put(yard.journal)
        running = start(memory, yard.tasks, ["default"], pool="process", concurrency=1, lease=1)
        until(lambda: yard.lines("begin"))
        keeper = running.worker._keeper
        keeper._end.set()
        until(lambda: keeper._thread is not None and not keeper._thread.is_alive())
        other = until(lambda: memory.store.claim(("default",), 1, 30.0, memory.holder()))
        keeper.tick()
        until(lambda: running.worker.counters.lost == 1)
        assert yard.lines("tidied")[0][3:] == ["True", "False"]
        entry = handle.entry()
        assert entry is not None
        assert (entry.state, entry.attempts) == (State.RUNNING, 2)
        assert other[0].job.id == handle.id
    finally:
        workshop.tasks.above = None


@pytest.mark.parametrize("task", ["tidy", "stubborn"])
def test_a_stop_gives_back_uncounted_what_does_not_end(yard: Yard, start: Start, task: str) -> None:
    handle = workshop.tasks.get(task).put(yard.journal)  # type: ignore[union-attr]
    held = [workshop.nothing.put() for _ in range(5)]
    running = start(yard.link, yard.tasks, ["default"], pool="process", concurrency=1)
    (line,) = until(lambda: yard.lines("begin"))
    running.worker.stop()
    running.worker.stop()
    assert running.end() == 0
    entries = [one.entry() for one in (handle, *held)]
    assert [(entry.state, entry.attempts, entry.deaths) for entry in entries if entry] == [(State.READY, 0, 0)] * 6
    assert not alive(int(line[1]))
    if task == "tidy":
        assert yard.lines("tidied")[0][3:] == ["False", "True"]


def test_children_are_replaced_by_count(yard: Yard) -> None:
    for _ in range(20):
        workshop.mark.put(yard.journal)
    worker = yard.drain(max_jobs_per_child=3)
    assert worker.counters.done == 20
    by_child: dict[str, int] = {}
    for line in yard.lines("mark"):
        by_child[line[1]] = by_child.get(line[1], 0) + 1
    assert max(by_child.values()) <= 3
    assert sum(by_child.values()) == 20


def test_one_process_a_job(yard: Yard) -> None:
    for _ in range(6):
        workshop.mark.put(yard.journal)
    yard.drain(max_jobs_per_child=1)
    assert len({line[1] for line in yard.lines("mark")}) == len(yard.lines("mark")) == 6


def test_children_are_replaced_when_they_grow(memory: Link, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.worker.pools.crew.WEIGH", 0.0)
    yard = Yard(memory, tmp_path)
    try:
        running = start(memory, yard.tasks, ["default"], pool="process", concurrency=1, max_memory=200 << 20)
        workshop.eats.put(yard.journal, 300)
        until(lambda: running.worker.counters.done == 1)
        first = int(yard.lines("eats")[0][1])
        until(lambda: not alive(first))
        workshop.eats.put(yard.journal, 1)
        until(lambda: running.worker.counters.done == 2)
        assert int(yard.lines("eats")[1][1]) != first
        assert running.worker.counters.failed == 0
    finally:
        workshop.tasks.above = None


def test_a_job_speaks_through_its_worker(yard: Yard, start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """Progress and a longer lease need no connection of the child's; what it prints is passed on, and kept by job."""
    handles = [workshop.talks.put(yard.journal, name) for name in ("anna", "berta")]
    running = start(yard.link, yard.tasks, ["default"], pool="process", concurrency=2, drain=True)
    until(lambda: len(yard.lines("talked")) == 2)
    held = {run.lent.job.id: run for run in running.worker.running}
    now = yard.link.clock.boot()
    for handle, name in zip(handles, ("anna", "berta"), strict=True):
        assert handle.progress() == {"at": name}
        assert held[handle.id].lent.until > now + 60
        pool = running.worker._pool
        until(lambda: pool.printed(handle.id).count(b"\n") == 3)  # noqa: B023
        assert sorted(pool.printed(handle.id).decode().splitlines()) == [
            f"and from the child of {name}",
            f"{name} on stderr",
            f"hello from {name}",
        ]
        Path(f"{yard.journal}.{name}").touch()
    assert running.end() == 0
    out, err = capfd.readouterr()
    assert "hello from anna" in out and "and from the child of berta" in out
    assert "anna on stderr" in err


def test_large_bodies_go_both_ways(yard: Yard) -> None:
    """Partial writes on both sides, and no deadlock when both are full."""
    bodies = [chr(97 + n) * (700 << 10) for n in range(12)]
    handles = workshop.large.map(bodies)
    yard.drain()
    assert [handle.result(timeout="30s") for handle in handles] == [body[::-1] for body in bodies]


def test_a_body_beside_its_job_is_read_in_the_child(dir_yard: Yard, tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.write_bytes(b'["' + b"x" * (3 << 20) + b'"]')
    handle = Queue[Any](dir_yard.link, "default").put_file(str(film), task="measures", keep="1h")
    dir_yard.drain()
    assert handle.result(timeout="20s") == 3 << 20


def test_a_task_puts_another_job_from_the_child(dir_yard: Yard) -> None:
    workshop.puts.put()
    worker = dir_yard.drain()
    assert worker.counters.done == 2


def test_a_store_in_memory_is_not_pretended(memory: Link, tmp_path: Path) -> None:
    yard = Yard(memory, tmp_path)
    try:
        handle = workshop.puts.put()
        yard.drain(retry=Retry(1))
        entry = handle.entry()
        assert entry is not None
        assert "ConfigError: memory: is in the worker's own process" in entry.error
    finally:
        workshop.tasks.above = None


def test_children_die_with_their_worker(dir_yard: Yard) -> None:
    """SIGKILL, so it could not tell them."""
    workshop.gated.put(dir_yard.journal, "never")
    script = (
        "import sys; from ropeway.broker import Broker; from ropeway.link import Link; from tests.worker import workshop\n"
        "broker = Broker(Link(sys.argv[1]), config=False); broker.include(workshop.tasks)\n"
        "broker.worker('default', pool='process', concurrency=2).run()"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, dir_yard.link.url], cwd=Path(__file__).parents[2])
    try:
        (line,) = until(lambda: dir_yard.lines("begin"))
        children = {int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()}
        children |= {
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(int(entry.name)) == worker.pid
        }
        assert int(line[1]) in children and len(children) >= 2
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
    until(lambda: not any(alive(pid) for pid in children))


def _parent(pid: int) -> int:
    try:
        return int(re.sub(r".*\) ", "", Path(f"/proc/{pid}/stat").read_text()).split()[1])
    except OSError:
        return 0


SCRIPT = """\
import sys
import ropeway

broker = ropeway.connect(sys.argv[1])

@broker.task(keep="1h")
def double(number: int) -> int:
    return 2 * number

{guard}
    handle = double.put(21)
    code = broker.worker("default", pool="process", concurrency=1, drain=True).run()
    print("answer", handle.result(timeout="20s"), code)
"""


def test_the_tasks_of_a_script_are_found(tmp_path: Path) -> None:
    script = tmp_path / "shop.py"
    script.write_text(SCRIPT.format(guard='if __name__ == "__main__":'))
    done = subprocess.run([sys.executable, script, f"dir:{tmp_path / 'spool'}"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "answer 42 0\n"), done.stderr


def test_a_script_that_starts_its_worker_when_it_is_imported_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "shop.py"
    script.write_text(SCRIPT.format(guard="if True:"))
    done = subprocess.run([sys.executable, script, f"dir:{tmp_path / 'spool'}"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "ConfigError: a process of the pool could not load the tasks, so nothing was run" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr


def test_tasks_that_no_other_process_can_find_are_refused(memory: Link) -> None:
    tasks = Tasks(memory)

    @tasks.task
    def local() -> None: ...

    with pytest.raises(ConfigError, match="at the top of a module"):
        Worker(memory, tasks, ("default",), pool="process")


def test_a_policy_that_names_exceptions_cannot_travel(yard: Yard) -> None:
    with pytest.raises(ConfigError, match="where the tasks are registered"):
        Worker(yard.link, yard.tasks, ("default",), pool="process", retry=Retry(3, on=ValueError))


def test_it_can_be_resized_while_it_works(memory: Link, tmp_path: Path, start: Start) -> None:
    yard = Yard(memory, tmp_path)
    gate = tmp_path / "gate"
    try:
        for _ in range(10):
            workshop.gated.put(yard.journal, str(gate))
        running = start(memory, yard.tasks, ["default"], pool="process", concurrency=1, drain=True)
        until(lambda: len(yard.lines("begin")) == 1)
        running.worker._pool.resize(3)
        running.worker._inbox.ring()
        until(lambda: len(yard.lines("begin")) == 3)
        gate.touch()
        assert running.end() == 0
        assert running.worker.counters.done == 10
    finally:
        workshop.tasks.above = None


@pytest.mark.parametrize("option", ["max_jobs_per_child", "max_memory"])
def test_limits_are_whole_numbers(yard: Yard, option: str) -> None:
    with pytest.raises(BadValue, match=option):
        Worker(yard.link, yard.tasks, ("default",), pool="process", **{option: 0})
