"""Bringing: jobs taken in as they stood in another store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ...codec import pack_head, pack_history
from ...demands import arrival
from ...job import HISTORY, State
from ...store import Entry
from .operating import free_key, standing, there
from .record import MICRO, micros
from .session import DEAD, DONE, WAITING, Session

_STORED = {State.DEAD: DEAD, State.DONE: DONE}


def bring(session: Session, entries: Sequence[Entry], dead_keep: int) -> list[bool]:
    """Whether each is here now, or was."""
    now, _ = session.time()
    queues = {entry.job.queue for entry in entries}
    there(session, queues - {name for (name,) in session.run("queues")}, {entry.job.queue for entry in entries if entry.job.lane})
    here = {job_id: one.queue for job_id, one in standing(session, [entry.job.id for entry in entries], dead_keep).items()}
    answers = []
    for entry in entries:
        job_id, queue = entry.job.id, entry.job.queue
        if job_id not in here:
            values = _values(entry, now)
            over = values["state"] == DONE and values["moment"] <= now
            if not over:
                if values["key"] is not None and not free_key(session, queue, values["key"]):
                    answers.append(False)
                    continue
                session.run("bring", **values)
                here[job_id] = queue
        answers.append(here.get(job_id, queue) == queue)
    return answers


def _values(entry: Entry, now: int) -> dict[str, Any]:
    job = replace(entry.job, size=-1, digest="", source=None)
    moment = micros(arrival(entry, now / MICRO))
    state = _STORED.get(entry.state, WAITING)
    created = micros(job.created) or now
    done = state == DONE
    return {
        "id": job.id,
        "queue": job.queue,
        "priority": job.priority,
        "due": moment if state == WAITING else micros(job.due) or created,
        "created": created,
        "state": state,
        "moment": None if state == WAITING else moment,
        "attempts": entry.attempts,
        "deaths": entry.deaths,
        "key": job.key if job.key and state != DEAD else None,
        "head": pack_head(job),
        "body": job.body,
        "past": pack_history(entry.history[-HISTORY:]) if entry.history else None,
        "result": entry.result if done else None,
        "result_type": entry.result_type if done else None,
        "lane": job.lane or None,
    }
