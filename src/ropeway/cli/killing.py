"""What `kill` does: sends a signal to a command by the worker that runs it, or takes a waiting one back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence

from ..errors import BadValue
from ..ids import check_id
from ..job import WAITING, Attempt, State
from ..shell.command import CONTENT_TYPE
from ..store import Entry, Handback, Query
from ..worker.fleet import Member, workers
from .finding import find
from .params import default_queue
from .session import Session
from .verdict import CONFLICT, DONE, FAILED, NOTHING, USAGE, Failure

TRIES = 20  # looks at a job that is between two states: claimed and not begun, or just ended
PAUSE = 0.25
HOLD = 60.0


def kill(session: Session, words: Sequence[str], queue: str | None, name: str) -> int:
    """Send it to each."""
    number = _number(name)
    entries = find(session, words, queue or default_queue(), done="killed")
    failed: Failure | None = None
    for entry in entries:
        try:
            text = _kill(session, entry, number)
        except Failure as error:
            failed = error
        else:
            session.out.one({"id": entry.job.id, "said": text}, [f"{entry.job.id}: {text}"])
    if failed:
        raise failed
    return DONE


def _number(name: str) -> int:
    text = name.strip().upper()
    if text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 64:
        return int(text)
    found = getattr(signal, text if text.startswith("SIG") else f"SIG{text}", None)
    if isinstance(found, signal.Signals):
        return int(found)
    raise Failure(USAGE, f"{name[:40]!r} is no signal; nothing was killed. Write TERM, INT, KILL or a number")


def _kill(session: Session, entry: Entry, number: int) -> str:
    if entry.job.content_type != CONTENT_TYPE:
        raise Failure(USAGE, f"job {entry.job.id} is no command; nothing was killed. To call it back: ropeway cancel {entry.job.id}")
    for _ in range(TRIES):
        if entry.state in WAITING:
            if _taken_back(session, entry, number):
                return "taken back before it began"
        elif entry.state is State.RUNNING:
            said = _signal(session, entry, number)
            if said:
                return said
        else:
            raise Failure(CONFLICT, f"job {entry.job.id} has ended: {entry.error or entry.state}; nothing was killed")
        session.link.clock.sleep(threading.Event(), PAUSE)
        again = session.store.browse(Query(queues=(entry.job.queue,), ids=(check_id(entry.job.id),)))
        if not again:
            raise Failure(NOTHING, f"job {entry.job.id} has gone meanwhile; nothing was killed")
        entry = again[0]
    raise Failure(FAILED, f"job {entry.job.id} could not be reached: it is {entry.state}; nothing was killed. Try again")


def _taken_back(session: Session, entry: Entry, number: int) -> bool:
    """It ends dead, as if the signal had met it, so that whoever waits for it learns that."""
    store, holder, now = session.store, session.link.holder(), session.link.clock.now()
    try:
        shown = f" ({signal.Signals(number).name})"
    except ValueError:
        shown = ""
    error = f"killed by signal {number}{shown} before it began"
    attempt = Attempt(0, now, now, holder.name, "killed", error)
    lent = store.pick(entry.job.queue, (entry.job.id,), HOLD, holder)[0]
    if lent is not None:
        return store.bury([Handback(lent.receipt, attempt=attempt, restore=True)])[0]
    # its lane or queue is full, so that nobody can pick it: it is taken out, and brought back as a dead one
    if not store.delete(Query(queues=(entry.job.queue,), ids=(entry.job.id,), states=WAITING, limit=None)):
        return False
    store.bring([Entry(entry.job, State.DEAD, now, entry.attempts, entry.deaths, error=error, history=[*entry.history, attempt])])
    return True


def _signal(session: Session, entry: Entry, number: int) -> str:
    """What its worker says; nothing when it has not begun there, or has just ended."""
    members = [member for member in workers(session.link) if _holds(member, entry)]
    if not members:
        raise Failure(NOTHING, f"job {entry.job.id} runs on {entry.holder}, and no worker of that name takes orders; nothing was killed")
    for member in members:
        try:
            return member.order("signal", job=entry.job.id, number=number)
        except BadValue:
            continue
    return ""


def _holds(member: Member, entry: Entry) -> bool:
    seen = member.seen
    return entry.holder == f"{seen.host}:{seen.pid}:{seen.name}"
