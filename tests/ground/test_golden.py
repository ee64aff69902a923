"""The stored format: every envelope that was ever written is read for ever, and today's writer writes the same bytes.

A golden file is never changed. A new version of the envelope adds files beside these.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ropeway.codec import VERSION, Damaged, FutureFormat, pack_history, pack_job, unpack_history, unpack_job
from ropeway.job import JSON, TEXT, Attempt, Job

GOLDEN = Path(__file__).parent / "golden"
ID = "01a3185c50007000ab0525a7c302da76"

JOBS = {
    "v1-least": Job(ID, "q"),
    "v1-text": Job(ID, "mails", "grüße \U0001f600\n".encode(), TEXT, created=1_800_000_000.25, due=1_800_000_000.25),
    "v1-bytes": Job(ID, "a.b-c_D", bytes(range(256)), created=1_800_000_000.0, due=1_800_000_060.5, delay=60.5),
    "v1-full": Job(
        ID,
        "_own",
        b'{"a":1}',
        JSON,
        {"tenant": "7 ä", "empty": "", "~!#": "="},
        priority=0,
        delay=1.5,
        key="schedule:nightly:2027-01-15T03:00 ä",
        ttl=86400.0,
        keep=3600.0,
        task="mail.send",
        lane="customer 7",
        once=True,
        created=1_800_000_000.123456,
        due=1_800_000_001.623456,
    ),
    "v1-beside": Job(ID, "films", b"", "video/mp4", priority=99, size=5_000_000_000, digest="ab" * 32),
}
HISTORY = [
    Attempt(1, 1_800_000_000.0, 1_800_000_001.5, "host:77:mailer", "failed", "OSError: disk full", "Traceback\n  ä\n"),
    Attempt(2, 1_800_000_002.0, 1_800_000_003.5, "", "lost"),
]
LOGGED = [Attempt(3, 1_800_000_004.0, 1_800_000_005.5, "host:77:mailer", "failed", "OSError: ä", "", "WARNING shop: ä\n...\n")]


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.bin").read_bytes()


@pytest.mark.parametrize("name", JOBS)
def test_a_golden_job_is_read_as_it_was_meant(name: str) -> None:
    assert unpack_job(golden(name)) == JOBS[name]


@pytest.mark.parametrize("name", JOBS)
def test_todays_writer_writes_the_same_and_adds_only_defaults(name: str) -> None:
    written, fields = pack_job(JOBS[name]), msgspec.msgpack.decode(golden(name)[1:])
    now = msgspec.msgpack.decode(written[1:])
    assert (written[:1], now[: len(fields)]) == (golden(name)[:1], fields)
    assert now[len(fields) :] == [field.default for field in msgspec.structs.fields(Job)[len(fields) :]]


def test_the_golden_history() -> None:
    assert unpack_history(golden("history")) == HISTORY
    old, now = msgspec.msgpack.decode(golden("history")), msgspec.msgpack.decode(pack_history(HISTORY))
    for then, written in zip(old, now, strict=True):
        assert written[: len(then)] == then
        assert written[len(then) :] == [field.default for field in msgspec.structs.fields(Attempt)[len(then) :]]
    assert unpack_history(golden("history-log")) == LOGGED
    assert pack_history(LOGGED) == golden("history-log")


def test_no_golden_file_is_left_out() -> None:
    assert {path.stem for path in GOLDEN.glob("*.bin")} == {*JOBS, "history", "history-log"}


@pytest.mark.parametrize("name", JOBS)
def test_an_older_writer_wrote_fewer_fields(name: str) -> None:
    fields = msgspec.msgpack.decode(golden(name)[1:])
    short = unpack_job(golden(name)[:1] + msgspec.msgpack.encode(fields[:3]))
    assert short == Job(JOBS[name].id, JOBS[name].queue, JOBS[name].body)


@pytest.mark.parametrize("name", JOBS)
def test_a_newer_writer_of_this_version_may_write_more(name: str) -> None:
    fields = msgspec.msgpack.decode(golden(name)[1:])
    today = msgspec.msgpack.decode(pack_job(JOBS[name])[1:])
    assert len(today) >= len(fields)
    assert unpack_job(golden(name)[:1] + msgspec.msgpack.encode([*today, "new", {"deep": [1]}])) == JOBS[name]


def test_a_later_version_is_left_alone() -> None:
    data = golden("v1-full")
    for version in (VERSION + 1, 255):
        with pytest.raises(FutureFormat, match=f"version {version}"):
            unpack_job(bytes([version]) + data[1:])


@pytest.mark.parametrize("name", JOBS)
def test_a_cut_or_changed_envelope_is_damaged_or_another_job_but_never_a_crash(name: str) -> None:
    data = golden(name)
    for length in range(len(data)):
        with pytest.raises(Damaged):
            unpack_job(data[:length])
    for place in range(1, len(data)):
        changed = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        try:
            unpack_job(changed)
        except Damaged:
            pass
