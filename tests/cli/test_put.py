"""`put` as far as one process can show it: every form of body, every option, every refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway.job import BYTES, JSON, TEXT, State
from ropeway.store import Entry, Query

from .conftest import Shell


def stored(shell: Shell, queue: str = "q") -> list[Entry]:
    """What is in the queue, by id: in the order in which it was put."""
    return sorted(shell.store.browse(Query(queues=(queue,), limit=None)), key=lambda entry: entry.job.id)


def bodies(shell: Shell) -> list[bytes]:
    return [entry.job.body if entry.job.source is None else entry.job.source.read() for entry in stored(shell)]


def test_a_body_on_the_command_line(shell: Shell) -> None:
    row = shell.ok("put", "q", "hello").row
    (entry,) = stored(shell)
    assert row == {"id": entry.job.id, "queue": "q"}
    assert (entry.job.body, entry.job.content_type, entry.state) == (b"hello", TEXT, State.READY)


def test_what_follows_two_dashes_is_a_body_that_may_begin_with_one(shell: Shell) -> None:
    shell.ok("put", "q", "--", "--lines")
    assert bodies(shell) == [b"--lines"]


def test_every_option_reaches_the_job(shell: Shell) -> None:
    times = ["-d", "90s", "--ttl", "1d", "--keep", "1h"]
    names = ["-k", "user:1", "--lane", "l1", "--task", "welcome", "--type", "text/x", "-H", "tenant=7", "-H", "a=b=c"]
    shell.ok("put", "q", "{}", "-p", "7", *times, *names)
    (entry,) = stored(shell)
    job = entry.job
    assert (job.priority, job.key, job.ttl, job.keep, job.lane, job.task) == (7, "user:1", 86400, 3600, "l1", "welcome")
    assert (job.headers, job.content_type, entry.state) == ({"tenant": "7", "a": "b=c"}, "text/x", State.DELAYED)
    assert entry.due == pytest.approx(shell.link.clock.now() + 90, abs=1)


def test_arguments_of_a_task_are_json_and_may_be_none(shell: Shell) -> None:
    shell.ok("put", "q", "--task", "welcome")
    shell.ok("put", "q", "[1]", "--task", "welcome")
    assert [(e.job.body, e.job.content_type) for e in stored(shell)] == [(b"", JSON), (b"[1]", JSON)]


def test_at_a_moment(shell: Shell) -> None:
    moment = int(shell.link.clock.now()) + 3600
    shell.ok("put", "q", "a", "--at", f"@{moment}")
    assert stored(shell)[0].due == pytest.approx(moment, abs=0.001)
    assert shell("put", "q", "a", "--at", "soon").code == 2
    assert shell("put", "q", "a", "--at", "08:00", "-d", "1m").code == 2
    assert len(stored(shell)) == 1


def test_stdin_as_it_stands(shell: Shell) -> None:
    data = bytes(range(256)) * 3 + b"\n\n"
    shell.ok("put", "q", "-", stdin=data)
    (entry,) = stored(shell)
    assert bodies(shell) == [data]
    assert entry.job.content_type == BYTES


def test_files_each_a_job(shell: Shell, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"s\xff")
    large.write_bytes(b"0123456789abcdef" * 40_000)  # more than goes inline, less than the limit of the memory engine
    answer = shell.ok("put", "q", "-f", str(small), "-f", str(large))
    assert len(answer.rows) == 2
    assert bodies(shell) == [small.read_bytes(), large.read_bytes()]
    missing = shell("put", "q", "-f", str(tmp_path / "missing"))
    assert missing.code == 1
    assert "missing: No such file" in missing.err
    assert len(stored(shell)) == 2


def test_a_body_over_the_limit_is_refused(shell: Shell, tmp_path: Path) -> None:
    limit = shell.store.max_body
    huge = tmp_path / "huge"
    huge.write_bytes(bytes((limit or 1 << 20) + 1))
    answer = shell("put", "q", "-f", str(huge))
    assert answer.code == (0 if limit is None else 2)
    assert ("nothing was stored" in answer.err) == (limit is not None)
    assert len(stored(shell)) == (limit is None)


@pytest.mark.parametrize(
    ("option", "stdin", "expected"),
    [
        ("--lines", b"one\n\ntwo\r\nlast", [b"one", b"two\r", b"last"]),
        ("-0", b"a\nb\0\0c\0", [b"a\nb", b"c"]),
        ("--jsonl", b'{"a": 1}\n"x"\n', [b'{"a": 1}', b'"x"']),
        ("--lines", b"", []),
        ("--lines", b"\n\n", []),
    ],
)
def test_a_job_a_line(shell: Shell, option: str, stdin: bytes, expected: list[bytes]) -> None:
    for more in ([], ["--whole"]):
        shell.ok("purge", "q", "-y")
        answer = shell.ok("put", "q", option, *more, stdin=stdin)
        assert bodies(shell) == expected
        assert [row["id"] for row in answer.rows] == [entry.job.id for entry in stored(shell)]


def test_many_lines_keep_their_order(shell: Shell) -> None:
    lines = [b"%d" % n for n in range(2500)]
    shell.ok("put", "q", "--lines", "-q", stdin=b"\n".join(lines))
    assert bodies(shell) == lines


def test_a_line_that_is_no_json_is_named_and_stops(shell: Shell) -> None:
    answer = shell("put", "q", "--jsonl", stdin=b"1\n2\nnonsense\n4\n")
    assert (answer.code, bodies(shell)) == (1, [b"1", b"2"])
    assert "line 3 is no JSON" in answer.err
    assert "the lines before are" in answer.err
    shell.ok("purge", "q", "-y")
    whole = shell("put", "q", "--jsonl", "--whole", stdin=b"1\n2\nnonsense\n4\n")
    assert (whole.code, bodies(shell)) == (1, [])
    assert "nothing was put" in whole.err


def test_a_line_without_an_end_does_not_fill_the_memory(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.cli.lines.LONGEST", 100_000)
    answer = shell("put", "q", "--lines", stdin=b"first\n" + b"x" * 200_000 + b"\nlast\n")
    assert (answer.code, bodies(shell)) == (1, [b"first"])
    assert "over 100000 bytes" in answer.err


def test_a_key_that_lives_is_refused(shell: Shell) -> None:
    shell.put("q", "a", "-k", "user\x1b:1")
    answer = shell("put", "q", "b", "-k", "user\x1b:1")
    assert answer.code == 6
    assert "held by a live job" in answer.err
    assert "\x1b" not in answer.err
    assert bodies(shell) == [b"a"]


def test_an_id_of_ones_own_may_be_repeated(shell: Shell) -> None:
    own = "0199b3c0a2f47c0e8d2f5b6a7c8d9e0f"
    assert shell.put("q", "a", "--id", own) == own
    assert shell.put("q", "a", "--id", own) == own
    assert bodies(shell) == [b"a"]


def test_a_stopped_queue_refuses_with_the_reason(shell: Shell) -> None:
    shell.ok("pause", "q", "--put", "--reason", "moving house")
    for args, stdin in ((["a"], b""), (["--lines"], b"a\nb\n")):
        answer = shell("put", "q", *args, stdin=stdin)
        assert answer.code == 4
        assert "moving house" in answer.err
    assert stored(shell) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["q"], "there is no body"),
        (["q", "a", "--lines"], "not both"),
        (["q", "a", "-f", "x"], "not both"),
        (["q", "--lines", "-k", "x"], "one key or id"),
        (["q", "-f", "a", "-f", "b", "-k", "x"], "one key or id"),
        (["q", "a", "--whole"], "--whole goes with"),
        (["q", "a", "-H", "novalue"], "no header"),
        (["q", "a", "-H", "na:me=x"], "no header name"),
        (["q", "a", "-H", "name=x\ny"], "on one line"),
        (["q", "a", "-p", "100"], "100"),
        (["q", "a", "-p", "x"], "x"),
        (["q", "a", "-d", "soon"], "soon"),
        (["../q", "a"], "no name"),
        (["q\x1b[2J", "a"], "no name"),
        (["q", "a", "--id", "7"], "no job id"),
        ([], "QUEUE"),
    ],
)
def test_what_cannot_be_meant_is_usage(shell: Shell, args: list[str], said: str) -> None:
    answer = shell("put", *args)
    assert answer.code == 2, answer
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("ropeway: ")
    assert "\x1b" not in answer.err
    assert shell.store.counts() == {} or sum(c.ready + c.delayed for c in shell.store.counts().values()) == 0


def test_ids_alone_or_nothing(shell: Shell) -> None:
    answer = shell.ok("put", "q", "a", "-o", "id")
    assert answer.out == stored(shell)[0].job.id + "\n"
    assert shell.ok("put", "q", "a", "-q").out == ""
    assert shell.ok("put", "q", "a", terminal=True).out.strip() == stored(shell)[-1].job.id
    many = shell.ok("put", "q", "--lines", stdin=b"a\nb\n", terminal=True)
    assert (many.out, many.err) == ("", "put 2 jobs into q\n")
    as_list = shell.ok("put", "q", "--lines", "-o", "json", stdin=b"a\nb\n")
    assert as_list.out.startswith("[\n")


def test_settings_of_the_queue_hold_for_the_shell_too(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ropeway.toml").write_text('[queues.q]\nkeep = "1h"\npriority = 20\n')
    shell.ok("put", "q", "a")
    shell.ok("put", "q", "b", "-p", "3")
    assert [(e.job.keep, e.job.priority) for e in stored(shell)] == [(3600, 20), (3600, 3)]
