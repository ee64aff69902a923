"""Batches: grouped by queue, cut to what one script call holds, answered in the caller's order; and what else goes in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ...errors import Stopped
from ...job import HISTORY, Job, State
from ...store import Entry, Holder
from .records import micro, pack_blob, pack_history, pack_result
from .rooms import read_receipt
from .scripts import Argument, Request

BATCH = 250  # jobs a script call: under half a millisecond of the server
BYTES = 1 << 20  # and so much of bodies


def stamp(job: Job, now: int) -> None:
    """Fill in its moments, as the server has computed them."""
    if not (job.created or job.due or job.delay):
        job.created = job.due = now / 1e6
        return
    job.created = job.created or now / 1e6
    job.due = job.due or (micro(job.created) + micro(job.delay)) / 1e6


def grouped(queues: Iterable[str]) -> dict[str, list[int]]:
    """The places of each queue in the batch."""
    groups: dict[str, list[int]] = {}
    for index, queue in enumerate(queues):
        groups.setdefault(queue, []).append(index)
    return groups


def parted(indices: Sequence[int], size: Callable[[int], int]) -> Iterator[list[int]]:
    """Cut so that no part has more than BATCH jobs and, but for a single large one, BYTES."""
    part: list[int] = []
    room = BYTES
    for index in indices:
        room -= size(index)
        if part and (room < 0 or len(part) >= BATCH):
            yield part
            part, room = [], BYTES - size(index)
        part.append(index)
    if part:
        yield part


def chained(first: Iterable[Request], then: Iterable[Request]) -> Iterator[Request]:
    """One behind the other, each made when it is sent."""
    yield from first
    yield from then


def answers(count: int, places: Sequence[Sequence[int]], replies: Sequence[bytes]) -> list[bool]:
    """A byte a job, back in the order of the caller."""
    if len(replies) == 1 and len(places[0]) == count == replies[0].count(b"1"):
        return [True] * count
    answers = [False] * count
    for part, reply in zip(places, replies, strict=True):
        for index, answer in zip(part, reply, strict=True):
            answers[index] = answer == 49
    return answers


def brought(entry: Entry) -> tuple[Argument, ...]:
    """What the script is told of a job that comes from elsewhere (demands.arrival says when it is due)."""
    state = {State.DEAD: b"x", State.DONE: b"n"}.get(entry.state, b"w")
    moment = entry.job.due or entry.job.created if entry.state is State.RUNNING else entry.due
    if not moment and entry.state is not State.DONE:
        moment = entry.job.due or entry.job.created
    counts = entry.attempts.to_bytes(4) + entry.deaths.to_bytes(4)
    result = pack_result(entry.result, entry.result_type) if state == b"n" else b""
    history = pack_history(entry.history[-HISTORY:])
    return bytes.fromhex(entry.job.id), pack_blob(entry.job, timed=True), state, micro(moment) or b"", counts, history, result


def is_job_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == 32 and read_receipt(f"q/{value}/{'0' * 16}") is not None


def holder_text(holder: Holder) -> bytes:
    return holder.name.encode(errors="replace")[:256]


def stopped(what: str, queue: str, reason: bytes) -> Stopped:
    """The refusal of a queue that is switched off."""
    text = reason.decode(errors="replace")
    return Stopped(f"queue {queue} {what}: {text or 'no reason given'}; nothing was done", queue=queue, reason=text)
