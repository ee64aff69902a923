"""Command mode: each exit leaves the job in its state, the body comes in each form, and nothing that was started outlives its time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropeway.errors import BadValue, ConfigError
from ropeway.job import State
from ropeway.link import Link
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.store import Ack
from ropeway.worker import CommandRunner, Worker

from .conftest import Running, until

Start = Callable[..., Running]
PYTHON = sys.executable


def work(link: Link, argv: list[str], **options: Any) -> Worker:
    """Drain the queue with the command."""
    own = {name: options.pop(name) for name in ("feed", "timeout", "persistent") if name in options}
    worker = Worker(link, None, ("q",), pool=CommandRunner(argv, **own), drain=True, **{"retry": Retry(1), **options})
    worker.code = worker.run()  # type: ignore[attr-defined]
    return worker


def only(link: Link) -> Any:
    (entry,) = Queue[Any](link, "q").browse()
    return entry


EXITS = [
    (0, None, 0, ""),
    (75, State.DELAYED, 0, "exit 75: last words"),
    (65, State.DEAD, 10, "exit 65: last words"),
    (126, State.DEAD, 10, "exit 126: last words"),
    (127, State.DEAD, 10, "exit 127: last words"),
    (1, State.DELAYED, 0, "exit 1: last words"),
    (2, State.DELAYED, 0, "exit 2: last words"),
]


@pytest.mark.parametrize(("code", "state", "exit_code", "error"), EXITS)
def test_the_exit_decides(memory: Link, code: int, state: State | None, exit_code: int, error: str, start: Start) -> None:
    Queue(memory, "q").put("x")
    runner = CommandRunner(["sh", "-c", f"echo some words >&2; echo last words >&2; exit {code}"])
    running = start(memory, None, ("q",), pool=runner, max_jobs=1, retry=Retry(5, base="1h", jitter=0))
    assert running.end() == exit_code
    if state is None:
        assert Queue(memory, "q").browse() == []
        return
    entry = only(memory)
    assert (entry.state, entry.error, entry.attempts) == (state, error, 1)
    assert entry.history[-1].traceback == "some words\nlast words"


def test_others_are_retried_until_the_policy_ends(memory: Link) -> None:
    Queue(memory, "q").put("x")
    worker = work(memory, ["sh", "-c", "exit 3"], retry=Retry(3, base=0.01))
    assert worker.code == 10  # type: ignore[attr-defined]
    entry = only(memory)
    assert (entry.state, entry.attempts, [a.error for a in entry.history]) == (State.DEAD, 3, ["exit 3"] * 3)


def test_75_is_never_the_last_try(memory: Link) -> None:
    Queue(memory, "q").put("x")
    worker = Worker(memory, None, ("q",), pool=CommandRunner(["sh", "-c", "exit 75"]), max_jobs=4, retry=Retry(2, base=0.01, cap=0.02))
    assert worker.run() == 0
    assert (only(memory).attempts, only(memory).state) in ((4, State.DELAYED), (4, State.READY))


def test_a_signal_is_told(memory: Link) -> None:
    Queue(memory, "q").put("x")
    work(memory, ["sh", "-c", "kill -9 $$"])
    assert only(memory).error == "killed by signal 9 (SIGKILL)"


def test_the_body_on_standard_input(link: Link, tmp_path: Path) -> None:
    body = bytes(range(256)) * 3000
    queue = Queue[Any](link, "q")
    queue.put(body)
    queue.put(b"")
    work(link, ["sh", "-c", f"cat > {tmp_path}/$ROPEWAY_ID"])
    assert sorted(path.read_bytes() for path in tmp_path.iterdir() if len(path.name) == 32) == [b"", body]


def test_a_command_that_does_not_read_its_input_is_not_a_failure(memory: Link) -> None:
    Queue(memory, "q").put(b"x" * 1_000_000)
    assert work(memory, ["true"]).counters.done == 1


HOSTILE = ["a b", "$(touch pwned)", "`id`", '"; touch pwned; "', "'; touch pwned; '", "-rf", "{}", "\n", "*", "ünï\udcff", ""]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_body_as_an_argument_is_one_argument(memory: Link, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Queue[Any](memory, "q").put(os.fsencode(text))
    out = tmp_path / "out"
    script = "import sys, os; open(sys.argv[1], 'wb').write(b'|'.join(map(os.fsencode, sys.argv[2:])))"
    work(memory, [PYTHON, "-c", script, str(out), "{}", "pre{}post"])
    assert out.read_bytes() == os.fsencode(f"{text}|pre{text}post")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("script", ["printf %s {} > out", 'printf %s "{}" > out', "printf %s '{}' > out", "set -- {}; printf %s $1 > out"])
def test_a_body_never_runs_in_a_shell(memory: Link, tmp_path: Path, text: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Queue[Any](memory, "q").put(os.fsencode(text))
    work(memory, ["sh", "-c", script])
    assert not (tmp_path / "pwned").exists()
    if script == "printf %s {} > out":
        assert (tmp_path / "out").read_bytes() == os.fsencode(text)


def test_an_argument_that_cannot_be_one_is_given_up(memory: Link) -> None:
    Queue[Any](memory, "q").put(b"nul\0byte")
    Queue[Any](memory, "q").put(b"x" * 500_000)
    assert work(memory, ["echo", "{}"]).counters.buried == 2
    errors = sorted(entry.error for entry in Queue[Any](memory, "q").browse())
    assert "null byte" in errors[1]
    assert "too long" in errors[0]


def test_the_body_as_a_file(link: Link, tmp_path: Path) -> None:
    Queue[Any](link, "q").put(b"\0file\xff")
    out = tmp_path / "out"
    work(link, ["sh", "-c", f'cat "$1" > {out}; echo "$1" > {out}.name; ls -l "$1" > {out}.mode', "-"], feed="file")
    assert out.read_bytes() == b"\0file\xff"
    assert not Path((tmp_path / "out.name").read_text().strip()).exists(), "tidied up"
    assert (tmp_path / "out.mode").read_text().startswith("-rw-------")


def test_a_large_body_is_handed_over_as_the_engines_own_file(tmp_path: Path) -> None:
    link = Link(f"dir:{tmp_path / 'spool'}")
    source = tmp_path / "film"
    source.write_bytes(os.urandom(3_000_000))
    Queue[Any](link, "q").put_file(str(source))
    work(link, ["cmp", str(source), "{}"], feed="file")
    assert Queue[Any](link, "q").browse() == []
    Queue[Any](link, "q").put_file(str(source))
    work(link, ["cmp", str(source), "-"])
    assert Queue[Any](link, "q").browse() == []
    link.close()


def test_the_environment_tells_of_the_job(memory: Link, tmp_path: Path) -> None:
    handle = Queue[Any](memory, "q").put("x", key="order:7", headers={"tenant": "é7"})
    out = tmp_path / "env"
    script = "import json, os, sys; json.dump({k: v for k, v in os.environ.items() if k.startswith('ROPEWAY_')}, open(sys.argv[1], 'w'))"
    work(memory, [PYTHON, "-c", script, str(out)], timeout=60)
    env = json.loads(out.read_text())
    assert (env["ROPEWAY_ID"], env["ROPEWAY_QUEUE"], env["ROPEWAY_ATTEMPT"], env["ROPEWAY_KEY"]) == (handle.id, "q", "1", "order:7")
    assert json.loads(env["ROPEWAY_HEADERS"]) == {"tenant": "é7"}
    assert 30 < float(env["ROPEWAY_DEADLINE"]) - time.time() < 61


def test_output_is_passed_on(memory: Link, capfd: pytest.CaptureFixture[str]) -> None:
    Queue[Any](memory, "q").put("x")
    work(memory, ["sh", "-c", "echo to out; echo to err >&2"])
    out, err = capfd.readouterr()
    assert out == "to out\n"
    assert err == "to err\n"


def test_much_output_blocks_nothing(memory: Link, capfd: pytest.CaptureFixture[str]) -> None:
    Queue[Any](memory, "q").put("x")
    work(memory, [PYTHON, "-c", "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000); sys.exit(1)"])
    out, err = capfd.readouterr()
    assert (out.count("o"), err.count("e") >= 300000) == (300000, True)
    assert len(only(memory).history[-1].traceback) == 4096
    assert len(only(memory).error) <= 500


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_timeout_kills_the_whole_group(memory: Link, tmp_path: Path) -> None:
    Queue[Any](memory, "q").put("x")
    out = tmp_path / "pid"
    began = time.monotonic()
    work(memory, ["sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {out}; wait"], timeout=0.5)
    assert time.monotonic() - began < 30
    entry = only(memory)
    assert (entry.state, entry.error, entry.history[-1].outcome) == (State.DEAD, "timed out after 500ms", "timeout")
    until(lambda: not alive(int(out.read_text())))


def test_a_grandchild_that_holds_the_output_does_not_hold_the_job(memory: Link, tmp_path: Path) -> None:
    Queue[Any](memory, "q").put("x")
    out = tmp_path / "pid"
    began = time.monotonic()
    assert work(memory, ["sh", "-c", f"sleep 60 & echo $! > {out}"]).counters.done == 1
    assert time.monotonic() - began < 30
    os.kill(int(out.read_text()), 9)


def test_a_stop_ends_the_command_after_the_grace_and_gives_back(memory: Link, tmp_path: Path, start: Start) -> None:
    out = tmp_path / "pid"
    handle = Queue[Any](memory, "q").put("x")
    running = start(
        memory, None, ("q",), pool=CommandRunner(["sh", "-c", f"trap '' TERM; echo $$ > {out}; sleep 60 & wait; wait"]), grace=0.1
    )
    until(lambda: out.exists() and out.read_text().strip())
    began = time.monotonic()
    running.worker.stop()
    assert running.end() == 0
    assert time.monotonic() - began < 30
    assert not alive(int(out.read_text()))
    entry = handle.entry()
    assert entry is not None
    assert (entry.state, entry.attempts) == (State.READY, 0)


def test_a_command_that_ends_within_the_grace_is_done(memory: Link, start: Start) -> None:
    Queue[Any](memory, "q").put("x")
    running = start(memory, None, ("q",), pool=CommandRunner(["sleep", "0.4"]), grace=10)
    until(lambda: any(run.started for run in running.worker.running))
    running.worker.stop()
    assert running.end() == 0
    assert running.worker.counters.done == 1


def test_a_lost_lease_ends_the_command(memory: Link, start: Start) -> None:
    Queue[Any](memory, "q").put("x")
    running = start(memory, None, ("q",), pool=CommandRunner(["sleep", "60"]), concurrency=1)
    (run,) = until(lambda: running.worker.running)
    until(lambda: run.stop)
    assert memory.store.ack([Ack(run.lent.receipt)]) == [True]
    running.worker._keeper.tick()
    until(lambda: running.worker.counters.lost == 1)


def test_jobs_run_side_by_side(memory: Link, tmp_path: Path) -> None:
    """Each ends once all four have begun."""
    Queue[Any](memory, "q").put_many(["x"] * 4)
    meet = f"echo >> {tmp_path}/begun; until [ $(wc -l < {tmp_path}/begun) -ge 4 ]; do sleep 0.02; done"
    assert work(memory, ["sh", "-c", meet], concurrency=4, timeout=60).counters.done == 4


WRONG: list[tuple[list[str], dict[str, Any], type[Exception]]] = [
    ([], {}, BadValue),
    (["no-such-program-here"], {}, ConfigError),
    (["{}"], {}, BadValue),
    (["echo"], {"feed": "mouth"}, BadValue),
    (["echo"], {"timeout": 0}, BadValue),
    (["echo"], {"timeout": "soon"}, BadValue),
    (["echo", "{}"], {"persistent": True}, BadValue),
    (["echo"], {"persistent": True, "feed": "arg"}, BadValue),
]


@pytest.mark.parametrize(("argv", "options", "error"), WRONG)
def test_what_makes_no_sense_is_refused_before_anything_is_claimed(
    argv: list[str], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        CommandRunner(argv, **options)
