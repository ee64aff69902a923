"""A process that works with many queues of a folder needs many descriptors: it gets them, or is told."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import ropeway

PROGRAM = """
import resource, sys
import ropeway
from ropeway.errors import StoreError
hard = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
with ropeway.connect(f"dir:{sys.argv[1]}?durability=os", config=False) as broker:
    try:
        for number in range(int(sys.argv[3])):
            broker.queue(f"customer-{number}").put(b"x", key="k")
            with broker.queue(f"customer-{number}").claim():
                pass
    except StoreError as error:
        print(error)
    print(number + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def run(path: Path, hard: int, queues: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path / "spool"), str(hard), str(queues)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_limit_is_raised_as_far_as_it_may_be(tmp_path: Path) -> None:
    (line,) = run(tmp_path, 8192, 200)
    queues, limit = map(int, line.split())
    assert queues == 200
    assert 200 * 16 < limit <= 8192


def test_few_queues_raise_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, 8192, 5) == ["5 512"]


def test_where_it_may_not_be_raised_the_error_says_what_to_do(tmp_path: Path) -> None:
    error, told = run(tmp_path, 400, 200)
    assert "Too many open files" in error
    assert "ulimit -n" in error
    assert 10 < int(told.split()[0]) < 60


LOOK = """
import os, resource, sys
import ropeway
from ropeway.store import Query
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
with ropeway.connect(f"dir:{sys.argv[1]}?durability=os", config=False) as broker:
    store = broker._link.store
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        counts = store.counts(store.queues())
        print(len(counts), sum(one.ready for one in counts.values()), len(store.browse(Query(limit=None))))
    print(len(os.listdir("/proc/self/fd")) - before < 200)
    (entry,) = store.browse(Query(queues=("customer-7",), limit=None))
    print(len(entry.job.source.read()))
"""


def test_looking_at_all_queues_needs_no_more_than_there_are(tmp_path: Path) -> None:
    assert run(tmp_path, 8192, 200)
    with ropeway.connect(f"dir:{tmp_path}/spool?durability=os", config=False) as broker:
        for number in range(0, 200, 2):
            broker.queue(f"customer-{number}").put(b"y")
        broker.queue("customer-7").put_file(io.BytesIO(bytes(3_000_000)))
    done = subprocess.run([sys.executable, "-c", LOOK, str(tmp_path / "spool")], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["200 101 101", "200 101 101", "True", "3000000"], done.stderr
