"""Looking: counts, and jobs page by page in the order (queue, state, priority, moment, id), or by id. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...codec import Damaged, FutureFormat
from ...demands import check_query
from ...errors import BadValue
from ...ids import is_id
from ...job import Job, State
from ...names import shown
from ...store import Counts, Entry, Limits, Query
from .record import MICRO, Row
from .session import DEAD, DONE, RUNNING, WAITING, Session

ORDER = (State.READY, State.DELAYED, State.RUNNING, State.DEAD, State.DONE)
PAGE = 500
FIRST, LAST = -(1 << 62), 1 << 62  # before and after every moment
_STORED = {State.DEAD: DEAD, State.DONE: DONE}
_NO_ID = "0" * 32

Place = tuple[int, int, str]  # priority, moment, id


def check(query: Query) -> None:
    """BadName or BadValue for a query that cannot be asked."""
    check_query(query)
    if query.after:
        _read_cursor(query.after)


def counts(session: Session, queues: Sequence[str] | None, dead_keep: int) -> dict[str, Counts]:
    """How many jobs of these queues, or of all, stand where; what should have been forgotten is not counted."""
    names = [name for (name,) in session.run("queues")] if queues is None else list(queues)
    out = {name: Counts() for name in names}
    for name, ready, count, first in session.run("count_waiting", queues=names):
        if ready:
            out[name].ready, out[name].oldest = count, first / MICRO
        else:
            out[name].delayed = count
    for name, count, first in session.run("count_parked", queues=names):
        oldest = out[name].oldest
        out[name].ready += count
        out[name].oldest = first / MICRO if oldest is None else min(oldest, first / MICRO)
    for name, count in session.run("count_running", queues=names):
        out[name].running = count
    for name, state, count in session.run("count_ended", queues=names, dead_keep=dead_keep or LAST):
        setattr(out[name], "dead" if state == DEAD else "done", count)
    for name, put_stopped, claim_stopped in session.run("switches"):
        if name in out:
            out[name].put_stopped, out[name].claim_stopped = put_stopped, claim_stopped
    for name, running, width in session.run("limits"):
        if name in out:
            out[name].limits = Limits(running, width)
    return out


def entries(session: Session, query: Query, dead_keep: int) -> list[Entry]:
    return [entry for _, entry in found(session, query, dead_keep)]


def found(session: Session, query: Query, dead_keep: int, states: frozenset[State] = frozenset(ORDER)) -> Iterator[tuple[Row, Entry]]:
    """The jobs that fit the query and are in one of these states, in order, up to its limit."""
    left = LAST if query.limit is None else query.limit
    if left <= 0:
        return
    times = session.time()
    wanted = states if query.states is None else states & query.states
    walk = _by_id(session, query, times, dead_keep) if query.ids is not None else _in_order(session, query, times, dead_keep, wanted)
    for row, entry in walk:
        if entry.state in wanted and (not query.after or _place(row, entry) > _read_cursor(query.after)) and fits(entry, query):
            yield row, entry
            left -= 1
            if not left:
                return


def _by_id(session: Session, query: Query, times: tuple[int, int], dead_keep: int) -> Iterator[tuple[Row, Entry]]:
    ids = [one for one in dict.fromkeys(query.ids or ()) if is_id(one)]
    some = []
    for begin in range(0, len(ids), PAGE):
        for raw in session.run("seen", ids=ids[begin : begin + PAGE]):
            row = Row(*raw)
            entry = entry_of(row, times)
            forgotten = _low(entry.state, times[0], dead_keep)
            if (query.queues is None or row.queue in query.queues) and entry.due * MICRO > forgotten:
                some.append((row, entry))
    yield from sorted(some, key=lambda pair: _place(*pair))


def _in_order(
    session: Session, query: Query, times: tuple[int, int], dead_keep: int, states: frozenset[State]
) -> Iterator[tuple[Row, Entry]]:
    names = [name for (name,) in session.run("queues")]
    queues = names if query.queues is None else sorted({name for name in query.queues if name in names})
    after = _read_cursor(query.after) if query.after else None
    few = PAGE if query.limit is None or query.key or query.lane or query.task or query.error or query.text else min(PAGE, query.limit)
    for queue in queues:
        for rank, state in enumerate(ORDER):
            if state not in states or (after is not None and (queue, rank) < after[:2]):
                continue
            place: Place = (-1, FIRST, _NO_ID)
            if after is not None and (queue, rank) == after[:2]:
                place = after[2:]
            while rows := _page(session, queue, state, place, times[0], dead_keep, few):
                for row in rows:
                    yield row, entry_of(row, times)
                if len(rows) < few:
                    break
                last = rows[-1]
                place = (last.priority, _moment(last), last.id)


def _page(session: Session, queue: str, state: State, place: Place, now: int, dead_keep: int, limit: int) -> list[Row]:
    priority, moment, job_id = place
    given = {"queue": queue, "priority": priority, "moment": moment, "id": job_id, "limit": limit}
    if state is State.READY:
        rows = session.run("page_waiting", low=FIRST, high=now, **given)
        if parked := session.run("page_parked", **given):
            both = [Row(*raw) for raw in (*rows, *parked)]
            return sorted(both, key=lambda row: (row.priority, row.due, row.id))[:limit]
    elif state is State.DELAYED:
        rows = session.run("page_waiting", low=now, high=LAST, **given)
    elif state is State.RUNNING:
        rows = session.run("page_running", **given)
    else:
        rows = session.run("page_ended", state=_STORED[state], low=_low(state, now, dead_keep), **given)
    return [Row(*raw) for raw in rows]


def _low(state: State, now: int, dead_keep: int) -> int:
    """The moment up to which what has ended in this state is forgotten."""
    if state is State.DONE:
        return now
    return now - dead_keep if state is State.DEAD and dead_keep else FIRST


def entry_of(row: Row, times: tuple[int, int]) -> Entry:
    """The row as it is shown; a lease's end is told by the wall clock. One whose envelope is damaged shows what the columns say."""
    now, boot = times
    moment = _moment(row)
    if row.parked:
        state = State.READY
    elif row.state == WAITING:
        state = State.READY if moment <= now else State.DELAYED
    else:
        state = {RUNNING: State.RUNNING, DEAD: State.DEAD, DONE: State.DONE}[row.state]
    try:
        job = row.job()
    except (Damaged, FutureFormat):
        job = Job(row.id, row.queue, row.body, priority=row.priority, created=row.created / MICRO, due=row.due / MICRO)
    history = row.history()
    entry = Entry(
        job,
        state,
        (now + moment - boot if state is State.RUNNING else moment) / MICRO,
        row.attempts,
        row.deaths,
        holder=row.holder_name(),
        error=history[-1].error if history else "",
        history=history,
        result=row.result,
        result_type=row.result_type or "",
    )
    entry.cursor = "/".join(map(str, _place(row, entry)))
    return entry


def _moment(row: Row) -> int:
    """The moment that gives it its place among those of its state."""
    return row.due if row.state == WAITING or row.parked else row.moment or 0


def _place(row: Row, entry: Entry) -> tuple[str, int, int, int, str]:
    return row.queue, ORDER.index(entry.state), row.priority, _moment(row), row.id


def _read_cursor(text: str) -> tuple[str, int, int, int, str]:
    try:
        queue, rank, priority, moment, job_id = text.split("/")
        place = queue, int(rank), int(priority), int(moment), job_id
        if is_id(job_id) and -1 <= place[2] < 100 and FIRST <= place[3] <= LAST:
            return place
    except (ValueError, AttributeError):
        pass
    raise BadValue(f"{shown(text)} is no cursor: give the one of the last job seen; nothing was done")


def fits(entry: Entry, query: Query) -> bool:
    """Whether a job fits what a query asks of its content."""
    job = entry.job
    if (query.key and job.key != query.key) or (query.lane and job.lane != query.lane) or (query.task and job.task != query.task):
        return False
    if query.error and query.error not in entry.error:
        return False
    text = query.text
    if not text or text in job.key or text.encode(errors="surrogatepass") in job.body:
        return True
    return any(text in name or text in value for name, value in job.headers.items())
