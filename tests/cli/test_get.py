"""`get` and `peek`: jobs written out, acked only then, given back when nobody reads."""

from __future__ import annotations

import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from ropeway.job import Job, State
from ropeway.link import Link
from ropeway.store import Query

from .conftest import Shell


def counts(shell: Shell, queue: str = "q") -> tuple[int, int]:
    """How many are ready, how many running."""
    found = shell.store.counts([queue])[queue]
    return found.ready, found.running


def test_nothing_there_is_an_exit_code_at_once(shell: Shell) -> None:
    answer = shell("get", "q")
    assert (answer.code, answer.out, answer.err) == (3, "", "")
    assert "nothing to get in q" in shell("get", "q", terminal=True).err


def test_a_job_as_json_and_it_is_done(shell: Shell) -> None:
    job_id = shell.put("q", "hello", "-k", "k1", "-H", "tenant=7")
    row = shell.ok("get", "q").row
    assert (row["id"], row["queue"], row["body"], row["attempt"], row["key"]) == (job_id, "q", "hello", 1, "k1")
    assert row["headers"] == {"tenant": "7"}
    assert "receipt" not in row
    assert counts(shell) == (0, 0)
    assert shell.store.browse(Query()) == []


def test_bytes_that_are_no_text_come_as_base64(shell: Shell) -> None:
    shell.put("q", "-", stdin=b"\xff\x00\xfe")
    row = shell.ok("get", "q").row
    assert b64decode(row["body_base64"]) == b"\xff\x00\xfe"
    assert "body" not in row


@pytest.mark.parametrize(("form", "expected"), [("--raw", b"a\xff\nb"), ("--lines", b"a\xff\n\nb\n"), ("-0", b"a\xff\n\0b\0")])
def test_bodies_alone(shell: Shell, form: str, expected: bytes) -> None:
    shell.put("q", "-", stdin=b"a\xff\n")
    shell.put("q", "b")
    assert shell.ok("get", "q", "-n", "5", form).stdout == expected
    assert counts(shell) == (0, 0)


def test_lines_in_are_lines_out(shell: Shell) -> None:
    data = b"".join(b"line %d\n" % n for n in range(250))
    shell.ok("put", "q", "--lines", "-q", stdin=data)
    assert shell.ok("get", "q", "-n", "1000", "--lines").stdout == data


def test_when_nobody_reads_the_rest_goes_back_uncounted(shell: Shell) -> None:
    ids = [row["id"] for row in shell.ok("put", "q", "--lines", stdin=b"a\nb\nc\nd\n").rows]
    answer = shell("get", "q", "-n", "4", breaks_after=2)
    assert (answer.code, answer.err) == (141, "")
    assert [row["id"] for row in answer.rows] == ids[:2]
    left = shell.store.browse(Query())
    assert sorted(entry.job.id for entry in left) == ids[2:]
    assert [(entry.state, entry.attempts) for entry in left] == [(State.READY, 0)] * 2


def test_leased_jobs_live_as_long_as_their_lease(shell: Shell, clock: Any) -> None:
    shell.put("q", "a")
    first = shell.ok("get", "q", "--lease", "1m").row
    assert first["receipt"]
    assert counts(shell) == (0, 1)
    clock.advance(59)
    assert shell("get", "q").code == 3
    clock.advance(3)
    second = shell.ok("get", "q", "--lease", "1m").row
    assert (second["id"], second["attempt"]) == (first["id"], 2)
    stale = shell("ack", first["receipt"])
    assert stale.code == 6
    assert "is lost" in stale.err
    shell.ok("ack", second["receipt"])
    assert shell.store.browse(Query()) == []


def test_receipts_alone(shell: Shell) -> None:
    shell.put("q", "a")
    receipt = shell.ok("get", "q", "--lease", "1m", "-o", "id").out.strip()
    assert shell.store.ack([]) == []
    shell.ok("ack", receipt)


def test_a_job_that_killed_its_holders_is_not_handed_out_again(shell: Shell, clock: Any) -> None:
    job_id = shell.put("q", "poison")
    for _ in range(3):
        shell.ok("get", "q", "--lease", "1s")
        clock.advance(10)
    assert shell("get", "q", "--lease", "1s").code == 3
    (entry,) = shell.store.browse(Query(ids=(job_id,)))
    assert entry.state is State.DEAD
    assert "without a word" in entry.error


def test_a_queue_that_is_switched_off_is_not_empty(shell: Shell) -> None:
    shell.put("q", "a")
    shell.ok("pause", "q", "--reason", "dep\x1bloy")
    answer = shell("get", "q")
    assert answer.code == 4
    assert "loy" in answer.err
    assert "\x1b" not in answer.err
    assert counts(shell) == (1, 0)


def test_waiting_ends_when_a_job_comes(shell: Shell) -> None:
    assert shell("get", "q", "-t", "2s").code == 3  # the fake clock jumps
    shell.put("q", "later", "-d", "30s")
    assert shell("get", "q", "-t", "10s").code == 3
    assert shell.ok("get", "q", "-t", "1m").row["body"] == "later"


def test_following_takes_each_as_it_comes(shell: Shell) -> None:
    shell.ok("put", "q", "--lines", "-q", stdin=b"a\nb\n")
    shell.put("q", "c", "-d", "1h")
    assert shell.ok("get", "q", "--follow", "-n", "3", "--lines").stdout == b"a\nb\nc\n"


def test_following_waits_while_the_queue_is_switched_off(shell: Shell) -> None:
    shell.put("q", "a")
    shell.ok("pause", "q")
    other = Link(shell.url, name="other")
    opener = threading.Timer(0.2, lambda: other.store.pause(["q"], claim=False))
    opener.start()
    try:
        assert shell.ok("get", "q", "--follow", "-n", "1", "--lines").stdout == b"a\n"
    finally:
        opener.join()
        other.close()


def test_each_body_in_a_file(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = shell.put("q", "-", stdin=b"one\xff")
    second = shell.put("q", "two")
    rows = shell.ok("get", "q", "-n", "9", "--to-dir", str(folder)).rows
    assert [row["path"] for row in rows] == [f"{folder}/{first}", f"{folder}/{second}"]
    assert (folder / first).read_bytes() == b"one\xff"
    assert sorted(path.name for path in folder.iterdir()) == sorted([first, second])
    assert counts(shell) == (0, 0)


def test_a_body_that_cannot_be_written_goes_back(shell: Shell, tmp_path: Path) -> None:
    job_id = shell.put("q", "one")
    (tmp_path / "out" / job_id).mkdir(parents=True)
    answer = shell("get", "q", "--to-dir", str(tmp_path / "out"))
    assert answer.code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [job_id]
    assert counts(shell) == (1, 0)


def test_one_by_its_id_whatever_its_moment(shell: Shell) -> None:
    shell.put("q", "first")
    wanted = shell.put("q", "wanted", "-d", "1h", "-p", "99")
    assert shell.ok("get", "q", "--id", wanted, "--raw").out == "wanted"
    again = shell("get", "q", "--id", wanted)
    assert again.code == 3
    assert "is not in this store" in again.err
    running = shell.ok("get", "q", "--lease", "1m").row
    refused = shell("get", "q", "--id", running["id"])
    assert refused.code == 6
    assert "is running" in refused.err


def test_a_large_body_passes_through(shell: Shell, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    (tmp_path / "large").write_bytes(data)
    shell.ok("put", "q", "-f", str(tmp_path / "large"))
    leased = shell.ok("get", "q", "--lease", "1m").row
    assert leased["size"] == len(data)
    shell.ok("nack", leased["receipt"])
    assert shell.ok("get", "q", "--raw").stdout == data


def test_a_body_too_large_for_json_stays(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.cli.writer.JSON_LIMIT", 3)
    shell.put("q", "long")
    answer = shell("get", "q")
    assert answer.code == 1
    assert "--raw or --to-dir" in answer.err
    assert counts(shell) == (1, 0)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--id", "0" * 32, "--follow"], "--id takes"),
        (["--id", "x"], "no job id"),
        (["--lease", "0"], "lease of 0"),
        (["--raw", "--to-dir", "x"], "not both"),
        (["--raw", "--lease", "1m"], "no receipts"),
        (["-n", "0"], "0"),
    ],
)
def test_what_cannot_be_meant_is_usage(shell: Shell, args: list[str], said: str) -> None:
    shell.put("q", "a")
    answer = shell("get", "q", *args)
    assert answer.code == 2
    assert said in answer.err
    assert counts(shell) == (1, 0)


def test_the_default_queue(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.put("default", "a")
    shell.put("mine", "b")
    assert shell.ok("get", "--raw").out == "a"
    monkeypatch.setenv("ROPEWAY_QUEUE", "mine")
    assert shell.ok("get", "--raw").out == "b"


def test_peek_changes_nothing(shell: Shell) -> None:
    shell.put("q", "b")
    shell.put("q", "a", "-p", "1")
    shell.put("q", "c", "-d", "1h")
    before = shell.ok("export").out
    assert [row["body"] for row in shell.ok("peek", "q", "-n", "9").rows] == ["a", "b"]
    assert shell.ok("peek", "q", "--raw").out == "a"
    assert shell.ok("peek", "q", "--state", "delayed", "--lines").out == "c\n"
    assert shell("peek", "q", "--state", "dead").code == 3
    assert shell("peek", "other").code == 3
    assert shell.ok("export").out == before


def test_what_a_person_sees_of_a_job(shell: Shell) -> None:
    shell.link.store.put([Job(shell.link.new_id(), "q", b"two\nlines\x1b[31m\xff", headers={"x": "\x1b]0;t\x07"}, key="k\x1b")])
    seen = shell.ok("peek", "q", terminal=True).out
    assert "two\nlines\\x1b[31m\\xff" in seen
    assert "key k\\x1b" in seen
    assert "\x1b" not in seen
    raw = shell.ok("get", "q", "--raw", terminal=True).out
    assert "two\nlines\\x1b[31m\\xff" in raw
    assert "\x1b" not in raw
