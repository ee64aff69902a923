"""Processes that write to one SQLite file: nobody hears that it is locked, nobody waits for long, a turn may stop or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Store
from ropeway.stores import open_store

pytestmark = pytest.mark.timeout(120)

WRITERS = int(os.environ.get("ROPEWAY_SQLITE_WRITERS", "8"))
SECONDS = float(os.environ.get("ROPEWAY_SQLITE_SECONDS", "2"))
WORST = 5.0  # seconds: far above what an idle machine shows, far below what an unfair lock shows on a busy one
new_id = IdMaker(time.time_ns, os.urandom)

WRITER = """
import os, sys, time
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.stores import open_store
store, new_id = open_store(sys.argv[1]), IdMaker(time.time_ns, os.urandom)
store.put([Job(new_id(), "q", b"x")])
print("up", flush=True)
sys.stdin.readline()
worst, count, end = 0.0, 0, time.monotonic() + float(sys.argv[2])
while (begun := time.monotonic()) < end:
    assert store.put([Job(new_id(), "q", b"x")]) == [True]
    worst, count = max(worst, time.monotonic() - begun), count + 1
print(count, worst, flush=True)
store.close()
"""

HOLDER = """
import os, sys, time
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.stores import open_store
store, new_id = open_store(sys.argv[1]), IdMaker(time.time_ns, os.urandom)
with store.commit():
    store.put([Job(new_id(), "q", b"never to be seen")])
    print("has its turn", flush=True)
    time.sleep(600)
"""


def program(text: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def made(count: int = 1) -> list[Job]:
    return [Job(new_id(), "q", b"x") for _ in range(count)]


def test_eight_writers_wait_for_one_another_and_none_for_long(tmp_path: Path) -> None:
    """An error, such as that the database is locked, ends a writer, and then it answers no figures."""
    url = f"sqlite:{tmp_path}/jobs.db"
    writers = [program(WRITER, url, str(SECONDS)) for _ in range(WRITERS)]
    try:
        assert [line(one) for one in writers] == ["up"] * WRITERS
        for one in writers:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = [line(one).split() for one in writers]
    finally:
        for one in writers:
            end(one)
    assert all(len(answer) == 2 for answer in answers), "a writer failed: its traceback is above"
    counts, waits = [int(answer[0]) for answer in answers], sorted(float(answer[1]) for answer in answers)
    print(f"{sum(counts) / SECONDS:,.0f} puts/s by {WRITERS}; a writer made {min(counts)} to {max(counts)}; worst waits", end=" ")
    print(*(f"{wait * 1000:.0f}" for wait in waits), "ms")
    assert waits[-1] < WORST
    assert min(counts) > 0
    store = open_store(url)
    assert store.counts(["q"])["q"].ready == sum(counts) + WRITERS
    store.close()


def test_who_is_stopped_in_his_turn_is_borne_as_long_as_the_timeout_says(tmp_path: Path) -> None:
    """Once each wait was repeated, sixty times."""
    url = f"sqlite:{tmp_path}/jobs.db?timeout=1s"
    store, job = open_store(url), made()
    store.put(made())
    holder = program(HOLDER, url)
    try:
        assert line(holder) == "has its turn"
        holder.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(StoreError, match=r"others held what this needed.*nothing was done") as told:
            store.put(job)
        assert told.value.definite
        assert 0.9 < time.monotonic() - begun < 30
        assert store.counts(["q"])["q"].ready == 1, "who only looks waits for nobody"
    finally:
        end(holder)
    assert store.put(job) == [True]
    assert store.counts(["q"])["q"].ready == 2
    store.close()


def test_inside_a_commit_a_turn_that_does_not_come_is_told_too(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db?timeout=1s"
    store = open_store(url)
    store.put(made())
    holder = program(HOLDER, url)
    try:
        assert line(holder) == "has its turn"
        with pytest.raises(StoreError, match="others held what this needed; nothing of this commit was done"), store.commit():
            store.put(made())
    finally:
        end(holder)
    with store.commit():
        assert store.put(made()) == [True]
    store.close()


def test_who_is_killed_in_his_turn_frees_it_at_once(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db"
    store = open_store(url)
    store.put(made())
    for _ in range(3):
        holder = program(HOLDER, url)
        assert line(holder) == "has its turn"
        end(holder)
        begun = time.monotonic()
        assert store.put(made()) == [True]
        assert time.monotonic() - begun < 30
    assert store.counts(["q"])["q"].ready == 4, "what was not committed is not there"
    store.close()


def test_who_writes_without_a_turn_is_waited_for(tmp_path: Path) -> None:
    """An application that writes to its own tables in the same file."""
    import apsw

    url = f"sqlite:{tmp_path}/jobs.db?timeout=1s"
    store: Store = open_store(url)
    store.put(made())
    other = apsw.Connection(str(tmp_path / "jobs.db"))
    other.execute("begin immediate")
    begun = time.monotonic()
    with pytest.raises(StoreError, match="nothing was done") as told:
        store.put(made())
    assert told.value.definite
    assert time.monotonic() - begun < 30
    other.execute("rollback")
    assert store.put(made()) == [True]
    other.close()
    store.close()
