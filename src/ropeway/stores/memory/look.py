"""Looking: which rows a query means, in which order they are shown, and as what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest

from ...demands import check_query
from ...errors import BadValue
from ...job import State
from ...names import shown
from ...store import Counts, Entry, Query
from .space import Row, Space, copied

Place = tuple[str, int, int, float, str]
_ORDER = {state: number for number, state in enumerate(State)}


def _place(row: Row) -> Place:
    return row.job.queue, _ORDER[row.state], row.job.priority, row.moment, row.job.id


def _cursor(row: Row) -> str:
    queue, order, priority, moment, job_id = _place(row)
    return f"{queue}/{order}/{priority}/{moment.hex()}/{job_id}"


def _place_of(text: str) -> Place:
    try:
        queue, order, priority, moment, job_id = text.split("/")
        return queue, int(order), int(priority), float.fromhex(moment), job_id
    except (ValueError, AttributeError, OverflowError):
        raise BadValue(f"{shown(text)} is no cursor: give the one of the last job seen; nothing was done") from None


def select(space: Space, query: Query, may: Callable[[Row], bool]) -> list[Row]:
    """The rows that fit the query and may be meant by the verb, in their order, at most its limit, after its cursor."""
    check_query(query)
    after = _place_of(query.after) if query.after else None
    known = space.rows
    rows: Iterable[Row]
    if query.ids is not None:
        rows = [known[i] for i in dict.fromkeys(query.ids) if i in known]
    elif query.queues is not None:
        rows = [row for name in dict.fromkeys(query.queues) if name in space.queues for row in space.queues[name].rows.values()]
    else:
        rows = known.values()
    found = [row for row in rows if may(row) and _fits(row, query) and (after is None or _place(row) > after)]
    return sorted(found, key=_place) if query.limit is None else nsmallest(query.limit, found, key=_place)


def _fits(row: Row, query: Query) -> bool:
    job = row.job
    return (
        (query.queues is None or job.queue in query.queues)
        and (query.states is None or row.state in query.states)
        and (not query.key or job.key == query.key)
        and (not query.lane or job.lane == query.lane)
        and (not query.task or job.task == query.task)
        and (not query.error or query.error in row.error())
        and (not query.text or _holds(row, query.text))
    )


def _holds(row: Row, text: str) -> bool:
    job = row.job
    return (
        text.encode(errors="surrogatepass") in job.body
        or text in job.key
        or any(text in name or text in value for name, value in job.headers.items())
    )


def counts(space: Space, name: str) -> Counts:
    """How many of the queue stand where: kept by `put_in` and `take_out`, so nothing is gone through."""
    queue = space.queues.get(name)
    if queue is None:
        return Counts()
    waiting = [queue.ready, *(lane.parked for lane in queue.lanes.values())]
    first = [agenda.first() for agendas in waiting for agenda in agendas.values()]
    tally = queue.tally
    return Counts(
        ready=tally.get(State.READY, 0),
        delayed=tally.get(State.DELAYED, 0),
        running=tally.get(State.RUNNING, 0),
        dead=tally.get(State.DEAD, 0),
        done=tally.get(State.DONE, 0),
        oldest=min((entry[0] for entry in first if entry is not None), default=None),
        put_stopped=queue.put_stopped,
        claim_stopped=queue.claim_stopped,
        limits=queue.limits,
    )


def entry(space: Space, row: Row) -> Entry:
    """The row as it is shown; a lease's end is told by the wall clock."""
    running = row.state is State.RUNNING
    return Entry(
        job=copied(row.job),
        state=row.state,
        due=space.now + row.moment - space.boot if running else row.moment,
        attempts=row.attempts,
        deaths=row.deaths,
        holder=row.holder if running else "",
        error=row.error(),
        history=list(row.history),
        result=row.result,
        result_type=row.result_type,
        cursor=_cursor(row),
    )
