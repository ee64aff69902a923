"""`copy`: what it says, what it refuses, and that nothing is lost or doubled when it is killed half-way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import engines, place
from ropeway.ids import IdMaker
from ropeway.job import Attempt, Job, State
from ropeway.store import Entry
from ropeway.stores import open_store

from .conftest import Process, Shell

COUNT = 10_000
QUEUE = 3334  # of them in the first of three queues


@pytest.fixture
def there(tmp_path: Path) -> str:
    """The URL of an empty store."""
    return f"dir:{tmp_path}/there?durability=os&bell=off"


def test_the_same_on_the_other_side(shell: Shell, there: str) -> None:
    shell.ok("put", "mails", "--lines", "-q", stdin=b"a\nb\nc\n")
    shell.put("films", "x", "-p", "3", "-d", "1h", "-k", "k", "-H", "a=b", "--ttl", "2d")
    shell.ok("pause", "mails", "--put", "--claim", "--reason", "moving house")
    rows = shell.ok("copy", shell.url, there).rows
    assert [(row["queue"], row["jobs"], row["refused"], row["missing"]) for row in rows] == [("films", 1, 0, 0), ("mails", 3, 0, 0)]
    assert rows[1]["target"] == {"ready": 3, "delayed": 0, "running": 0, "dead": 0, "done": 0}
    if shell.url.startswith("dir:"):  # the other engine lives in the same process only while it is open there
        assert shell.ok("-u", there, "export").stdout == shell.ok("export").stdout
    said = shell("-u", there, "put", "mails", "new")
    assert said.code == 4
    assert "moving house" in said.err
    again = shell.ok("copy", shell.url, there, terminal=True)
    assert "4 jobs of 2 queues are in" in again.out
    assert "4 of 4 jobs" in again.err


def test_some_queues(shell: Shell, there: str) -> None:
    for queue in ("a1", "a2", "b"):
        shell.put(queue, "x")
    assert [row["queue"] for row in shell.ok("copy", shell.url, there, "-Q", "a*", "-Q", "!a2").rows] == ["a1"]
    assert [row["queue"] for row in shell.ok("-u", there, "ls").rows] == ["a1"]
    nothing = shell("copy", shell.url, there, "-Q", "c*")
    assert nothing.code == 3
    assert "no such queues" in nothing.err


def test_running_jobs_are_refused_until_asked_for(shell: Shell, there: str) -> None:
    shell.put("q", "x")
    shell.ok("get", "q", "--lease", "1m")
    answer = shell("copy", shell.url, there)
    assert answer.code == 6
    assert "--running" in answer.err
    assert shell.ok("-u", there, "ls").rows == []
    assert shell.ok("copy", shell.url, there, "--running").row["target"]["ready"] == 1


def test_one_store_on_both_sides(shell: Shell) -> None:
    shell.put("q", "x")
    answer = shell("copy", shell.url, shell.url)
    assert answer.code == 2
    assert "one store" in answer.err


def test_keys_that_are_held(shell: Shell, there: str) -> None:
    shell.put("q", "mine", "-k", "k1")
    shell.put("q", "other")
    shell.ok("-u", there, "put", "q", "theirs", "-k", "k1")
    answer = shell("copy", shell.url, there)
    assert answer.code == 6
    assert "hold their keys" in answer.err
    assert (answer.row["jobs"], answer.row["refused"]) == (1, 1)


def test_secrets_of_the_urls_are_not_told(shell: Shell) -> None:
    answer = shell("copy", shell.url, "nowhere://user:hush@host/")
    assert answer.code == 2
    assert "hush" not in answer.err + answer.out


# -- killed half-way


@pytest.fixture(scope="module", params=["dir"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with ten thousand jobs: put one by one or together, retried, dead and done."""
    with place(request.param, tmp_path_factory.mktemp("full")) as url:
        store = open_store(url)
        now = time.time()
        new_id = IdMaker(time.time_ns, os.urandom)
        states = [*[State.READY] * 6, State.DELAYED, State.DELAYED, State.DEAD, State.DONE]
        for start in range(0, COUNT, 1000):
            entries = []
            for n in range(start, start + 1000):
                state = states[n % 10]
                due = now + 9000 if state in (State.DELAYED, State.DONE) else now - 9000
                together = n % 1000 < 500  # half of them share their moment with many
                history = [Attempt(1, 1.0, 2.0, "w", "failed", "E")] if n % 50 == 0 else []
                job = Job(new_id(), f"q{n % 3}", b"%d" % n, priority=n % 2, key=f"k{n}" if n % 20 == 0 else "")
                entries.append(Entry(job, state, due + (0 if together else n / 1000), len(history), 0, history=history))
            assert store.bring(entries) == [True] * 1000
        store.close()
        yield url


@pytest.mark.parametrize("engine", engines(processes=True))
def test_killed_half_way_and_run_again(process: Process, full: str, engine: str, tmp_path: Path) -> None:
    """Killed at several points, always with SIGKILL: at last every job is there once, as it was. To the engine that is the slowest
    to ask what it has, all ten thousand go; to the others a third of them."""
    count, which = (COUNT, []) if engine == "dir" else (QUEUE, ["-Q", "q0"])
    with place(engine, tmp_path) as target:
        store = open_store(target)
        caught = 0
        for least in (1, count // 4, count // 2):
            copying = process.start("copy", full, target, *which)
            while copying.poll() is None and sum(_total(counts) for counts in store.counts().values()) < least:
                time.sleep(0.005)
            if copying.poll() is None:
                os.kill(copying.pid, signal.SIGKILL)
                caught += 1
            copying.wait()
        assert caught >= 2, "it was done before it could be killed"
        assert 0 < sum(_total(counts) for counts in store.counts().values()) <= count
        answer = process("copy", full, target, *which, timeout=110)
        assert answer.code == 0, answer
        assert sum(row["jobs"] for row in answer.rows) == count
        ours, theirs = (process("-u", url, "export", *which[1:], timeout=110).stdout for url in (full, target))
        assert ours.count(b"\n") == count + 2
        assert sorted(map(_comparable, theirs.splitlines())) == sorted(map(_comparable, ours.splitlines()))
        if engine == "dir":
            assert [finding for finding in store.check() if finding.level in ("warning", "fault")] == []
        store.close()


def _total(counts: object) -> int:
    return sum(getattr(counts, state) for state in ("ready", "delayed", "running", "dead", "done"))


def _comparable(line: bytes) -> str:
    """Times to the millisecond: an engine may keep no more of them."""
    row = json.loads(line)
    for name in ("created", "due"):
        if name in row:
            row[name] = round(row[name], 3)
    return json.dumps(row, sort_keys=True)
