"""The command line as a process among processes: pipes, producers, signals, start-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.link import Link
from ropeway.store import Query, Store

from .conftest import ENTRY, Process

PATIENCE = 60.0  # seconds; a worker that starts anew on a busy machine takes its time


@pytest.fixture
def store(spool: str) -> Iterator[Store]:
    link = Link(spool, name="test")
    yield link.store
    link.close()


def until(true: Callable[[], bool], what: str) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"still not after {PATIENCE} s: {what}"
        time.sleep(0.005)


def bodies(store: Store, queue: str = "q") -> list[bytes]:
    return [e.job.body for e in sorted(store.browse(Query(queues=(queue,), limit=None)), key=lambda e: e.job.id)]


def ready(store: Store) -> int:
    return store.counts(["q"])["q"].ready


def test_the_first_job_is_there_before_the_producer_ends(process: Process, store: Store) -> None:
    """A pipe feeds as it goes: each line is a job while the producer still writes."""
    put = process.start("put", "q", "--lines")
    assert put.stdin
    assert put.stdout
    for number, line in enumerate([b"one\n", b"two\nthree\n"], 1):
        put.stdin.write(line)
        put.stdin.flush()
        until(lambda number=number: len(bodies(store)) >= number, "the line is a job")  # type: ignore[misc]
        assert json.loads(put.stdout.readline())["queue"] == "q"
        assert put.poll() is None
    put.stdin.write(b"unfinished")
    put.stdin.close()
    assert put.wait(PATIENCE) == 0
    assert bodies(store) == [b"one", b"two", b"three", b"unfinished"]


def test_the_first_job_runs_before_the_producer_ends(process: Process, tmp_path: Path) -> None:
    """The same, down to the command that a worker runs for the first line."""
    put = process.start("put", "q", "--lines", "-q")
    work = process.start("work", "q", "--max-jobs", "1", "--", "sh", "-c", f"cat > {tmp_path}/ran")
    assert put.stdin
    put.stdin.write(b"one\n")
    put.stdin.flush()
    assert work.wait(PATIENCE) == 0
    assert (tmp_path / "ran").read_bytes() == b"one"
    assert put.poll() is None
    put.stdin.close()
    assert put.wait(PATIENCE) == 0


class TestProducer:
    """`put ... -- CMD`: the next step only after success."""

    def test_success(self, process: Process, store: Store) -> None:
        assert process("put", "q", "--lines", "--", "printf", "a\nb\n").code == 0
        assert process("put", "q", "-", "--", "printf", "whole\nbody").code == 0
        assert process("put", "q", "-0", "--", "printf", "c\\0d").code == 0
        assert bodies(store) == [b"a", b"b", b"whole\nbody", b"c", b"d"]

    @pytest.mark.parametrize(
        ("args", "script", "code"),
        [
            (["--lines"], "echo a; echo b; exit 7", 7),
            (["-"], "echo a; exit 7", 7),
            (["-"], "head -c 1000000 /dev/zero; exit 9", 9),
            (["--lines"], "seq 1 100000; kill -TERM $$", 143),
        ],
    )
    def test_failure_starts_nothing_and_is_passed_on(self, process: Process, store: Store, args: list[str], script: str, code: int) -> None:
        answer = process("put", "q", *args, "--", "sh", "-c", script)
        assert answer.code == code
        assert "nothing was put" in answer.err
        assert answer.out == ""
        assert bodies(store) == []

    def test_no_such_command(self, process: Process, store: Store) -> None:
        answer = process("put", "q", "--lines", "--", "./no-such-command", "x")
        assert answer.code == 127
        assert "./no-such-command x cannot be run" in answer.err
        assert bodies(store) == []

    def test_it_ends_with_us(self, process: Process, tmp_path: Path) -> None:
        put = process.start("put", "q", "--lines", "--", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60")
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "", "the producer runs")
        pid = int((tmp_path / "pid").read_text())
        put.send_signal(signal.SIGTERM)
        assert put.wait(PATIENCE) == 143
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_pipe_that_failed_leaves_what_was_put_and_says_so(process: Process, store: Store) -> None:
    """Without `-- CMD` the shell's own means: pipefail sees the producer, what it wrote before is there."""
    script = f"set -o pipefail; (echo a; exit 3) | {sys.executable} -m ropeway put q --lines -q"
    done = subprocess.run(["bash", "-c", script], env=process.environment | dict(os.environ), timeout=60, check=False)
    assert done.returncode == 3
    assert bodies(store) == [b"a"]


def test_a_reader_that_goes_away_gets_no_more(process: Process, store: Store) -> None:
    """SIGPIPE: quiet, and what nobody read is given back."""
    process("put", "q", "--lines", "-q", stdin=b"".join(b"%05d%s\n" % (n, b"x" * 10_000) for n in range(300)))
    get = process.start("get", "q", "-n", "300", "--lines")
    assert get.stdout
    assert get.stderr
    assert [get.stdout.readline()[:6] for _ in range(3)] == [b"00000x", b"00001x", b"00002x"]
    get.stdout.close()
    assert get.wait(PATIENCE) == 141
    assert get.stderr.read() == b""
    left = ready(store)
    assert 200 < left < 300
    assert {entry.attempts for entry in store.browse(Query(limit=None))} == {0}


def test_listing_into_head_is_quiet(process: Process) -> None:
    process("put", "q", "--lines", "-q", stdin=b"x\n" * 3000)
    listing = process.start("jobs", "q", "--limit", "0")
    assert listing.stdout
    assert listing.stderr
    listing.stdout.readline()
    listing.stdout.close()
    assert listing.wait(PATIENCE) == 141
    assert listing.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_follower_that_is_ended_holds_nothing(process: Process, store: Store, number: signal.Signals, code: int) -> None:
    get = process.start("get", "q", "--follow", "--lines")
    assert get.stdout
    assert get.stderr
    process("put", "q", "a", "-q")
    assert get.stdout.readline() == b"a\n"
    get.send_signal(number)
    assert get.wait(PATIENCE) == code
    assert get.stderr.read() == b""
    counts = store.counts(["q"])["q"]
    assert (counts.ready, counts.running) == (0, 0)


def test_a_get_that_is_killed_loses_nothing(process: Process, store: Store) -> None:
    """Not even asked to give back: the death of the process does it."""
    process("put", "q", "--lines", "-q", stdin=b"".join(b"%05d%s\n" % (n, b"x" * 10_000) for n in range(100)))
    get = process.start("get", "q", "-n", "100", "--lines")  # nobody reads: it blocks when the pipe is full
    until(lambda: store.counts(["q"])["q"].running > 0, "it has claimed")
    get.kill()
    get.wait(PATIENCE)
    until(lambda: len(store.claim(["q"], 1, 30.0, Link("memory:").holder())) == 1, "its jobs come back")


def test_receipts_outlive_the_process_that_printed_them(process: Process, store: Store) -> None:
    process("put", "q", "a", "-q")
    receipt = process("get", "q", "--lease", "1m").row["receipt"]
    assert process("get", "q").code == 3
    assert store.counts(["q"])["q"].running == 1
    assert process("ack", receipt).code == 0
    again = process("ack", receipt)
    assert again.code == 6


def test_closed_streams(process: Process, store: Store) -> None:
    """Nowhere to print is a failure, and the job is still there; nothing to read is an end of file."""
    ropeway = f"{sys.executable} -m ropeway"
    process("put", "q", "a", "-q")

    def run(line: str) -> int:
        return subprocess.run(["bash", "-c", line], env=process.environment | dict(os.environ), timeout=60, check=False).returncode

    assert run(f"{ropeway} get q --raw >&-") == 1
    assert ready(store) == 1
    assert run(f"{ropeway} get q --raw > /dev/full 2>&-") == 1
    assert ready(store) == 1
    assert run(f"{ropeway} put q --lines <&-") == 0
    assert run(f"{ropeway} get q --raw <&- > /dev/null") == 0
    assert ready(store) == 0


def test_the_time_limit(process: Process) -> None:
    started = time.monotonic()
    answer = process("--timeout", "300ms", "get", "q", "--follow")
    assert answer.code == 124
    assert "--timeout" in answer.err
    assert 0.25 < time.monotonic() - started < 10
    assert process("get", "q", "-t", "1m", "--timeout", "0.2").code == 124


def test_the_other_doors(environment: dict[str, str], spool: str) -> None:
    """`ropeway`, `python -m ropeway` and `python -m ropeway.cli` are the same."""
    script = Path(sys.executable).with_name("ropeway")
    for command in (ENTRY, [sys.executable, "-m", "ropeway.cli"], [str(script)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert done.stdout.startswith("ropeway "), done.stderr


HEAVY = {
    "asyncio", "logging", "rich", "subprocess", "socket", "ssl", "tomllib", "dataclasses", "importlib.metadata", "shutil", "tempfile",
    "shlex", "urllib", "email", "http", "concurrent", "multiprocessing", "traceback", "unicodedata", "base64", "argparse",
    "ropeway.worker", "ropeway.tasks", "ropeway.log", "ropeway.cli.work", "ropeway.cli.table", "ropeway.cli.look", "ropeway.cli.get",
    "ropeway.cli.importing", "ropeway.cli.signals",
}  # fmt: skip


@pytest.mark.parametrize("args", [["put", "q", "hello"], ["put", "q", "hello", "-d", "1m", "-p", "3"]])
def test_a_put_loads_nothing_heavy(environment: dict[str, str], spool: str, args: list[str]) -> None:
    """A put of one job from the shell is a process of 80 ms: each module that it loads is paid for by every put."""
    code = "import sys\nfrom ropeway.cli import __main__, root\nprint(root.run(sys.argv[1:]), *sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, env=environment | {"ROPEWAY_URL": spool}, timeout=30
    )
    assert done.stderr.startswith("0 "), done.stderr
    loaded = set(done.stderr.split())
    assert {"click", "msgspec", "ropeway.cli.putting", "ropeway.stores.directory.store"} <= loaded
    assert not loaded & HEAVY
    ours = {name for name in loaded if name.startswith("ropeway.cli.")}
    assert len(ours) <= 12, sorted(ours)
