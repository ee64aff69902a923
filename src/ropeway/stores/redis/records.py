"""The bytes that the server keeps of a job, as this side makes and reads them. The scripts know the same layout (lua/base.lua).

    blob     priority(1) flags(1) [delay ttl keep created due (doubles, microseconds) length(2) key [length(2) lane]] envelope (codec.py)
    record   due(8) created(8) blob                     the extras are there with one of the first five flags, the lane with LANE
    mark     priority(1) due(8) attempts(4) deaths(4) flags(1) [token(8) claimed(8) holder]
    history  length(4) and an attempt, again and again: "A" and MessagePack, or "L", number(4), claimed(8), ended(8), holder: a lost one
    result   length of the type(2) type bytes

All numbers are big-endian, so that the bytes of a place sort as it does.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from struct import error as struct_error

import msgspec

from ...codec import Damaged, FutureFormat, pack_job, unpack_job
from ...job import Attempt, Job, State
from ...store import ANY, Entry, Limits

KEY, KEEP, TTL, TIMED, LANE = 1, 2, 4, 8, 64
EXTRAS = KEY | KEEP | TTL | TIMED | LANE
HEAD = 18  # of a record, before the extras
RUNS = 26  # a mark of at least that length has a token
LOST = "the lease ran out without a word"

_extras = Struct(">dddddH").pack
_frame = Struct(">I").pack
_two = Struct(">QQ").unpack_from
_due = Struct(">BQ").unpack_from
_counts = Struct(">II").unpack_from
_pack_attempt = msgspec.msgpack.Encoder().encode
_unpack_attempt = msgspec.msgpack.Decoder(Attempt).decode


def micro(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1e6)


def pack_blob(job: Job, *, timed: bool = False) -> bytes:
    """What a put sends of a job. `timed`: with its moments even where it has none."""
    if not (job.key or job.keep or job.ttl or job.delay or job.lane or job.created or job.due or timed):
        return bytes((job.priority, 0)) + pack_job(job)
    key = job.key.encode()
    flags = bool(key) * KEY | bool(job.keep) * KEEP | bool(job.ttl) * TTL
    if job.delay or job.created or job.due or timed:
        flags |= TIMED
    moments = [float(micro(one)) for one in (job.delay, job.ttl, job.keep, job.created, job.due)]
    if job.lane:
        lane = job.lane.encode()
        flags |= LANE
        return bytes((job.priority, flags)) + _extras(*moments, len(key)) + key + len(lane).to_bytes(2) + lane + pack_job(job)
    return bytes((job.priority, flags)) + _extras(*moments, len(key)) + key + pack_job(job)


def read_job(record: bytes, mark: bytes) -> Job:
    """The job of a record as it stands now. Raises Damaged and FutureFormat, as codec.unpack_job does."""
    try:
        due, created = _two(record)
        at = HEAD
        if record[17] & EXTRAS:
            at += 42 + unpack_from(">H", record, HEAD + 40)[0]
            if record[17] & LANE:
                at += 2 + unpack_from(">H", record, at)[0]
        job = unpack_job(memoryview(record)[at:])
        job.created = created / 1e6
        if mark:
            job.priority, due = _due(mark)
        job.due = due / 1e6
    except (IndexError, ValueError, struct_error) as error:
        raise Damaged(f"a record that does not parse: {error}") from None
    return job


def read_counts(mark: bytes) -> tuple[int, int]:
    """Attempts and deaths so far."""
    return _counts(mark, 9) if mark else (0, 0)


def pack_attempt(attempt: Attempt | None) -> bytes:
    """An attempt for the history; nothing for none."""
    return b"" if attempt is None else b"A" + _pack_attempt(attempt)


def pack_history(history: list[Attempt]) -> bytes:
    """A history as it is brought from elsewhere."""
    frames = [pack_attempt(one) for one in history]
    return b"".join(_frame(len(frame)) + frame for frame in frames)


def read_history(data: bytes) -> list[Attempt]:
    """The attempts; what does not parse is left out: a lost history must not stop a job."""
    out, at = [], 0
    while at + 4 < len(data):
        end = at + 4 + unpack_from(">I", data, at)[0]
        frame = data[at + 4 : end]
        at = end
        try:
            if frame[:1] == b"A":
                out.append(_unpack_attempt(frame[1:]))
            else:
                number, claimed, ended = unpack_from(">IQQ", frame, 1)
                out.append(Attempt(number, claimed / 1e6, ended / 1e6, frame[21:].decode(errors="replace"), "lost", LOST))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            continue
    return out


def pack_result(result: bytes | None, kind: str) -> bytes:
    """A result and its type; nothing for none."""
    if result is None:
        return b""
    name = kind.encode(errors="replace")[:1024]
    return len(name).to_bytes(2) + name + result


def read_result(data: bytes) -> tuple[bytes | None, str]:
    """The result and its type; None for no result."""
    if not data:
        return None, ""
    end = 2 + int.from_bytes(data[:2])
    return data[end:], data[2:end].decode(errors="replace")


def read_entry(queue: str, state: State, where: bytes, parts: tuple[bytes, bytes, bytes, bytes], times: tuple[int, int]) -> Entry:
    """A job as it is shown. `where`: its member in the waiting set, or its moment, a slash and its id. `times`: the store's
    now and boot."""
    record, mark, history, result = parts
    waits = state in (State.READY, State.DELAYED)
    moment, job_id = (b"", where[9:]) if waits else (where[:-17], where[-16:])
    try:
        job = read_job(record, mark)
        error = ""
    except (Damaged, FutureFormat) as problem:
        job, error = Job(job_id.hex(), queue, record[HEAD:]), f"{type(problem).__name__}: {problem}"
    attempts, deaths = read_counts(mark)
    past = read_history(history)
    due = job.due if waits else float(moment) / 1e6
    if state is State.RUNNING:
        due += (times[0] - times[1]) / 1e6
    outcome, kind = read_result(result) if state is State.DONE else (None, "")
    return Entry(
        job,
        state,
        due,
        attempts,
        deaths,
        holder=mark[34:].decode(errors="replace") if state is State.RUNNING else "",
        error=past[-1].error if past and not error else error,
        history=past,
        result=outcome,
        result_type=kind,
        cursor=f"{queue}/{STATES.index(state)}/{where.hex()}",
    )


def read_limits(kept: bytes) -> Limits:
    """The limits of a queue as they are kept; none for what does not parse."""
    running, _, lane = kept.partition(b" ")
    return Limits(int(running), int(lane)) if running.isdigit() and lane.isdigit() else ANY


STATES = tuple(State)
