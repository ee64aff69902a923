"""Which queues a claim passes over, and before which it ends, where a session reads the marks of all queues at once."""

from __future__ import annotations

from collections.abc import Sequence

from .session import Session

Marks = Sequence[tuple[str, str | None, int]]  # name, why it hands out nothing, how many of it may run: of queues where any of it matters


def passed(marks: Marks, queues: Sequence[str]) -> tuple[Sequence[str], int | None, tuple[str, str] | None]:
    """The queues to hand out from, up to the first that is guarded; the place of that one; and, when all are switched off, the first of
    them and why."""
    if not marks:
        return queues, None, None
    found = {name: reason for name, reason, _ in marks}
    out: list[str] = []
    stop = None
    for place, name in enumerate(queues):
        if name not in found:
            out.append(name)
            continue
        reason = found[name]
        if reason is None:
            return out, place, None
        stop = stop or (name, reason)
    return out, None, None if out else stop


def held_up(session: Session, marks: Marks, queues: Sequence[str]) -> set[str] | None:
    """Those of the queues that have nothing due, whatever is in them. None when a lane of one has a place for what is parked in it."""
    out = set()
    for name, reason, running in marks:
        if name not in queues:
            continue
        if reason is not None or (running and session.run("running", queue=name)[0][0] >= running):
            out.add(name)
        elif session.run("freed", queue=name):
            return None
    return out
