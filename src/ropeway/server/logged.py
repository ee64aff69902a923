"""What a job has logged: of the attempts that failed it stands with them; what its last run says is asked of the worker that has it, or,
once it has ended, of those that serve its queue, for as long as they remember."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from ..broker import Broker
from ..errors import BadValue, Timeout
from ..job import State
from ..names import check_patterns, matching
from ..store import Entry
from ..worker.fleet import Member, Notice, workers
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Role
from .looking import entry_of

PATIENCE = 3.0  # seconds for a worker; a busy one reads its orders each second
ASKED = 8  # workers that are asked for a job that has ended
MOST = 1000  # characters of a text from a worker
FIELDS = (("attempt", int), ("at", float), ("level", str), ("logger", str), ("text", str))


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""

    async def log(call: Call) -> Response:
        asking.query(call, ())
        entry = await entry_of(broker, call)
        asked = [] if entry.state in (State.READY, State.DELAYED) and not entry.attempts else await asyncio.to_thread(_who, broker, entry)
        answers = await asyncio.gather(*(asyncio.to_thread(_ask, member, entry.job.id) for member in asked))
        lines = max((answer for answer in answers if answer), key=lambda rows: rows[-1]["at"], default=[])
        silent = [member.id for member, answer in zip(asked, answers, strict=True) if answer is None]
        return said({"lines": lines, "asked": [member.id for member in asked], "silent": silent})

    return [Door("GET", "/v1/jobs/{id}/log", Role.OBSERVE, log, says="What its last run has logged, while its worker knows", changes=False)]


def _who(broker: Broker, entry: Entry) -> list[Member]:
    """Who runs it; of one that does not run, who may have done."""
    there = workers(broker.link)
    if entry.state is State.RUNNING:
        host, pid, name = (*entry.holder.split(":", 2), "", "")[:3]
        return [one for one in there if (one.seen.host, str(one.seen.pid), one.seen.name) == (host, pid, name)][:1]
    return [one for one in there if serves(one.seen, entry.job.queue)][:ASKED]


def serves(worker: Notice, queue: str) -> bool:
    """Whether it takes from this queue: by what it asks for, since a note tells only of the queues that there were when it was written."""
    try:
        patterns = check_patterns([pattern.partition("=")[0] for pattern in worker.patterns])
    except BadValue:
        return False
    return queue in worker.queues or queue in matching(patterns, [queue])


def _ask(member: Member, job: str) -> list[dict[str, Any]] | None:
    """Its lines, checked: a worker is another program. None when it does not answer."""
    try:
        rows = member.logged(job, timeout=PATIENCE)
    except (Timeout, BadValue):
        return None
    return [{name: row[name] if kind is not str else row[name][:MOST] for name, kind in FIELDS} for row in rows if _is_line(row)]


def _is_line(row: dict[str, Any]) -> bool:
    return all(type(row.get(name)) is kind for name, kind in FIELDS)
