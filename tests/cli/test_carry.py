"""`export` and `import`: the same jobs on the other side, whatever breaks in between."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ropeway.job import Attempt, Job, State
from ropeway.store import Ack, Entry, Handback, Holder, Query
from ropeway.testing.clock import FakeClock

from .conftest import Process, Shell

HOLDER = Holder("host:7:test")


@pytest.fixture(params=["memory", "dir"])
def target(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Shell]:
    """Another store, to carry jobs to; its commands are given its URL."""
    shell = Shell(f"memory:{uuid4().hex}" if request.param == "memory" else f"dir:{tmp_path}/target?durability=os&bell=off", clock)
    yield shell
    shell.link.close()


def waiting(shell: Shell) -> None:
    """Jobs that have only waited, with everything that a job can have."""
    clock: FakeClock = shell.link.clock  # type: ignore[assignment]
    fields = [
        {"body": "plain ümläut \x1b\u2028".encode(), "content_type": "text/plain; charset=utf-8"},
        {"body": bytes(range(256)), "headers": {"tenant": "7", "x": "é"}, "priority": 3, "key": "user\x01:1"},
        {"body": b"", "ttl": 3600.0, "keep": 60.0, "lane": "l", "task": "welcome"},
        {"body": b"later", "delay": 90.0},
    ]
    for one in fields:
        clock.advance(1)
        shell.store.put([Job(shell.link.new_id(), "q", **one)])  # type: ignore[arg-type]
    clock.advance(1)


def past(shell: Shell) -> dict[str, str]:
    """Jobs with a past: retried, dead, done, running; ids by what they are."""
    clock: FakeClock = shell.link.clock  # type: ignore[assignment]
    jobs = {name: Job(shell.link.new_id(), "q", name.encode(), keep=600.0) for name in ("retried", "dead", "done", "running", "fresh")}
    shell.store.put(list(jobs.values()))

    def attempt(number: int, error: str) -> Attempt:
        return Attempt(number, clock.now() - 1, clock.now(), "host:7:test", "failed", error, f"Traceback\n  {error}\n")

    for number in (1, 2):
        (lent,) = shell.store.pick("q", [jobs["retried"].id], 30.0, HOLDER)
        assert lent
        shell.store.nack([Handback(lent.receipt, 50.0, attempt(number, f"retry {number}"))])
    for name in ("dead", "done", "running"):
        (lent,) = shell.store.pick("q", [jobs[name].id], 30.0, HOLDER)
        assert lent
        if name == "dead":
            shell.store.bury([Handback(lent.receipt, attempt=attempt(1, "no way"))])
        elif name == "done":
            shell.store.ack([Ack(lent.receipt, b"\xffresult", "application/x")])
    return {name: job.id for name, job in jobs.items()}


def by_id(shell: Shell) -> dict[str, Entry]:
    return {entry.job.id: entry for entry in shell.store.browse(Query(limit=None))}


def test_what_waited_is_the_same_on_the_other_side(shell: Shell, target: Shell) -> None:
    waiting(shell)
    exported = shell.ok("export")
    assert target.ok("-u", target.url, "import", stdin=exported.stdout).row == {"imported": 4, "already_there": 0, "refused": 0}
    assert target.ok("-u", target.url, "export").stdout == exported.stdout


def test_the_order_is_the_same(shell: Shell, target: Shell) -> None:
    clock: FakeClock = shell.link.clock  # type: ignore[assignment]
    for priority in ("50", "7", "99", "7"):
        clock.advance(0.5)
        for n in range(3):
            shell.put("q", f"{priority}-{n}-{clock.now()}", "-p", priority)
    target.ok("-u", target.url, "import", stdin=shell.ok("export").stdout)
    assert target.ok("-u", target.url, "get", "q", "-n", "99", "--lines").out == shell.ok("get", "q", "-n", "99", "--lines").out


def test_the_past_comes_along(shell: Shell, target: Shell, clock: FakeClock) -> None:
    """Attempts, deaths, history, when it died, what it answered, and when it was due, even if that is past: all of it is the same."""
    ids = past(shell)
    (lent,) = shell.store.claim(["q"], 1, 5.0, HOLDER)
    clock.advance(7)  # a worker died over it
    assert lent.job.id == ids["fresh"]
    (running,) = shell.store.claim(["q"], 1, 30.0, HOLDER)
    assert running.deaths == 1
    shell.store.nack([Handback(running.receipt, 2.0, Attempt(2, clock.now() - 1, clock.now(), "host:7:test", "failed", "E: 2"))])
    clock.advance(3)
    exported = shell.ok("export", "--state", "ready", "--state", "delayed", "--state", "dead", "--state", "done").stdout
    rows = {row["id"]: row for row in map(json.loads, exported.splitlines()[1:-1])}
    assert (rows[ids["fresh"]]["attempts"], rows[ids["fresh"]]["deaths"], rows[ids["fresh"]]["due"] < clock.now()) == (2, 1, True)
    assert rows[ids["dead"]]["due"] < clock.now() - 9
    clock.advance(5)
    target.ok("-u", target.url, "import", stdin=exported)
    assert target.ok("-u", target.url, "export").stdout == shell.ok("export", *(f"--state={s}" for s in State if s != "running")).stdout
    assert [(e.job.id, e.history, e.error) for e in target.store.browse(Query(limit=None))] == [
        (e.job.id, e.history, e.error) for e in shell.store.browse(Query(limit=None)) if e.state is not State.RUNNING
    ]


def test_one_that_runs_waits_there(shell: Shell, target: Shell) -> None:
    ids = past(shell)
    target.ok("-u", target.url, "import", stdin=shell.ok("export").stdout)
    before, after = by_id(shell)[ids["running"]], by_id(target)[ids["running"]]
    assert (after.state, after.attempts, after.deaths) == (State.READY, 1, 0)
    assert after.due == pytest.approx(before.job.due, abs=1e-5)


def test_what_an_older_ropeway_has_written_is_read(target: Shell) -> None:
    """Fields that are not there say nothing; those that nobody knows are passed over."""
    job = "0" * 31
    old = (
        b'{"format":"ropeway-jobs","version":1}\n'
        b'{"id":"%s1","queue":"q","state":"ready","created":1800000000.0,"due":1800000000.0,"body":"a"}\n'
        b'{"id":"%s2","queue":"q","state":"dead","created":1799999900.0,"due":1799999990.0,"attempts":2,"history":[{"number":1,'
        b'"started":1799999980.0,"ended":1799999981.0,"worker":"w","outcome":"failed","error":"E: 1","traceback":"","mood":"bad"}],'
        b'"body_base64":"/w==","colour":"red"}\n'
        b'{"id":"%s3","queue":"q","body":"c"}\n'
        b'{"end":true,"jobs":3}\n'
    ) % ((job.encode(),) * 3)
    target.ok("-u", target.url, "import", stdin=old)
    found = by_id(target)
    assert {i[-1]: (str(e.state), e.attempts, e.error) for i, e in found.items()} == {
        "1": ("ready", 0, ""), "2": ("dead", 2, "E: 1"), "3": ("ready", 0, ""),
    }  # fmt: skip
    assert found[f"{job}2"].due == pytest.approx(1799999990.0, abs=1e-5)


def test_it_can_be_run_again(shell: Shell, target: Shell) -> None:
    waiting(shell)
    past(shell)
    exported = shell.ok("export").stdout
    target.ok("-u", target.url, "import", stdin=exported)
    there = target.ok("-u", target.url, "export").stdout
    again = target.ok("-u", target.url, "import", stdin=exported)
    assert again.row == {"imported": 0, "already_there": 9, "refused": 0}
    assert target.ok("-u", target.url, "export").stdout == there


def test_what_was_broken_off_is_finished(shell: Shell, target: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off before or after any batch: what is there is right, and the next run leads to the same end."""
    past(shell)
    waiting(shell)
    monkeypatch.setattr("ropeway.cli.importing.BATCH", 2)
    exported = shell.ok("export", *(f"--state={s}" for s in State if s != "running")).stdout
    bring = type(target.store).bring
    for at, after in [(at, after) for at in range(1, 5) for after in (False, True)]:
        left = at

        def broken(self: Any, entries: Any, after: bool = after) -> Any:
            nonlocal left
            left -= 1
            if after or left:
                answers = bring(self, entries)
            if not left:
                raise KeyboardInterrupt
            return answers

        with monkeypatch.context() as patch:
            patch.setattr(type(target.store), "bring", broken)
            assert target("-u", target.url, "import", stdin=exported).code == 130
        assert len(by_id(target)) == 2 * (at - 1 + after)
        target.ok("-u", target.url, "import", stdin=exported)
        assert target.ok("-u", target.url, "export").stdout == exported
        target.ok("-u", target.url, "purge", "q", "-y")


def test_a_large_body_in_parts(shell: Shell, target: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.cli.exporting.PART", 100_000)
    data = os.urandom(450_001)
    (tmp_path / "large").write_bytes(data)
    shell.ok("put", "q", "-f", str(tmp_path / "large"), "-H", "a=b")
    shell.put("q", "small")
    exported = shell.ok("export").stdout
    for _ in range(2):
        target.ok("-u", target.url, "import", stdin=exported)
    rows = target.ok("-u", target.url, "jobs", "q").rows
    assert sorted(row["size"] for row in rows) == [5, 450_001]
    assert target.ok("-u", target.url, "get", "q", "--raw").stdout == data
    if shell.url.startswith("dir:"):
        cut = exported[: exported.index(b'{"part":') + 1000]
        broken = target("-u", target.url, "import", stdin=cut.replace(b'"q"', b'"r"'))
        assert broken.code == 1
        assert target.store.counts(["r"])["r"].ready == 0


def test_some_queues_some_states(shell: Shell) -> None:
    ids = past(shell)
    shell.put("other", "x")
    rows = shell.ok("export", "q", "--state", "dead").rows
    assert [row.get("id") for row in rows] == [None, ids["dead"], None]
    assert rows[0] == {"format": "ropeway-jobs", "version": 1}
    assert rows[-1] == {"end": True, "jobs": 1}
    assert len(shell.ok("export").rows) == 8
    assert len(shell.ok("export", "nothing").rows) == 2


@pytest.fixture
def lines(shell: Shell) -> list[bytes]:
    """An export of five jobs, line by line."""
    shell.ok("put", "q", "--lines", "-q", stdin=b"a\nb\nc\nd\ne\n")
    out = shell.ok("export").stdout.splitlines(keepends=True)
    shell.ok("purge", "q", "-y")
    return out


def test_a_cut_line_is_named_and_nothing_after_it_is_imported(shell: Shell, lines: list[bytes]) -> None:
    answer = shell("import", stdin=b"".join(lines[:3]) + lines[3][:40])
    assert answer.code == 1
    assert "line 4 is cut off" in answer.err
    assert [row["body"] for row in shell.ok("jobs", "q").rows] == ["a", "b"]
    shell.ok("import", stdin=b"".join(lines))
    assert [row["body"] for row in shell.ok("jobs", "q").rows] == ["a", "b", "c", "d", "e"]


def test_a_file_that_ends_early_is_noticed_at_any_line(shell: Shell, lines: list[bytes]) -> None:
    answer = shell("import", stdin=b"".join(lines[:4]))
    assert answer.code == 1
    assert "ends after line 4" in answer.err
    assert len(shell.ok("jobs", "q").rows) == 3
    assert shell.ok("import", "--partial", stdin=b"".join(lines[:5])).row == {"imported": 1, "already_there": 3, "refused": 0}
    missing = shell("import", stdin=b"".join([*lines[:2], *lines[3:]]))
    assert missing.code == 1
    assert "says that there are 5 jobs, but 4" in missing.err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"nonsense\n", "line 3 is no JSON"),
        (b"[]\n", "line 3 is no JSON object"),
        (b"{}\n", "line 3 has no 'id'"),
        (b'{"id":"../x","queue":"q","body":""}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"../q","body":""}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q"}\n', "line 3 has no 'body_base64'"),
        (b'{"id":"%s","queue":"q","body":5}\n', "line 3 has no 'body_base64'"),
        (b'{"id":"%s","queue":"q","body_base64":"!"}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","priority":-1}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","state":"lost"}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","due":1e300}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","due":"now"}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","headers":{"a:b":"c"}}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","attempts":-1}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","body":"","history":[{}]}\n', "line 3 is no job"),
        (b'{"id":"%s","queue":"q","parts":1,"size":1}\n{"part":"!"}\n', "line 4 is no part"),
        (b'{"format":"ropeway-jobs","version":2}\n', "format version 2"),
    ],
)
def test_a_wrong_line_is_named(shell: Shell, lines: list[bytes], wrong: bytes, said: str) -> None:
    wrong = wrong.replace(b"%s", b"0" * 31 + b"1")
    answer = shell("import", stdin=b"".join([*lines[:2], wrong, *lines[2:]]))
    assert answer.code == 1, answer
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert [row["body"] for row in shell.ok("jobs", "q").rows] == ["a"]


def test_what_is_no_export_is_refused_whole(shell: Shell) -> None:
    for data in (b"", b'{"id": 1}\n', b"hello\n", b"\xff\xfe\n", b"[1]\n"):
        answer = shell("import", stdin=data)
        assert answer.code == 1, data
    assert shell.store.queues() == []
    assert "missing-file: No such file" in shell("import", "missing-file").err


def test_keys_that_are_taken_stay_out(shell: Shell, target: Shell) -> None:
    shell.put("q", "mine", "-k", "k1")
    shell.put("q", "other", "-k", "k2")
    theirs = json.loads(target.ok("-u", target.url, "put", "q", "theirs", "-k", "k1").out)["id"]
    answer = target("-u", target.url, "import", stdin=shell.ok("export").stdout)
    assert answer.code == 6
    assert answer.row == {"imported": 1, "already_there": 0, "refused": 1}
    assert "hold their keys" in answer.err
    assert theirs in by_id(target)


def test_two_exports_one_behind_the_other(shell: Shell, target: Shell) -> None:
    shell.put("a", "1")
    shell.put("b", "2")
    both = shell.ok("export", "a").stdout + shell.ok("export", "b").stdout
    assert target.ok("-u", target.url, "import", "-", stdin=both).row["imported"] == 2


def test_a_queue_that_refuses_new_jobs_takes_an_import(shell: Shell, lines: list[bytes]) -> None:
    """The switch is for producers; an import is the operator's own doing, often behind that very switch."""
    shell.ok("pause", "q", "--put", "--claim", "--reason", "moving")
    assert shell.ok("import", stdin=b"".join(lines)).row["imported"] == 5
    assert shell("put", "q", "new").code == 4


def test_through_a_pipe(process: Process, spool: str, tmp_path: Path) -> None:
    """Two real processes, one behind the other; what comes out is what went in, byte for byte."""
    large = os.urandom(5 << 20)
    (tmp_path / "large").write_bytes(large)
    assert process("put", "mails", "--lines", stdin=b"".join(b"%d\n" % n for n in range(3000))).code == 0
    assert process("put", "films", "-f", str(tmp_path / "large"), "-p", "3", "-k", "k").code == 0
    assert process("bury", process("get", "mails", "--lease", "30s").rows[0]["receipt"]).code == 0
    target = f"dir:{tmp_path}/target?durability=os"
    reader = process.start("-u", target, "import")
    writer = process.start("export", stdout=reader.stdin)
    assert reader.stdin
    reader.stdin.close()
    assert (writer.wait(60), reader.wait(60)) == (0, 0)
    assert process("-u", target, "export").stdout == process("export").stdout
