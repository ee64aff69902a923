"""`ack`, `nack`, `bury`, `extend`: receipts from elsewhere, as words, as JSON lines, from stdin."""

from __future__ import annotations

import json

import pytest

from ropeway.job import State
from ropeway.store import Entry, Query
from ropeway.testing.clock import FakeClock

from .conftest import Shell


def lend(shell: Shell, *bodies: str, keep: str = "0") -> list[str]:
    """Put these and take them; the receipts."""
    for body in bodies:
        shell.put("q", body, "--keep", keep)
    return [row["receipt"] for row in shell.ok("get", "q", "-n", str(len(bodies)), "--lease", "1m").rows]


def only(shell: Shell) -> Entry:
    (entry,) = shell.store.browse(Query())
    return entry


def test_ack_with_a_result_that_is_kept(shell: Shell) -> None:
    (receipt,) = lend(shell, "a", keep="1h")
    assert shell.ok("ack", receipt, "--result", "42").row == {"receipt": receipt, "acked": True}
    entry = only(shell)
    assert (entry.state, entry.result, entry.result_type) == (State.DONE, b"42", "text/plain; charset=utf-8")


def test_ack_keeps_as_long_as_it_says(shell: Shell, clock: FakeClock) -> None:
    (receipt,) = lend(shell, "a")
    shell.ok("ack", receipt, "--result", "-", "--keep", "1m", stdin=b"\xff")
    assert only(shell).result == b"\xff"
    clock.advance(61)
    assert shell.store.browse(Query()) == []


def test_nack_with_delay_and_error(shell: Shell) -> None:
    (receipt,) = lend(shell, "a")
    shell.ok("nack", receipt, "-d", "10m", "--error", "smtp\x1b busy")
    entry = only(shell)
    assert (entry.state, entry.attempts, entry.error) == (State.DELAYED, 1, "smtp\\x1b busy")
    assert entry.due == pytest.approx(shell.link.clock.now() + 600, abs=1)


def test_nack_that_does_not_count(shell: Shell) -> None:
    (receipt,) = lend(shell, "a")
    shell.ok("nack", receipt, "--restore")
    assert (only(shell).state, only(shell).attempts) == (State.READY, 0)


def test_bury_with_the_reason(shell: Shell) -> None:
    (receipt,) = lend(shell, "a")
    shell.ok("bury", receipt, "--reason", "no such address")
    assert (only(shell).state, only(shell).error) == (State.DEAD, "no such address")
    (attempt,) = shell.ok("show", only(shell).job.id).row["history"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]) == (1, "discarded", "no such address")


def test_extend(shell: Shell, clock: FakeClock) -> None:
    (receipt,) = lend(shell, "a")
    shell.ok("extend", receipt, "--lease", "1h")
    clock.advance(1800)
    assert only(shell).state is State.RUNNING
    assert shell.ok("extend", receipt).code == 0
    clock.advance(40)
    assert shell.ok("get", "q", "--lease", "1m").row["attempt"] == 2
    assert shell("ack", receipt).code == 6
    assert "nothing was extended" in shell("extend", receipt).err.lower()


def test_a_whole_line_is_as_good_as_the_receipt_in_it(shell: Shell) -> None:
    for body in "abc":
        shell.put("q", body)
    printed = shell.ok("get", "q", "-n", "3", "--lease", "1m")
    first = printed.out.splitlines()[0]
    shell.ok("ack", first)
    shell.ok("ack", "-", stdin=b"\n".join(printed.stdout.splitlines()[1:]))
    assert shell.store.browse(Query()) == []


def test_a_json_array_of_receipts(shell: Shell) -> None:
    for body in "ab":
        shell.put("q", body)
    printed = shell.ok("get", "q", "-n", "2", "--lease", "1m", "-o", "json")
    shell.ok("ack", json.dumps(json.loads(printed.out)))
    assert shell.store.browse(Query()) == []


def test_some_lost_some_done(shell: Shell) -> None:
    one, two = lend(shell, "a", "b")
    shell.ok("ack", one)
    answer = shell("ack", one, two)
    assert answer.code == 6
    assert [row["acked"] for row in answer.rows] == [False, True]
    assert "(1 others were acked)" in answer.err
    assert shell.store.browse(Query()) == []


@pytest.mark.parametrize("verb", ["ack", "nack", "bury", "extend"])
def test_what_is_no_receipt_changes_nothing(shell: Shell, verb: str) -> None:
    (receipt,) = lend(shell, "a")
    assert shell(verb).code == 2
    assert shell(verb, "-", stdin=b"").code == 2
    assert shell(verb, '{"id": "x"}').code == 2
    assert shell(verb, "{broken").code == 2
    answer = shell(verb, f"{receipt}x\x1b[2J")
    assert answer.code in (2, 6)
    assert "\x1b" not in answer.err
    assert only(shell).state is State.RUNNING


def test_a_person_is_told_and_quiet_is_quiet(shell: Shell) -> None:
    one, two = lend(shell, "a", "b")
    answer = shell.ok("ack", one, terminal=True)
    assert (answer.out, answer.err) == ("", "acked 1 job\n")
    assert shell.ok("ack", two, "-q", terminal=True)[1:] == (b"", b"")
