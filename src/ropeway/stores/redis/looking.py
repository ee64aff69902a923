"""Looking, and the operator's verbs: counts, browse, requeue, delete. Filters that ask for more than a state work on this side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ...demands import check_query
from ...errors import BadValue
from ...job import WAITING, State
from ...names import check_name, shown
from ...store import Counts, Entry, Query
from .records import STATES, micro, read_entry, read_limits
from .rooms import Room
from .scripts import Request
from .way import Way

PAGE = 200
PAGE_BYTES = 8 << 20
CHANGES = 250
LETTERS = {State.READY: "r", State.DELAYED: "l", State.DEAD: "x", State.DONE: "n"}
_CURSOR = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,127})/([0-4])/((?:[0-9a-f]{2}){17,60})\Z", re.ASCII).match
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII).match


class Looking:
    """The looking side of a store."""

    def __init__(self, way: Way, dead_keep: float) -> None:
        self._hub = way.hub
        self._rooms = way.rooms
        self._request = way.request
        self._dead_keep = micro(dead_keep)

    def queues(self) -> list[str]:
        (names,) = self._hub.ask([Request(None, ("SMEMBERS", self._rooms.queues), self._rooms.slot)])
        return sorted(name.decode() for name in names)

    def counts(self, queues: Sequence[str] | None) -> dict[str, Counts]:
        for name in queues or ():
            check_name(name)
        rooms = [self._rooms.room(name) for name in (self.queues() if queues is None else queues)]
        replies = self._hub.ask([self._request("counts", room, self._dead_keep) for room in rooms])
        return {room.queue: _counts(reply) for room, reply in zip(rooms, replies, strict=True)}

    def browse(self, query: Query) -> list[Entry]:
        out: list[Entry] = []
        for entry in self._found(query, frozenset(State)):
            if query.limit is not None and len(out) >= query.limit:
                break
            out.append(entry)
        return out

    def change(self, how: str, query: Query) -> int:
        """requeue ("r") and delete ("d"): found page by page, and each page changed at once by its ids. A job that has moved on meanwhile
        into a state that is not meant is left alone."""
        may = frozenset({State.DEAD, State.DONE, State.DELAYED} if how == "r" else State) - {State.RUNNING}
        states = (
            frozenset({State.DEAD})
            if how == "r" and query.states is None
            else may & (query.states or may if query.states is None else query.states)
        )
        count = 0
        left = query.limit
        page: list[Entry] = []
        for entry in self._found(query, states):
            if left is not None and count + len(page) >= left:
                break
            page.append(entry)
            if len(page) >= CHANGES:
                count += self._change(how, page, states)
                page = []
        return count + self._change(how, page, states)

    def _change(self, how: str, page: Sequence[Entry], states: frozenset[State]) -> int:
        groups: dict[str, list[bytes]] = {}
        for entry in page:
            groups.setdefault(entry.cursor.partition("/")[0], []).append(bytes.fromhex(entry.job.id))
        letters = "".join(LETTERS[state] for state in states)
        requests = [self._request("change", self._rooms.room(queue), how, letters, *ids) for queue, ids in groups.items()]
        return sum(self._hub.ask(requests)) if requests else 0

    # -- finding

    def _found(self, query: Query, states: frozenset[State]) -> Iterator[Entry]:
        """What fits, in order, behind the cursor."""
        check_query(query)
        after = _CURSOR(query.after) if query.after else None
        if query.after and after is None:
            raise BadValue(f"{shown(query.after)} is no cursor: give the one of the last job seen; nothing was done")
        wanted = states if query.states is None else states & query.states
        if not wanted or query.limit == 0:
            return
        names = self.queues() if query.queues is None else sorted(set(query.queues))
        past = (after[1], int(after[2])) if after else ("", -1)
        for name in names:
            if name < past[0]:
                continue
            room = self._rooms.room(name)
            if query.ids is not None:
                yield from self._by_id(room, query, wanted)
                continue
            if len(wanted) > 1 and not self._hub.one(Request(None, ("EXISTS", room.keys[2]), room.slot)):
                continue  # who looks again and again at what is mostly empty pays one command
            for number, state in enumerate(STATES):
                if state in wanted and (name, number) >= past:
                    begin = bytes.fromhex(after[3]) if after and (name, number) == past else b""
                    yield from (entry for entry in self._pages(room, state, begin, query.limit) if _fits(entry, query))

    def _pages(self, room: Room, state: State, after: bytes, limit: int | None) -> Iterator[Entry]:
        size = PAGE if limit is None else min(PAGE, max(limit, 20))
        while True:
            place, job_id = (after, b"") if state in WAITING else (after[:-17], after[-16:])
            request = self._request("page", room, state.value, place, job_id, size, self._dead_keep, PAGE_BYTES)
            ((now, boot, more, *found),) = self._hub.ask([request])
            for at in range(0, len(found), 5):
                after = found[at]
                yield read_entry(room.queue, state, after, tuple(found[at + 1 : at + 5]), (now, boot))
            if not more:
                return

    def _by_id(self, room: Room, query: Query, wanted: frozenset[State]) -> Iterator[Entry]:
        ids = [bytes.fromhex(one) for one in dict.fromkeys(query.ids or ()) if isinstance(one, str) and _ID(one)]
        found: list[Entry] = []
        for start in range(0, len(ids), PAGE):
            ((now, boot, *rows),) = self._hub.ask([self._request("find", room, self._dead_keep, *ids[start : start + PAGE])])
            for at in range(0, len(rows), 6):
                state = State(rows[at].decode())
                found.append(read_entry(room.queue, state, rows[at + 1], tuple(rows[at + 2 : at + 6]), (now, boot)))
        found.sort(key=_order)
        for entry in found:
            if entry.state in wanted and _fits(entry, query) and (not query.after or _order_of(query.after) < _order(entry)):
                yield entry


def _order(entry: Entry) -> tuple[str, int, float, bytes]:
    return _order_of(entry.cursor)


def _order_of(cursor: str) -> tuple[str, int, float, bytes]:
    """The place of a cursor among all: waiting ones by their member, the others by moment and id."""
    queue, number, where = cursor.split("/")
    raw = bytes.fromhex(where)
    if STATES[int(number)] in WAITING:
        return queue, int(number), 0.0, raw
    try:
        return queue, int(number), float(raw[:-17]), raw[-16:]
    except ValueError:
        raise BadValue(f"{shown(cursor)} is no cursor: give the one of the last job seen; nothing was done") from None


def _fits(entry: Entry, query: Query) -> bool:
    job = entry.job
    return (
        (not query.key or job.key == query.key)
        and (not query.lane or job.lane == query.lane)
        and (not query.task or job.task == query.task)
        and (not query.error or query.error in entry.error)
        and (not query.text or _holds(entry, query.text))
    )


def _holds(entry: Entry, text: str) -> bool:
    job = entry.job
    return (
        text.encode(errors="surrogatepass") in job.body
        or text in job.key
        or any(text in name or text in value for name, value in job.headers.items())
    )


def _counts(reply: list[Any]) -> Counts:
    ready, delayed, running, dead, done, oldest, exact, put, claim, limits = reply
    return Counts(
        ready, delayed, running, dead, done,
        oldest=oldest / 1e6 if oldest >= 0 else None,
        put_stopped=put[1:].decode(errors="replace") if put else None,
        claim_stopped=claim[1:].decode(errors="replace") if claim else None,
        exact=bool(exact),
        limits=read_limits(limits),
    )  # fmt: skip
