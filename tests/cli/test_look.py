"""`ls`, `jobs`, `show`, `check`: what programs and people see, and that looking changes nothing."""

from __future__ import annotations

import pytest

from ropeway.job import Attempt, Job
from ropeway.store import Ack, Handback, Holder, Query
from ropeway.testing.clock import FakeClock

from .conftest import Shell

HOLDER = Holder("host:7:test")
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202egnp\u2028\x7f"


@pytest.fixture
def full(shell: Shell) -> Shell:
    """A shell on a store with a job in each state."""
    jobs = [Job(shell.link.new_id(), "q", f"body {n}".encode(), keep=60.0) for n in range(4)]
    jobs.append(Job(shell.link.new_id(), "q", b"later", delay=90.0))
    shell.store.put(jobs)
    done, dead, _ = shell.store.claim(["q"], 3, 30.0, HOLDER)
    shell.store.ack([Ack(done.receipt, b"fine")])
    now = shell.link.clock.now()
    error = Attempt(1, now - 2, now, "host:7:test", "failed", "ValueError: no", "Traceback\n  File x\nValueError: no\n")
    shell.store.bury([Handback(dead.receipt, attempt=error)])
    return shell


def test_ls_counts_every_state(full: Shell, clock: FakeClock) -> None:
    clock.advance(5)
    row = full.ok("ls").row
    assert {name: row[name] for name in ("queue", "state", "ready", "delayed", "running", "dead", "done")} == {
        "queue": "q", "state": "open", "ready": 1, "delayed": 1, "running": 1, "dead": 1, "done": 1
    }  # fmt: skip
    head, line = full.ok("ls", "-o", "table").out.splitlines()
    assert head.split() == ["QUEUE", "READY", "DELAYED", "RUNNING", "DEAD", "DONE", "OLDEST"]
    assert line.split() == ["q", "1", "1", "1", "1", "1", "5s"]
    assert full.ok("ls", "-o", "id").out == "q\n"


def test_ls_by_pattern(shell: Shell) -> None:
    for queue in ("mail-a", "mail-b", "other"):
        shell.put(queue, "x")
    shell.store.put([Job(shell.link.new_id(), "_own")])
    assert shell.ok("ls", "-o", "id").out.split() == ["mail-a", "mail-b", "other"]
    assert shell.ok("ls", "mail-*", "-o", "id").out.split() == ["mail-a", "mail-b"]
    assert shell.ok("ls", "!mail-a", "-o", "id").out.split() == ["mail-b", "other"]
    assert shell.ok("ls", "--all", "-o", "id").out.split() == ["_own", "mail-a", "mail-b", "other"]
    assert shell("ls", "nothing*").code == 3
    assert shell("ls", "../x").code == 2


def test_empty_states_say_the_next_step(shell: Shell) -> None:
    assert shell.ok("ls", terminal=True).err == "no queues yet; try: ropeway put mails 'hello'\n"
    assert "ropeway put" in shell.ok("jobs", terminal=True).err
    assert "leave a condition out" in shell.ok("jobs", "--grep", "x", terminal=True).err
    assert (shell.ok("ls").out, shell.ok("jobs").out, shell.ok("jobs", "-o", "json").out) == ("", "", "[]\n")


def test_jobs_tells_all_states_and_filters(full: Shell) -> None:
    rows = full.ok("jobs", "q").rows
    assert [row["state"] for row in rows] == ["ready", "delayed", "running", "dead", "done"]
    assert {"id", "queue", "state", "priority", "due", "attempts"} <= rows[0].keys()
    by_state = {row["state"]: row for row in rows}
    assert by_state["dead"]["error"] == "ValueError: no"
    assert by_state["running"]["holder"]
    for options, states in (
        (["--state", "dead", "--state", "done"], ["dead", "done"]),
        (["--error", "ValueError"], ["dead"]),
        (["--grep", "later"], ["delayed"]),
        (["--task", "x"], []),
        (["other"], []),
        (["q", "!q"], []),
    ):
        assert [row["state"] for row in full.ok("jobs", *options).rows] == states, options


def test_jobs_shows_bodies_without_consuming(shell: Shell) -> None:
    shell.put("q", "small")
    shell.put("q", "-", stdin=b"x" * 20_000)
    before = shell.ok("export").out
    small, large = shell.ok("jobs", "q").rows
    assert (small["body"], small["size"]) == ("small", 5)
    assert "body" not in large
    assert large["size"] == 20_000
    assert shell.ok("export").out == before


def test_jobs_page_by_page(shell: Shell) -> None:
    ids = [row["id"] for row in shell.ok("put", "q", "--lines", stdin=b"\n".join(b"%d" % n for n in range(25))).rows]
    seen: list[str] = []
    after: list[str] = []
    while page := shell.ok("jobs", "q", "-n", "10", *after).rows:
        seen += [row["id"] for row in page]
        after = ["--after", page[-1]["cursor"]]
    assert seen == ids
    assert "there are more" in shell.ok("jobs", "q", "-n", "10", terminal=True).err
    assert "there are more" not in shell.ok("jobs", "q", "-n", "25", terminal=True).err
    assert len(shell.ok("jobs", "q", "--limit", "0").rows) == 25
    assert shell("jobs", "q", "--after", "nonsense\x1b").code in (0, 2)


def test_show_tells_all(full: Shell) -> None:
    dead = full.ok("jobs", "--state", "dead", "-o", "id").out.strip()
    row = full.ok("show", dead).row
    assert (row["state"], row["body"]) == ("dead", "body 1")
    (attempt,) = row["history"]
    assert (attempt["attempt"], attempt["worker"], attempt["error"]) == (1, "host:7:test", "ValueError: no")
    assert "File x" in attempt["traceback"]
    text = full.ok("show", dead, "-o", "table").out
    for said in (dead, "dead", "attempt 1, failed after 2s", "host:7:test", "ValueError: no", "  File x", "body 1"):
        assert said in text
    done = full.ok("jobs", "--state", "done", "-o", "id").out.strip()
    assert full.ok("show", done).row["result"] == "fine"
    assert "fine" in full.ok("show", done, "-o", "table").out


def test_show_many_and_missing(full: Shell) -> None:
    ids = full.ok("jobs", "-o", "id")
    assert [row["id"] for row in full.ok("show", "-", stdin=ids.stdout).rows] == ids.out.split()
    answer = full("show", "0" * 32, ids.out.split()[0])
    assert answer.code == 3
    assert answer.row["id"] == ids.out.split()[0]
    assert "0" * 32 in answer.err
    assert full("show", "x").code == 2


def test_show_the_body_alone(shell: Shell) -> None:
    data = bytes(range(256))
    job_id = shell.put("q", "-", stdin=data)
    assert shell.ok("show", job_id, "--body", "raw").stdout == data
    long = shell.put("q", "x" * 300)
    assert "x" * 300 not in shell.ok("show", long, "-o", "table").out
    assert "x" * 300 in shell.ok("show", long, "-o", "table", "--body", "full").out


def test_nothing_hostile_reaches_a_terminal(shell: Shell) -> None:
    """Whatever a job holds: in every form of every command that shows jobs."""
    bad = Job(shell.link.new_id(), "q", HOSTILE.encode(), headers={"x": HOSTILE.replace("\r", "")}, key=HOSTILE, lane=HOSTILE)
    shell.store.put([bad])
    (lent,) = shell.store.claim(["q"], 1, 30.0, HOLDER)
    now = shell.link.clock.now()
    shell.store.bury([Handback(lent.receipt, attempt=Attempt(1, now, now, HOSTILE, "failed", HOSTILE, f"Trace\n{HOSTILE}"))])
    shell.ok("pause", "q", "--reason", HOSTILE)
    commands = [["ls"], ["jobs"], ["jobs", "q"], ["show", bad.id], ["show", bad.id, "--body", "full"], ["show", bad.id, "--body", "raw"]]
    commands += [["peek", "q", "--state", "dead"], ["peek", "q", "--state", "dead", "--raw"], ["get", "q"], ["export"], ["check"]]
    for command in commands:
        for mode in ("table", "jsonl", "json", "id"):
            answer = shell(*command, "-o", mode, terminal=True)
            shown = answer.out + answer.err
            wrong = {c for c in shown if c != "\n" and not c.isprintable() and c != "\t"}
            assert not wrong, (command, mode, wrong)
    assert "\\x1b[31mred" in shell.ok("show", bad.id, terminal=True).out


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_tables_fit_the_terminal(full: Shell, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    full.store.put([Job(full.link.new_id(), "a-queue-with-a-rather-long-name", "漢字かな交じり文".encode() * 9, key="k" * 300)])
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in ("ls", "jobs"):
        lines = full.ok(command, terminal=True).out.splitlines()
        assert len(lines) > 1
        wide = [line for line in lines if sum(2 if ord(c) > 0x2E80 else 1 for c in line) > columns]
        assert not wide, wide


def test_ids_are_never_cut_on_a_usual_terminal(full: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = full.ok("jobs", terminal=True).out
    assert all(entry.job.id in shown for entry in full.store.browse(Query()))


def test_check_says_which_store_why_and_what_it_survives(shell: Shell) -> None:
    shell.put("q", "x")
    row = shell.ok("check").row
    assert row["url"] == shell.url
    assert row["why"] == "$ROPEWAY_URL says so"
    assert row["durability"] == str(shell.store.durability())
    assert row["survives"]
    assert row["ok"] is True
    text = shell.ok("check", terminal=True).out
    assert shell.url in text
    assert "$ROPEWAY_URL" in text
    assert "-u says so" in shell.ok("-u", shell.url, "check", terminal=True).out


def test_check_fails_on_a_fault(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from ropeway.store import Finding

    shell.store.queues()
    monkeypatch.setattr(type(shell.store), "check", lambda _: iter([Finding("ok", "fine"), Finding("fault", "a part is dam\x1baged")]))
    answer = shell("check", terminal=True)
    assert answer.code == 1
    assert "fault       a part is dam\\x1baged" in answer.out
