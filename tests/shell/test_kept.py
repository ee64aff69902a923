"""What stands in a shell job, what it prints, and which jobs it comes after: the parts, without a process."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import msgspec
import pytest

from ropeway.errors import BadBody, BadValue, StoreError
from ropeway.job import JSON, Attempt, Job, State
from ropeway.link import Link
from ropeway.notes import Notes
from ropeway.shell import after
from ropeway.shell.command import CONTENT_TYPE, Command, bytes_of, code_of, line_of, pack, unpack, word
from ropeway.shell.output import PIECE, PIECES, NoteReader, NoteSink, Part, forget
from ropeway.store import Entry
from ropeway.testing.clock import FakeClock

WORDS = [b"plain", b"a b", b"line\nline", b"", b"-rf", b"\xff\xfe raw", b"\x1b[31m", "ünï".encode(), b"'\"`$(id)"]


def test_a_command_comes_back_as_it_was() -> None:
    given = Command(
        [word(data) for data in (b"prog", *WORDS)], "/tmp", {"A": word(b"\xff")}, whole=True, umask=0o22, retries=3, timeout=1.5
    )
    back = unpack(pack(given))
    assert [bytes_of(one) for one in back.argv[1:]] == WORDS
    assert back == given


def test_it_is_shown_as_it_would_be_typed() -> None:
    assert line_of(pack(Command(["sh", "-c", "echo $HOME; rm x"]))) == "sh -c 'echo $HOME; rm x'"
    assert line_of(b"no command") == ""


@pytest.mark.parametrize(
    "command",
    [
        Command([]),
        Command([""]),
        Command(["a\0b"]),
        Command(["a"], cwd="relative"),
        Command(["a"], env={"A=B": "c"}),
        Command(["a"], env={"": "c"}),
        Command(["a"], env={"A": "c\0"}),
        Command(["a"], retries=0),
        Command(["a"], timeout=-1.0),
        Command(["a"], umask=0o1000),
        Command(["\ud800"]),
    ],
)
def test_what_cannot_be_run_is_refused_on_both_sides(command: Command) -> None:
    with pytest.raises(BadBody, match="nothing was run"):
        pack(command)
    try:
        hostile = msgspec.json.encode(command)
    except UnicodeEncodeError:
        return
    with pytest.raises(BadBody, match="nothing was run"):
        unpack(hostile)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"argv": "ls"}', b'{"argv": [1]}', b'{"argv": [{"base64": "?"}]}', b"[" * 100_000, b'{"argv": ["\xff"]}'],
)
def test_a_body_that_is_no_command_is_told(body: bytes) -> None:
    with pytest.raises(BadBody, match="nothing was run"):
        unpack(body)


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        (State.DONE, "", 0),
        (State.DEAD, "exit 3", 3),
        (State.DEAD, "exit 127: sh: not found", 127),
        (State.DEAD, "killed by signal 9 (SIGKILL): last words", 137),
        (State.DEAD, "timed out after 3s", 124),
        (State.DEAD, "never started: job x failed: exit 3", None),
        (State.DEAD, "ValueError: exit 3", None),
        (State.RUNNING, "exit 3", None),
    ],
)
def test_the_exit_code(state: State, error: str, code: int | None) -> None:
    assert code_of(Entry(Job("0" * 32, "q"), state, 0.0, error=error)) == code


# -- output in the store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> Iterator[Link]:
    made = Link(f"memory:{uuid4().hex}", clock)
    yield made
    made.close()


ID = "0" * 32


def sink_of(link: Link, clock: FakeClock) -> NoteSink:
    return NoteSink(link.store.notes, ID, clock.boot, lambda _: None)


def said(parts: Iterator[Part]) -> list[Part]:
    """What came, with the bytes in one."""
    out: list[Part] = []
    for part in parts:
        if out and isinstance(part, bytes) and isinstance(out[-1], bytes):
            out[-1] += part
        else:
            out.append(part)
    return out


def test_output_is_read_while_it_grows(link: Link, clock: FakeClock) -> None:
    sink, reader = sink_of(link, clock), NoteReader(link.store.notes, ID)
    assert said(reader.read()) == []
    got = b""
    whole = b""
    for step in range(200):
        data = bytes([step]) * (step * 37)
        whole += data
        sink.write(data)
        clock.advance(0.6)
        sink.tick()
        got += b"".join(part for part in reader.read() if isinstance(part, bytes))
        assert got == whole
    sink.close()
    assert said(NoteReader(link.store.notes, ID).read()) == [whole]


def test_a_store_is_written_to_twice_a_second_at_most(link: Link, clock: FakeClock) -> None:
    sink, reader = sink_of(link, clock), NoteReader(link.store.notes, ID)
    for _ in range(1000):
        sink.write(b"x")
        sink.tick()
    assert said(reader.read()) == [b"x"]
    clock.advance(0.5)
    sink.tick()
    assert said(reader.read()) == [b"x" * 999]


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, PIECE * PIECES, PIECE * PIECES + 1, 5_000_000])
@pytest.mark.parametrize("chunk", [1 << 16, 10_000_000])
def test_the_last_part_is_kept_and_what_is_missing_told(link: Link, clock: FakeClock, size: int, chunk: int) -> None:
    whole = bytes(range(251)) * (size // 251 + 1)
    whole = whole[:size]
    sink = sink_of(link, clock)
    for start in range(0, size, chunk):
        sink.write(whole[start : start + chunk])
        clock.advance(0.3)
        sink.tick()
    sink.close()
    parts = said(NoteReader(link.store.notes, ID).read())
    kept = parts[-1]
    assert isinstance(kept, bytes)
    assert whole.endswith(kept)
    assert len(kept) == size or PIECE * (PIECES - 1) < len(kept) <= PIECE * PIECES
    assert parts == ([size - len(kept)] if len(kept) < size else []) + [kept]
    assert len(link.store.notes.notes("output/")) <= PIECES
    forget(link.store.notes, ID)
    assert link.store.notes.notes("output/") == {}


def test_a_slow_reader_is_told_what_it_missed(link: Link, clock: FakeClock) -> None:
    sink, reader = sink_of(link, clock), NoteReader(link.store.notes, ID)
    sink.write(b"begin")
    sink.tick()
    assert said(reader.read()) == [b"begin"]
    whole = b"begin" + bytes(range(256)) * 20_000
    sink.write(whole[5:])
    sink.close()
    missing, rest = said(reader.read())
    assert isinstance(missing, int) and isinstance(rest, bytes)
    assert 5 + missing + len(rest) == len(whole)
    assert whole.endswith(rest)
    assert said(reader.read()) == []


def test_a_later_run_goes_on_behind_the_earlier(link: Link, clock: FakeClock) -> None:
    for text in (b"one\n", b"x" * (2 * PIECE), b"three\n"):
        sink = sink_of(link, clock)
        sink.write(text)
        sink.close()
    assert said(NoteReader(link.store.notes, ID).read()) == [b"one\n" + b"x" * (2 * PIECE) + b"three\n"]


# -- what comes after others


def entry(link: Link, name: str, state: State, error: str = "") -> str:
    """A job in that state; its id."""
    job = Job(link.new_id(), name, b"1", JSON, keep=3600.0)
    now = link.clock.now()
    history = [Attempt(1, now, now, "w", "failed", error)] if error else []
    link.store.bring([Entry(job, state, now + 3600 if state is State.DONE else now, 1, error=error, history=history)])
    return job.id


def turn(link: Link, after_: list[str], any_: list[str]) -> after.Turn:
    job = Job(link.new_id(), "q", b"", CONTENT_TYPE, after.headers(after_, any_))
    assert after.comes_after(job) == bool(after_ or any_)
    return after.turns(link.store, [job])[job.id]


def test_a_job_starts_once_those_before_it_have_ended_well(link: Link) -> None:
    done, dead, ready = entry(link, "a", State.DONE), entry(link, "a", State.DEAD, "exit 3"), entry(link, "b", State.READY)
    assert turn(link, [done], []) == after.FREE
    assert turn(link, [], [done, dead]) == after.FREE
    assert turn(link, [done, ready], []).open == (("b", ready),)
    assert turn(link, [], [ready]).open == (("b", ready),)
    assert turn(link, [ready, dead], []).never == f"never started: job {dead} failed: exit 3"
    assert turn(link, [], [ID]) == after.FREE, "what is gone has ended"
    assert "is gone, so that it ended well is not known" in turn(link, [ID], []).never
    assert "is gone" in turn(link, ["no-id"], []).never


def test_too_many_before_it_are_refused(link: Link) -> None:
    with pytest.raises(BadValue, match="nothing was put"):
        after.headers([link.new_id() for _ in range(after.MOST)], [link.new_id()])


class Away:
    """Notes that fail for so many calls."""

    def __init__(self, notes: Notes, failures: int) -> None:
        self._notes = notes
        self._left = failures

    def note(self, key: str, value: bytes, lifetime: float) -> None:
        if self._left:
            self._left -= 1
            raise StoreError("away")
        self._notes.note(key, value, lifetime)

    def notes(self, prefix: str) -> dict[str, bytes]:
        return self._notes.notes(prefix)

    def forget(self, key: str) -> bool:
        return self._notes.forget(key)


def test_a_store_that_is_away_for_a_moment_loses_no_output(link: Link, clock: FakeClock) -> None:
    pauses: list[float] = []
    sink = NoteSink(Away(link.store.notes, 3), ID, clock.boot, pauses.append)
    sink.write(b"one\n")
    sink.tick()
    sink.write(b"two\n")
    sink.close()
    assert said(NoteReader(link.store.notes, ID).read()) == [b"one\ntwo\n"]
    assert len(pauses) == 2
