"""The command line as a whole: options on both sides, suggestions, one-line errors, every exit code, help that teaches."""

from __future__ import annotations

import re
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from ropeway import __version__, errors
from ropeway.cli import signals, verdict
from ropeway.cli.commands import ELSEWHERE, ROOMS
from ropeway.cli.reference import pages
from ropeway.cli.root import Verb, root
from ropeway.cli.session import Session
from ropeway.cli.times import moment
from ropeway.cli.verdict import Failure
from ropeway.clock import SYSTEM
from ropeway.job import Attempt
from ropeway.store import Ack, Handback, Lent

from .conftest import Shell


def test_global_options_stand_before_or_after(shell: Shell) -> None:
    shell.put("q", "a")
    before = shell.ok("-o", "json", "ls").out
    assert before.startswith("[")
    assert shell.ok("ls", "-o", "json").out == before
    assert shell.ok("-o", "table", "ls", "-o", "json").out == before
    assert shell.ok("-u", shell.url, "-q", "ls").out == shell.ok("ls", "--url", shell.url).out
    assert shell("-u", "memory:elsewhere", "get", "q").code == 3
    assert shell("get", "q", "-u", "memory:elsewhere").code == 3


@pytest.mark.parametrize("args", [["--version"], ["ls", "--version"], ["--version", "ls"], ["put", "--version"]])
def test_version(shell: Shell, args: list[str]) -> None:
    assert shell.ok(*args).out == f"ropeway {__version__}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["pt", "q", "a"], "there is no command 'pt'; did you mean put?"),
        (["enqueue", "q", "a"], "did you mean put?"),
        (["status"], "did you mean ls?"),
        (["xyzzy\x1b[2J"], "see: ropeway --help"),
        (["put", "q", "--lins"], "did you mean --lines?"),
        (["put", "q", "a", "--prioritty", "3"], "did you mean --priority?"),
        (["ls", "--xyzzy"], "ls has no option --xyzzy"),
        (["-o", "xml", "ls"], "xml"),
        (["ls", "-o", "xml"], "xml"),
        (["put"], "QUEUE"),
        (["jobs", "--state", "lost"], "lost"),
        (["--timeout", "soon", "ls"], "soon"),
        (["-u"], "-u"),
        (["-u", "nonsense", "ls"], "no store URL"),
        (["-u", "dir:x?colour=red", "ls"], "no option 'colour'"),
        (["import", "a", "b"], "extra argument"),
    ],
)
def test_bad_usage_is_one_line_that_helps(shell: Shell, args: list[str], said: str) -> None:
    answer = shell(*args)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.startswith("ropeway: ")
    assert answer.err.count("\n") == 1
    assert answer.out == ""
    assert "\x1b" not in answer.err


def test_words_from_elsewhere_lead_to_commands() -> None:
    assert set(ELSEWHERE.values()) <= ROOMS.keys()
    assert not ELSEWHERE.keys() & ROOMS.keys()


def test_without_a_command_the_help(shell: Shell) -> None:
    answer = shell.ok()
    assert answer.out == shell.ok("--help").out
    for name in ROOMS:
        assert re.search(rf"^  {name}\b", answer.out, re.MULTILINE), name
    for code, _ in verdict.EXIT_CODES:
        assert re.search(rf"^  {code}\b", answer.out, re.MULTILINE), code


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_every_command_teaches_by_an_example(shell: Shell, name: str) -> None:
    text = shell.ok(name, "--help").out
    example = text.partition("Example:\n")[2]
    assert re.search(r"\bropeway (?:-u \S+ )?" + name + r"\b", example), text
    assert shell.ok(name, "-h").out == text
    command = root.get_command(click.Context(root), name)
    assert isinstance(command, Verb)
    assert len(command.get_short_help_str(500)) <= 90
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{name} {param.opts}"


def test_the_reference_has_every_command_and_option() -> None:
    page = "\n".join(pages())
    for name in ROOMS:
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        command = root.get_command(click.Context(root), name)
        assert command is not None
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                assert param.opts[-1] in section, (name, param.opts)
    assert page.count("```") % 2 == 0


class TestExitCodes:
    """Each of the list, as a command line comes to it. 124, 130, 141 and 143 are in test_process."""

    def test_0_done(self, shell: Shell) -> None:
        assert shell("put", "q", "a").code == 0

    def test_1_failed(self, shell: Shell) -> None:
        assert shell("put", "q", "-f", "missing").code == 1

    def test_2_usage(self, shell: Shell) -> None:
        assert shell("put").code == 2

    def test_3_nothing_there(self, shell: Shell) -> None:
        assert shell("get", "q").code == 3

    def test_4_switched_off(self, shell: Shell) -> None:
        shell.ok("pause", "q", "--put")
        assert shell("put", "q", "a").code == 4

    def test_5_store_unreachable(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        answer = shell("-u", f"dir:{tmp_path}/file", "put", "q", "a")
        assert answer.code == 5
        assert answer.err.count("\n") == 1

    def test_6_conflict(self, shell: Shell) -> None:
        shell.put("q", "a", "-k", "k")
        assert shell("put", "q", "a", "-k", "k").code == 6

    def test_10_ran_and_some_dead(self, shell: Shell) -> None:
        own = "0199b3c0a2f47c0e8d2f5b6a7c8d9e0f"
        shell.put("q", "a", "--id", own)
        shell.ok("bury", shell.ok("get", "q", "--lease", "1m").row["receipt"])
        assert shell("put", "q", "a", "--id", own, "--wait").code == 10

    def test_every_error_of_ours_has_its_code(self) -> None:
        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RopewayError)]
        codes = {kind.__name__: verdict.verdict(kind("text"))[0] for kind in kinds}
        assert codes == {
            "RopewayError": 1, "RemoteError": 1, "Unsupported": 1, "BadName": 2, "BadBody": 2, "BadValue": 2, "ConfigError": 2,
            "Stopped": 4, "NotAllowed": 4, "StoreError": 5, "Conflict": 6, "LeaseLost": 6, "Timeout": 124,
        }  # fmt: skip


def test_waiting_for_the_end_of_a_job(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """`put --wait`: done with its result, dead, or taken away. Two threads and one poll: a matter of real time."""
    monkeypatch.setattr(Session, "clock", SYSTEM)
    shell = Shell(shell.url, SYSTEM)
    ends = iter(["done", "dead", "deleted"])

    def wait_for() -> Lent:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if lents := shell.store.claim(["q"], 1, 30.0, shell.link.holder()):
                return lents[0]
            time.sleep(0.001)
        raise AssertionError("no job came")

    def work() -> None:
        for end in ends:
            lent = wait_for()
            if end == "done":
                shell.store.ack([Ack(lent.receipt, b"42", "text/plain")])
            elif end == "dead":
                shell.store.bury([Handback(lent.receipt, attempt=Attempt(1, 0, 0, "w", "failed", "no\x1b way"))])
            else:
                shell.store.ack([Ack(lent.receipt, keep=0.0)])

    worker = threading.Thread(target=work)
    worker.start()
    try:
        done = shell("put", "q", "a", "--wait")
        dead = shell("put", "q", "b", "--wait", terminal=True)
        gone = shell("put", "q", "c", "--wait")
    finally:
        worker.join()
        shell.link.close()
    assert (done.code, done.row["state"], done.row["result"]) == (0, "done", "42")
    assert (dead.code, dead.out) == (10, "dead: no\\x1b way\n")
    assert (gone.code, gone.row["state"]) == (3, "gone")


def test_a_fault_of_ours_is_one_line_and_a_traceback_only_when_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh\x1b no\nreally")

    monkeypatch.setattr(type(shell.store), "queues", broken)
    answer = shell("ls")
    assert answer.code == 1
    assert answer.err.startswith("ropeway: ZeroDivisionError: oh\\x1b no really")
    assert answer.err.count("\n") == 1
    shown = shell("-vv", "ls")
    assert "Traceback" in shown.err
    assert "in broken" in shown.err
    assert "\x1b" not in shown.err


def test_verbose_says_which_store(shell: Shell) -> None:
    assert f"ropeway: {shell.url} ($ROPEWAY_URL says so)" in shell.ok("-v", "ls").err


def test_secrets_of_a_url_are_not_shown(shell: Shell) -> None:
    answer = shell("-v", "-u", "dir://user:hunter2@host/x?token=hunter2", "ls")
    assert "hunter2" not in answer.err + answer.out


def test_quiet_keeps_what_was_asked_for(shell: Shell) -> None:
    shell.put("q", "a")
    assert shell.ok("-q", "ls").out == shell.ok("ls").out
    assert shell.ok("-q", "get", "q", "--raw").out == "a"
    assert shell("-q", "get", "q").code == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@1800000000", 1800000000.0),
        ("2027-01-15T08:00:00Z", 1800000000.0),
        ("2027-01-15T10:00+02:00", 1800000000.0),
    ],
)
def test_moments(text: str, expected: float) -> None:
    assert moment(text).timestamp() == expected


def test_moments_of_the_clock_are_the_next_ones() -> None:
    now = datetime(2027, 1, 15, 8, 0, 30, tzinfo=UTC)
    assert moment("08:01", now) == now.replace(minute=1, second=0)
    assert moment("07:59:59", now) == now.replace(hour=7, minute=59, second=59) + timedelta(days=1)
    assert moment("2027-01-15").tzinfo is not None
    for wrong in ("soon", "", "25:00", "@x", "@1e400", "2027-13-01", "9" * 400):
        with pytest.raises(Failure):
            moment(wrong)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with signals.termination(), signals.time_limit(100):
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before
    seen: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with signals.termination():
                seen.append(RuntimeError())
        except ValueError as error:
            seen.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(one) for one in seen] == [RuntimeError]
