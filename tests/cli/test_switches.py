"""`pause`, `resume`, `purge`: lpr's two switches with their reasons, and the one verb that asks for a name."""

from __future__ import annotations

import pytest

from ropeway.job import State
from ropeway.store import Holder, Query

from .conftest import Shell


def test_disabled_refuses_the_new_and_drains_the_old(shell: Shell) -> None:
    """lpc disable: what is there goes on."""
    shell.put("q", "old")
    shell.ok("pause", "q", "--put", "--reason", "moving house")
    assert shell("put", "q", "new").code == 4
    assert shell.ok("get", "q").row["body"] == "old"
    row = shell.ok("ls").row
    assert (row["state"], row["put_stopped"], row["claim_stopped"]) == ("put stopped", "moving house", None)
    assert "put: moving house" in shell.ok("ls", terminal=True).out


def test_stopped_accepts_the_new_and_runs_none(shell: Shell) -> None:
    """lpc stop: the queue fills."""
    shell.put("q", "old")
    shell.ok("pause", "q", "--claim", "--reason", "out of paper")
    shell.put("q", "new")
    refused = shell("get", "q")
    assert refused.code == 4
    assert "out of paper" in refused.err
    row = shell.ok("ls").row
    assert (row["state"], row["ready"], row["claim_stopped"]) == ("claim stopped", 2, "out of paper")
    assert "claim: out of paper" in shell.ok("ls", terminal=True).out


def test_the_switches_are_two(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shell.put("q", "a")
    assert shell.ok("pause", "q", "--put", "--claim").row["state"] == "stopped"
    assert "put and claim: no reason given" in shell.ok("ls", terminal=True).out
    assert shell.ok("resume", "q", "--put").row["state"] == "claim stopped"
    assert shell.ok("resume", "q", "--claim").row["state"] == "open"
    assert shell.ok("pause", "q").row["state"] == "claim stopped"
    assert shell.ok("pause", "q", "--put", "--reason", "x").row["state"] == "stopped"
    assert shell.ok("resume", "q").row["state"] == "open"
    assert shell.ok("get", "q").row["body"] == "a"


def test_everything_at_once_and_what_is_not_there_yet(shell: Shell) -> None:
    assert shell("pause", "*").code == 3
    assert shell("pause").code == 2
    for queue in "ab":
        shell.put(queue, "x")
    assert [row["state"] for row in shell.ok("pause", "*", "--reason", "deploy").rows] == ["claim stopped"] * 2
    assert [shell("get", queue).code for queue in "ab"] == [4, 4]
    shell.ok("resume", "*", "!b")
    assert [shell("get", queue).code for queue in "ab"] == [0, 4]
    shell.ok("pause", "future", "--put")
    assert shell("put", "future", "x").code == 4


def test_what_runs_goes_on(shell: Shell) -> None:
    shell.put("q", "a")
    receipt = shell.ok("get", "q", "--lease", "1m").row["receipt"]
    shell.ok("pause", "q", "--put", "--claim")
    shell.ok("ack", receipt)
    assert shell.store.browse(Query()) == []


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A queue with three ready jobs and one that runs."""
    shell.ok("put", "q", "--lines", "-q", stdin=b"a\nb\nc\nd\n")
    shell.store.claim(["q"], 1, 60.0, Holder("host:7:test"))
    return shell


def left(shell: Shell) -> int:
    return len(shell.store.browse(Query()))


def test_purge_without_a_terminal_wants_yes(filled: Shell) -> None:
    refused = filled("purge", "q")
    assert refused.code == 2
    assert "add -y" in refused.err
    assert left(filled) == 4
    assert filled.ok("purge", "q", "-y").row == {"queue": "q", "purged": 3}
    assert [entry.state for entry in filled.store.browse(Query())] == [State.RUNNING]


def test_purge_asks_a_person_for_the_name(filled: Shell) -> None:
    wrong = filled("purge", "q", terminal=True, stdin=b"yes\n")
    assert wrong.code == 1
    assert "removes 3 jobs" in wrong.err
    assert left(filled) == 4
    assert filled("purge", "q", terminal=True, stdin=b"").code == 1
    right = filled.ok("purge", "q", terminal=True, stdin=b"q\n")
    assert right.out == "removed 3 jobs of q\n"
    assert left(filled) == 1


def test_purge_of_some_states(filled: Shell) -> None:
    filled.put("q", "later", "-d", "1h")
    assert filled.ok("-y", "purge", "q", "--state", "delayed").row["purged"] == 1
    assert filled("purge", "q", "--state", "running", "-y").code == 2
    assert filled("purge", "../q", "-y").code == 2
    assert left(filled) == 4
