"""A process that works with many queues of a folder needs many descriptors: it gets them, or is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
