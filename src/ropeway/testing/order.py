"""Judges the lanes and limits of a ledger: were the jobs of each lane run in the order in which they were put, and never two at once? Did
no more run at once than may?

As in history.py every rule is conservative: what it reports is proven by the ledger. A job surely is lent out when the claim has been
written down, and surely has not ended before somebody set about to ack it. The jobs of a lane are put by one process, and their order is
that of its puts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from .ledger import Line


class _Seen(Struct):
    """One job of a lane: when it was claimed (begin of the call, line about it), and when somebody first set about to ack it."""

    job_id: str
    claims: list[tuple[float, float]] = []
    acked: float = float("inf")


def lanes_of(lines: Iterable[Line]) -> dict[str, list[str]]:
    """The ids of the jobs of each lane, in the order in which they were put."""
    out: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.what == "put.call":
            for job_id, lane in zip(line.ids, line.lanes, strict=False):
                if lane:
                    out[lane].append(job_id)
    return out


def overtaken(lines: Iterable[Line]) -> list[str]:
    """What is wrong with the lanes, in sentences; nothing when each was in order, one at a time."""
    lines = list(lines)
    seen = _seen(lines)
    wrong = []
    for lane, ids in lanes_of(lines).items():
        first: _Seen | None = None
        for job_id in ids:
            job = seen.get(job_id)
            if job is None:
                continue  # never stored, or nobody who had it lived to write it down
            if first is not None:
                wrong += _between(lane, first, job)
            first = job
    return wrong


def _between(lane: str, one: _Seen, other: _Seen) -> list[str]:
    """Two that were put one after the other: the other may only be lent when the one has ended."""
    begun = min(at for _, at in other.claims)
    wrong = []
    if begun < one.acked:
        wrong.append(f"lane {lane}: {other.job_id} was lent at {begun:.3f}, and {one.job_id} before it was not done until {one.acked:.3f}")
    late = [called for called, _ in one.claims if called > begun]
    if late:
        wrong.append(f"lane {lane}: {one.job_id} was lent again at {late[0]:.3f}, after {other.job_id} behind it at {begun:.3f}")
    return wrong


def _seen(lines: list[Line]) -> dict[str, _Seen]:
    seen: dict[str, _Seen] = {}
    jobs: dict[str, str] = {}
    for line in lines:
        if line.what == "claim":
            for job_id, receipt in zip(line.ids, line.receipts, strict=True):
                jobs[receipt] = job_id
                seen.setdefault(job_id, _Seen(job_id)).claims.append((line.called, line.at))
    for line in lines:
        if line.what == "ack.call":
            for receipt in line.receipts:
                if receipt in jobs:
                    job = seen[jobs[receipt]]
                    job.acked = min(job.acked, line.at)
    return seen


def crowded(lines: Iterable[Line], most: int) -> list[str]:
    """Whether more than that were surely lent out at once: from the line about the claim until somebody set about to settle it, its process
    was to be killed, or its lease was over."""
    lines = list(lines)
    killed = {line.victim: line.at for line in lines if line.what == "kill"}
    ends: dict[str, float] = {}
    for line in lines:
        if line.what.endswith(".call") and line.what != "put.call" and not line.what.startswith("extend"):
            for receipt in line.receipts:
                ends.setdefault(receipt, line.at)
    steps: list[tuple[float, int]] = []
    for line in lines:
        if line.what == "claim":
            for receipt, until in zip(line.receipts, line.untils, strict=True):
                end = min(ends.get(receipt, until), until, killed.get(line.who, until))
                if end > line.at:
                    steps += [(line.at, 1), (end, -1)]
    running, worst, at = 0, 0, 0.0
    for moment, step in sorted(steps):
        running += step
        if running > worst:
            worst, at = running, moment
    return [f"{worst} jobs were lent out at once at {at:.3f}, {most} may be"] if worst > most else []
