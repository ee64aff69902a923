"""The format of exported jobs, and writing it.

The first line is {"format": "ropeway-jobs", "version": 1}, the last {"end": true, "jobs": N}; each between them is a job. Times are
seconds since 1970, durations seconds; fields that say nothing are left out. `due` is when a job is due (for one that runs: was), died, or
may be forgotten. A body that the store keeps beside its job has `parts` in
place of `body`: so many lines {"part": base64} follow, in constant memory on both sides. A reader passes over fields that it does not
know; what it must not pass over raises the version.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from ..carry import jobs_of
from ..job import BYTES, State
from ..store import Entry
from .bodies import put_bytes
from .looking import named_queues, states_of
from .output import Row, to_json
from .session import Session

FORMAT = "ropeway-jobs"
VERSION = 1
PART = 3 << 18  # bytes of a body in one line

# Fields of the job that stand in the row under their own names, with what they are when they are left out.
PLAIN: dict[str, Any] = {
    "content_type": BYTES, "headers": {}, "priority": 50, "delay": 0.0, "key": "", "ttl": 0.0, "keep": 0.0, "task": "", "lane": "",
    "once": False,
}  # fmt: skip


def export(session: Session, patterns: Sequence[str], states: Sequence[str]) -> int:
    """Write the jobs of these queues to stdout."""
    write = session.out.stream.write
    queues = named_queues(session, patterns)
    write(to_json({"format": FORMAT, "version": VERSION}) + b"\n")
    count = 0
    for entry in jobs_of(session.store, queues, states_of(states)):
        _write(write, entry)
        count += 1
    write(to_json({"end": True, "jobs": count}) + b"\n")
    session.note(f"exported {count:,} job{'' if count == 1 else 's'}")
    return 0


def _write(write: Any, entry: Entry) -> None:
    job = entry.job
    row: Row = {"id": job.id, "queue": job.queue, "state": str(entry.state)}
    row |= {name: value for name, empty in PLAIN.items() if (value := getattr(job, name)) != empty}
    row |= {"created": job.created, "due": (job.due or job.created) if entry.state is State.RUNNING else entry.due}
    row |= {name: value for name, value in (("attempts", entry.attempts), ("deaths", entry.deaths)) if value}
    if entry.history:
        row["history"] = [asdict(attempt) for attempt in entry.history]
    if entry.result is not None:
        put_bytes(row, "result", entry.result)
        row["result_type"] = entry.result_type
    if job.source is None:
        put_bytes(row, "body", job.body)
        write(to_json(row) + b"\n")
        return
    row |= {"size": job.source.size, "parts": -(-job.source.size // PART)}
    write(to_json(row) + b"\n")
    with open(job.source.path(), "rb") as file:
        for _ in range(row["parts"]):
            write(b'{"part":"' + b64encode(file.read(PART)) + b'"}\n')
