"""Shell jobs in a worker: exits, hostile command lines and output, who takes what, and jobs that come after others."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ropeway.handle import Handle
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.shell import after as comes_after
from ropeway.shell.command import CONTENT_TYPE, Command, code_of, pack, word
from ropeway.shell.output import NoteReader
from ropeway.store import Entry
from ropeway.tasks import Tasks
from ropeway.worker import CommandRunner, Worker
from ropeway.worker.guard import Guard
from ropeway.worker.shell import ShellRunner

from .conftest import alive, until


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link(f"memory:{uuid4().hex}")
    yield made
    made.close()


def put(
    link: Link, *argv: str | bytes, after: tuple[Handle[Any], ...] = (), any_of: tuple[Handle[Any], ...] = (), **more: Any
) -> Handle[Any]:
    """Put a command line."""
    body = pack(Command([word(os.fsencode(one)) for one in argv], **more))
    headers = comes_after.headers([one.id for one in after], [one.id for one in any_of])
    return Queue[Any](link, "q").put_encoded(body, CONTENT_TYPE, keep="1h", headers=headers)


def drain(link: Link, outputs: str | None = None, **options: Any) -> Worker:
    """Run all there is."""
    shell = ShellRunner(outputs)
    worker = Worker(link, None, ("q",), **{"pool": shell, "commands": shell, "drain": True, **options})
    worker.run()
    return worker


def entry_of(handle: Handle[Any]) -> Entry:
    entry = handle.entry()
    assert entry is not None
    return entry


def printed(link: Link, handle: Handle[Any]) -> bytes:
    return b"".join(part for part in NoteReader(link.store.notes, handle.id).read() if isinstance(part, bytes))


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [
        ("exit 0", 0, ""),
        ("echo some; echo last >&2; exit 3", 3, "exit 3: last"),
        ("exit 75", 75, "exit 75"),
        ("kill -9 $$", 137, "killed by signal 9 (SIGKILL)"),
        ("printf '\\033[31mred\\007'; exit 1", 1, "exit 1: \\x1b[31mred\\x07"),
    ],
)
def test_the_exit_is_the_end(link: Link, script: str, code: int, error: str) -> None:
    job = put(link, "sh", "-c", script)
    drain(link)
    entry = entry_of(job)
    assert (entry.state, entry.error, code_of(entry), entry.attempts) == (State.DEAD if code else State.DONE, error, code, 1)


def test_only_with_retries_it_is_run_again(link: Link, tmp_path: Path) -> None:
    job = put(link, "sh", "-c", f"echo x >> {tmp_path}/runs; echo run; test $(wc -l < {tmp_path}/runs) = 2", retries=5)
    drain(link)
    assert (entry_of(job).state, entry_of(job).attempts) == (State.DONE, 2)
    assert printed(link, job) == b"run\nrun\n", "what a later run prints comes behind"


def test_its_timeout(link: Link) -> None:
    job = put(link, "sh", "-c", "trap '' TERM; sleep 60 & wait", timeout=0.3)
    drain(link)
    assert (entry_of(job).error, code_of(entry_of(job))) == ("timed out after 300ms", 124)


WORDS = ["a b", "$(touch pwned)", "`id`", '"; touch pwned; "', "-rf", "{}", "two\nlines\n", "*", "ünï", b"\xff\xfe", "", "\x1b[2J", "--"]


def test_words_arrive_as_they_are(link: Link, tmp_path: Path) -> None:
    script = "import sys, os; open(sys.argv[1], 'wb').write(b'|'.join(map(os.fsencode, sys.argv[2:])))"
    job = put(link, sys.executable, "-c", script, str(tmp_path / "out"), *WORDS, cwd=str(tmp_path))
    drain(link)
    assert entry_of(job).state is State.DONE
    assert (tmp_path / "out").read_bytes() == b"|".join(os.fsencode(one) for one in WORDS)
    assert not (tmp_path / "pwned").exists()


def test_a_command_that_cannot_be_run_is_told(link: Link) -> None:
    missing, folder, huge = put(link, "no-such-program"), put(link, "pwd", cwd="/no/such/folder"), put(link, "echo", "x" * 200_000)
    long = put(link, "true", *["y" * 1000] * 800)
    drain(link)
    assert code_of(entry_of(missing)) == 127
    assert entry_of(folder).error == "exit 127: the command could not be started in /no/such/folder: No such file or directory"
    assert (code_of(entry_of(huge)), "too long" in entry_of(huge).error) == (65, True)
    assert entry_of(long).state is State.DONE


def test_a_body_that_is_no_command_is_buried(link: Link) -> None:
    job = Queue[Any](link, "q").put_encoded(b'{"argv": []}', CONTENT_TYPE)
    drain(link)
    assert "there is no command to run" in entry_of(job).error


def test_its_environment_and_its_folder(link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_WORKER", "1")
    whole = put(link, "env", cwd=str(tmp_path), env={"GIVEN": "x", "PATH": os.environ["PATH"]}, whole=True)
    over = put(link, "env", env={"GIVEN": "x"})
    umask = put(link, "sh", "-c", "umask; pwd", cwd=str(tmp_path), umask=0o27)
    drain(link)
    names = {line.partition(b"=")[0] for line in printed(link, whole).splitlines()}
    of_job = {b"ROPEWAY_" + name for name in (b"ID", b"QUEUE", b"ATTEMPT", b"KEY", b"DEADLINE", b"HEADERS")}
    assert names - {b"PWD"} == {b"GIVEN", b"PATH"} | of_job
    assert b"ROPEWAY_ID=" + whole.id.encode() in printed(link, whole)
    assert b"OF_THE_WORKER=1\n" in printed(link, over)
    assert printed(link, umask) == b"0027\n" + os.fsencode(tmp_path) + b"\n"


@pytest.mark.parametrize("in_file", [False, True])
def test_all_kinds_of_output(link: Link, tmp_path: Path, in_file: bool) -> None:
    whole = bytes(range(256)) * 6000
    (tmp_path / "data").write_bytes(whole)
    many, none, half = put(link, "cat", str(tmp_path / "data")), put(link, "true"), put(link, "printf", "no end")
    drain(link, str(tmp_path) if in_file else None)
    got = (tmp_path / many.id).read_bytes() if in_file else printed(link, many)
    assert whole.endswith(got)
    assert len(got) == len(whole) if in_file else 1 << 20 >= len(got) > (1 << 20) - (1 << 15)
    if in_file:
        assert ((tmp_path / none.id).read_bytes(), (tmp_path / half.id).read_bytes()) == (b"", b"no end")
        assert (tmp_path / half.id).stat().st_mode & 0o777 == 0o600
    else:
        assert (printed(link, none), printed(link, half)) == (b"", b"no end")


def test_a_daemon_that_holds_the_output_does_not_hold_the_job(link: Link, tmp_path: Path) -> None:
    job = put(link, "sh", "-c", f"sleep 30 & echo $! > {tmp_path}/pid; echo over")
    drain(link)
    assert (entry_of(job).state, printed(link, job)) == (State.DONE, b"over\n")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


# -- who takes what


def test_without_leave_a_worker_leaves_command_lines_alone(link: Link, tmp_path: Path) -> None:
    job = put(link, "touch", str(tmp_path / "ran"))
    plain = Queue[Any](link, "q").put("x")
    Worker(link, None, ("q",), pool=CommandRunner(["true"]), drain=True).run()
    entry = entry_of(job)
    assert (entry.state, entry.attempts, plain.state()) == (State.DELAYED, 0, None)
    assert "--allow-commands" in entry.error
    assert not (tmp_path / "ran").exists()
    drain(link)
    assert (entry_of(job).state, (tmp_path / "ran").exists()) == (State.DONE, True)


def test_a_worker_for_tasks_leaves_them_alone_too(link: Link) -> None:
    job = put(link, "true")
    Worker(link, Tasks(link), ("q",), drain=True).run()
    assert entry_of(job).state is State.DELAYED


def test_a_worker_for_command_lines_leaves_others_alone(link: Link) -> None:
    plain = Queue[Any](link, "q").put("x")
    drain(link)
    entry = entry_of(plain)
    assert (entry.state, entry.attempts) == (State.DELAYED, 0)


def test_functions_and_command_lines_in_one_queue(link: Link) -> None:
    tasks = Tasks(link)
    ran: list[int] = []

    @tasks.task(queue="q", keep="1h")
    def work(number: int) -> int:
        ran.append(number)
        return number

    @tasks.task(queue="q", batch=3)
    def many(items: list[int]) -> None:
        ran.extend(items)

    first = work.put(1)
    shell = put(link, "echo", "hello", after=(first,))
    for number in (2, 3, 4):
        many.put(number)
    Worker(link, tasks, ("q",), drain=True, commands=ShellRunner()).run()
    assert (sorted(ran), first.result(), printed(link, shell)) == ([1, 2, 3, 4], 1, b"hello\n")


# -- what comes after others


def test_what_comes_after_others(link: Link, tmp_path: Path) -> None:
    def step(name: str, code: int = 0) -> tuple[str, str, str]:
        return "sh", "-c", f"echo {name} >> {tmp_path}/log; exit {code}"

    a = put(link, *step("a"), retries=1)
    b = put(link, *step("b", 1), after=(a,))
    c = put(link, *step("c"), after=(b,))
    d = put(link, *step("d"), after=(a,), any_of=(b, c))
    e = put(link, *step("e"), after=(d, c))
    drain(link, concurrency=4)
    assert (tmp_path / "log").read_text().split() == ["a", "b", "d"]
    assert [entry_of(one).state for one in (a, b, c, d, e)] == [State.DONE, State.DEAD, State.DEAD, State.DONE, State.DEAD]
    assert entry_of(c).error == f"never started: job {b.id} failed: exit 1"
    assert entry_of(e).error.startswith(f"never started: job {c.id} failed: never started")


def test_one_that_waits_begins_at_once_when_the_other_ends_elsewhere(link: Link) -> None:
    before = Queue[Any](link, "other").put("x", keep="1h")
    job = put(link, "true", after=(before,))
    shell = ShellRunner()
    worker = Worker(link, None, ("q",), pool=shell, commands=shell)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        usher = worker._ferry.usher
        assert usher is not None
        until(lambda: any(one.times >= 3 for one in usher._waiting.values()), "it has been given back some times")
        claim = Queue[Any](link, "other").claim()
        assert claim
        claim.ack()
        assert job.wait(20) is State.DONE
    finally:
        worker.stop()
        thread.join(20)
    assert not thread.is_alive()


# -- no command outlives its worker


WORKER = """
import sys
from ropeway.link import Link
from ropeway.worker import Worker
from ropeway.worker.shell import ShellRunner
shell = ShellRunner()
sys.exit(Worker(Link(sys.argv[1]), None, ("q",), pool=shell, commands=shell, concurrency=2, lease="5s").run())
"""

# It may never run twice at once: the lock is held by its whole group.
ALONE = """
echo "begin $1" >> "$2"
if [ -e "$2.stay" ]; then sleep 300 & sleep 300; fi
echo "end $1" >> "$2"
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def worker_on(url: str, workers: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", WORKER, url], start_new_session=True, stderr=subprocess.DEVNULL)
    workers.append(process)
    return process


def test_the_command_of_a_killed_worker_dies_with_it_and_runs_again_alone(tmp_path: Path, workers: list[subprocess.Popen[bytes]]) -> None:
    url, log = f"dir:{tmp_path}/spool?durability=os", tmp_path / "log"
    link = Link(url)
    (tmp_path / "log.stay").touch()
    job = put(link, "flock", "-n", "-E", "99", str(tmp_path / "lock"), "sh", "-c", ALONE, "sh", "x", str(log))
    for round_ in (1, 2):
        worker = worker_on(url, workers)
        until(lambda: log.exists() and log.read_text().count("begin") == round_, "it runs")  # noqa: B023
        worker.kill()
        if round_ == 1:  # nobody else is there: what was started is gone all the same
            until(lambda: subprocess.run(["flock", "-n", tmp_path / "lock", "true"], check=False).returncode == 0, "its group is dead")
    (tmp_path / "log.stay").unlink()
    worker_on(url, workers)
    assert job.wait(60) is State.DONE, "and not 99: the lock was free"
    assert log.read_text().split("\n") == ["begin x"] * 3 + ["end x", ""]
    assert entry_of(job).deaths == 2
    link.close()


def test_killed_at_any_moment_a_chain_keeps_its_order(tmp_path: Path, workers: list[subprocess.Popen[bytes]]) -> None:
    url, log = f"dir:{tmp_path}/spool?durability=os", tmp_path / "log"
    link, chance = Link(url), random.Random(7)
    jobs: list[Handle[Any]] = []
    for name in "abcdefgh":
        script = f"echo begin {name} >> {log}; sleep 0.05; echo end {name} >> {log}"
        jobs.append(put(link, "sh", "-c", script, after=(jobs[-1],) if jobs else ()))
    for _ in range(4):
        worker = worker_on(url, workers)
        before = log.read_text().count("begin") if log.exists() else 0
        until(lambda: (log.exists() and log.read_text().count("begin") > before) or jobs[-1].state() is State.DONE, "it goes on")  # noqa: B023
        threading.Event().wait(chance.random() * 0.1)
        worker.kill()
        worker.wait()
    worker_on(url, workers)
    assert jobs[-1].wait(90) is State.DONE
    ended: set[str] = set()
    for line in log.read_text().splitlines():
        what, name = line.split()
        if what == "end":
            ended.add(name)
        else:
            assert name == "a" or chr(ord(name) - 1) in ended, f"{name} began too early"
    assert ended == set("abcdefgh")
    link.close()


def test_a_guardian_that_was_killed_is_replaced() -> None:
    guard = Guard()
    sleepers = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(2)]
    try:
        guard.add(sleepers[0].pid)
        assert guard._guardian is not None
        guard._guardian.kill()
        guard._guardian.wait()
        guard.add(sleepers[1].pid)
        guard.drop(sleepers[1].pid)
        guard.close()
        until(lambda: not alive(sleepers[0].pid), "the one that was left is dead")
        assert alive(sleepers[1].pid)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
