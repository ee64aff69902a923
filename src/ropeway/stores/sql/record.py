"""A job as it stands in the table: which column holds what, and the way there and back.

What an index or another statement must see has a column of its own. The rest is in `head`: the job's envelope (codec.py) without its body,
with the moments at 0, since those are columns too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...codec import pack_history, unpack_history, unpack_job
from ...job import HISTORY, Attempt, Job

MICRO = 1_000_000

COLUMNS = "id, queue, priority, due, created, state, moment, attempts, deaths, holder, claimed, head, body, past, result, result_type, lane"
WIDTH = 17  # how many these are

NEVER = (
    1 << 62
)  # the moment of a job that is parked: it stands as one that runs for ever and that nobody holds, so that older releases, which
# know nothing of lanes, leave it alone

HEX_COLUMNS = COLUMNS.replace("id,", "lower(hex(id)),", 1)  # the same with the id as text, where ids are bytes


class Row(NamedTuple):
    """The columns of COLUMNS, in their order. `due`: when it is, or was, due. `moment`: running: when the lease ends, by the clock of
    leases; dead: when it died; done: when it is forgotten; parked: NEVER; else nothing. `lane`: of the put; nothing when there is none."""

    id: str
    queue: str
    priority: int
    due: int
    created: int
    state: int
    moment: int | None
    attempts: int
    deaths: int
    holder: str | None
    claimed: int | None
    head: bytes
    body: bytes
    past: bytes | None
    result: bytes | None
    result_type: str | None
    lane: str | None

    @property
    def parked(self) -> bool:
        """Whether it waits outside of the order, until its lane has a place (lanes.py)."""
        return self.state == 1 and self.moment == NEVER

    def job(self) -> Job:
        """The job; Damaged or FutureFormat when its envelope is none."""
        job = unpack_job(self.head)
        job.body, job.priority, job.created, job.due = self.body, self.priority, self.created / MICRO, self.due / MICRO
        return job

    def expires(self, job: Job) -> float:
        """The microsecond from which nobody wants it any more."""
        return self.created + job.ttl * MICRO if job.ttl else float("inf")

    def holder_name(self) -> str:
        """What the holder calls itself, without the process that would have to die (crowd.py)."""
        return (self.holder or "").partition(" ")[2]

    def history(self) -> list[Attempt]:
        return unpack_history(self.past) if self.past else []


def micros(seconds: float) -> int:
    return round(seconds * MICRO)


def moments(job: Job, now: int) -> tuple[int, int]:
    """When the job counts as made and is due: as it says, else now and after its delay. Written back to it."""
    if not (job.created or job.due or job.delay):
        job.created = job.due = now / MICRO
        return now, now
    created = round(job.created * MICRO) if job.created else now
    due = round(job.due * MICRO) if job.due else created + round(job.delay * MICRO)
    job.created, job.due = created / MICRO, due / MICRO
    return created, due


def remembered(past: bytes | None, attempt: Attempt | None) -> bytes | None:
    """The history with one more attempt, the last ten of them."""
    if attempt is None:
        return past
    return pack_history([*(unpack_history(past) if past else []), attempt][-HISTORY:])


def plain(text: Any, longest: int = 200) -> str:
    """Text for people as any database takes it: no NUL, nothing that is not Unicode, not too long."""
    return str(text)[:longest].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
