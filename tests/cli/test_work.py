"""`work`: what of its options reaches the worker, and the worker's end as an exit code."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ropeway import worker
from ropeway.link import Link
from ropeway.retry import Retry
from ropeway.store import Query

from .conftest import Process, Shell
from .test_process import PATIENCE, until


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What workers were asked to do, by those that do nothing."""
    asked: list[dict[str, Any]] = []

    class Nothing:
        on_signal: dict[int, object] = {}
        post = SimpleNamespace()

        def __init__(self, link: Link, tasks: object, patterns: tuple[str, ...], **options: Any) -> None:
            asked.append({"url": link.url, "tasks": tasks, "patterns": tuple(patterns), **options})

        def run(self) -> int:
            return 10

    monkeypatch.setattr(worker, "Worker", Nothing)
    return asked


def test_a_command_and_all_its_options(shell: Shell, asked: list[dict[str, Any]]) -> None:
    times = ["--timeout", "5s", "--lease", "1m", "--grace", "7s", "--backoff", "2s"]
    numbers = ["-j", "3", "--retries", "4", "--max-jobs", "9"]
    answer = shell("work", "a", "b*", "!bc", *times, *numbers, "--drain", "--file", "--", "sh", "-c", "true", "{}", "--drain")
    assert answer.code == 10
    (one,) = asked
    runner, retry = one.pop("pool"), one.pop("retry")
    assert (runner.argv, runner.feed, runner.timeout) == ([b"sh", b"-c", b"true", b"{}", b"--drain"], "file", 5)
    assert isinstance(retry, Retry)
    assert (retry.attempts, retry.base) == (4, 2)
    assert one == {
        "url": shell.url, "tasks": None, "patterns": ("a", "b*", "!bc"), "concurrency": 3, "lease": 60, "grace": 7, "max_jobs": 9,
        "drain": True, "progress": False,
    }  # fmt: skip


def test_defaults_are_the_workers_own(shell: Shell, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shell("work", "--", "true")
    monkeypatch.setenv("ROPEWAY_QUEUE", "mine")
    (tmp_path / "ropeway.toml").write_text('[worker]\nconcurrency = 6\nlease = "2m"\n')
    shell("work", "--", "true")
    shell("work", "-j", "2", "--progress", "--", "true", terminal=True)
    first, second, third = ({name: one[name] for name in one.keys() & {"patterns", "concurrency", "lease", "progress"}} for one in asked)
    assert first == {"patterns": ("default",), "concurrency": 1, "progress": False}
    assert second == {"patterns": ("mine",), "concurrency": 6, "lease": "2m", "progress": False}
    assert third == {"patterns": ("mine",), "concurrency": 2, "lease": "2m", "progress": True}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["q"], "work what?"),
        (["q", "--"], "work what?"),
        (["q", "--app", "a:b", "--", "true"], "not both"),
        (["q", "--app", "a:b", "--stdin"], "--stdin is for commands"),
        (["q", "--app", "a:b", "--timeout", "3s"], "--timeout is for commands"),
        (["q", "--app", "nocolon"], "names no broker"),
        (["q", "--app", "no_such_module_here:broker"], "no module 'no_such_module_here'"),
        (["q", "--app", "os:path"], "is no broker but"),
        (["q", "--app", "os:nothing.at.all"], "is no broker but"),
        (["q", "-j", "0", "--", "true"], "0"),
        (["q", "--", "./no-such-program"], "no program"),
        (["../q", "--", "true"], "queue pattern"),
        (["!q", "--", "true"], "only leave queues out"),
        (["q", "--arg", "--persistent", "--", "true"], "persistent"),
    ],
)
def test_what_cannot_be_meant_is_usage(shell: Shell, asked: list[dict[str, Any]], args: list[str], said: str) -> None:
    answer = shell("work", *args)
    assert answer.code == 2, answer
    assert said in answer.err
    assert asked == []


def test_exit_codes_decide(process: Process, spool: str) -> None:
    """0 done, 65 dead at once, others dead after --retries; drained with some dead: 10."""
    process("put", "q", "--lines", "-q", stdin=b"0\n65\n3\n")
    answer = process("work", "q", "--drain", "--retries", "2", "--backoff", "0", "--", "sh", "-c", 'exit "$1"', "-", "{}")
    assert answer.code == 10
    rows = {row["body"]: row for row in process("jobs", "q").rows}
    assert {body: (row["state"], row["attempts"]) for body, row in rows.items()} == {"65": ("dead", 1), "3": ("dead", 2)}


def test_a_command_that_is_kept_starts_once(process: Process, spool: str, tmp_path: Path) -> None:
    """lpd's input filter that stays up: 100 jobs, the costly start-up ran once."""
    process("put", "q", "--lines", "-q", stdin=b"".join(b"%d\n" % n for n in range(100)))
    script = f'echo start >> {tmp_path}/starts; while read -r job; do echo "$job" >> {tmp_path}/jobs; echo \'{{\'"}}"; done'
    assert process("work", "q", "--drain", "--persistent", "--", "sh", "-c", script).code == 0
    assert (tmp_path / "starts").read_text() == "start\n"
    assert [json.loads(line)["body"] for line in (tmp_path / "jobs").read_text().splitlines()] == [str(n) for n in range(100)]


def test_so_many_and_no_more(process: Process, spool: str) -> None:
    """DirQueue's `server --njobs 3`; and a command that fails keeps the job."""
    process("put", "q", "--lines", "-q", stdin=b"a\nb\nc\nd\n")
    answer = process("work", "q", "--max-jobs", "3", "--", "sh", "-c", "cat; echo")
    assert (answer.code, answer.out.split()) == (0, ["a", "b", "c"])
    failed = process("work", "q", "--max-jobs", "1", "--", "false")
    assert failed.code == 0
    (row,) = process("jobs", "q").rows
    assert (row["body"], row["attempts"]) == ("d", 1)


def test_the_log_says_what_died_and_quiet_means_quiet(process: Process, spool: str) -> None:
    process("put", "q", "a", "-q")
    args = ["work", "q", "--drain", "--retries", "1", "--", "sh", "-c", "echo 'no \33[31mway' >&2; exit 65"]
    said = process(*args).err
    assert "WARNING ropeway.worker: job " in said
    assert "is dead: exit 65" in said
    process("requeue", "-Q", "q")
    assert "WARNING" not in process("-q", *args).err


def test_drained_is_empty_and_zero(process: Process, spool: str) -> None:
    process("put", "q", "--lines", "-q", stdin=b"a\nb\n")
    assert process("work", "q", "--drain", "-j", "2", "--", "true").code == 0
    assert process("get", "q").code == 3


def test_asked_to_stop_it_gives_back_and_leaves_well(process: Process, spool: str, tmp_path: Path) -> None:
    process("put", "q", "a", "-q")
    work = process.start("work", "q", "--grace", "0", "--", "sh", "-c", f"touch {tmp_path}/began; exec sleep 60")
    until((tmp_path / "began").exists, "the command runs")
    work.send_signal(signal.SIGTERM)
    assert work.wait(PATIENCE) == 0
    link = Link(spool, name="test")
    (entry,) = link.store.browse(Query())
    assert (str(entry.state), entry.attempts) == ("ready", 0)
    link.close()


def test_the_tasks_of_a_program(process: Process, spool: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import ropeway\n"
        "broker = ropeway.connect()\n"
        "@broker.task(queue='mails', keep='1h')\n"
        "def welcome(user_id: int, *, lang: str = 'en') -> str:\n"
        "    return f'welcomed {user_id} in {lang}'\n"
    )
    put = process.start("put", "mails", "--task", "welcome", '{"user_id": 42, "lang": "de"}', "--wait", "--timeout", "20")
    assert process("work", "--app", "shop:broker", "mails", "--max-jobs", "1").code == 0
    assert put.wait(PATIENCE) == 0
    assert put.stdout
    assert b"welcomed 42 in de" in put.stdout.read()


def test_u_says_where_the_program_looks(process: Process, tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text("import ropeway\nbroker = ropeway.connect()\n@broker.task\ndef f() -> None: ...\n")
    other = f"dir:{tmp_path}/other"
    process("put", "q", "--task", "f", "-u", other)
    assert process("-u", other, "work", "--app", "here:broker", "q", "--drain").code == 0
    assert process("-u", other, "get", "q").code == 3


def test_nobody_is_left_when_a_shell_ends_the_group(process: Process, spool: str, tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group: the command and the worker, which gives back and leaves."""
    process("put", "q", "a", "-q")
    work = process.start("work", "q", "--grace", "0", "--", "sh", "-c", f"touch {tmp_path}/began; exec sleep 60", start_new_session=True)
    until((tmp_path / "began").exists, "the command runs")
    os.killpg(work.pid, signal.SIGINT)
    assert work.wait(PATIENCE) in (0, 130)
    with pytest.raises(ProcessLookupError):
        os.killpg(work.pid, 0)
