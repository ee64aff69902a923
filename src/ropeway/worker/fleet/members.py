"""The workers of a store, for those who look on: listed, pruned when they are dead, and ordered about."""

from __future__ import annotations

from typing import Any

from ...aio import twin
from ...durations import Duration, seconds, spoken
from ...errors import BadValue, RopewayError, Timeout
from ...handle import Handle
from ...job import JSON, Job
from ...link import Link
from ...living import can_be_seen, is_dead
from ...store import Feature, Query, Store
from . import notice, orders
from .notice import Notice
from .orders import Answer

TTL = 60.0  # seconds after which an order that nobody has read is void
EVER = "fleet/ever"  # a note: how many workers there ever were
FOR_EVER = 50 * 365 * 86400.0


class Member:
    """One worker. `seen` is what it last told of itself (fleet.Notice)."""

    __slots__ = ("_link", "seen")

    def __init__(self, link: Link, seen: Notice) -> None:
        self._link = link
        self.seen = seen

    @property
    def id(self) -> str:
        """Its name, which no other worker ever has."""
        return self.seen.id

    def send(self, do: str, *, slots: int = 0, job: str = "", number: int = 0, what: str = "") -> Handle[object]:
        """Give an order (orders.ORDERS says which there are) and do not wait for the answer. It is void after a minute. Raises BadValue
        for what is no order."""
        order = orders.check(do, slots, job, number, what)
        queue = notice.ORDERS + self.id
        given = Job(self._link.new_id(), queue, orders.as_body(order), JSON, ttl=TTL, keep=orders.KEPT, priority=0)
        self._link.store.put([given])
        return Handle(self._link, queue, given.id, keep=orders.KEPT)

    def order(self, do: str, *, slots: int = 0, job: str = "", number: int = 0, timeout: Duration = 10.0) -> str:
        """Give an order and wait for what the worker says to it. Raises BadValue for what is no order, or one that the worker could not
        follow; Timeout when it does not answer: it may be gone, or blocked, and follows the order when it reads it within a minute."""
        return self._answer(self.send(do, slots=slots, job=job, number=number), do, timeout).said

    def inspect(self, what: str = "state", *, timeout: Duration = 10.0) -> dict[str, Any]:
        """What it shows of itself: state, jobs (with what each does now), stacks, output, logs or metrics, as on its introspection page,
        without one. A full worker is rung for it too. Raises BadValue for what is no view, and Timeout when it does not answer;
        of a process on this host the text then says what the kernel knows."""
        handle = self.send("inspect", what=what)
        try:
            shown = self._answer(handle, f"inspect {what}", timeout).shown
        except Timeout as error:
            if not can_be_seen(self.seen.who):
                raise
            from ...sight.machine import outside, outside_text

            raise Timeout(f"{error}. Process {self.seen.pid} is on this host: {outside_text(outside(self.seen.pid))}") from None
        if not isinstance(shown, dict):
            raise BadValue(f"worker {self.id} has shown nothing")
        return shown

    def signature(self, task: str, *, timeout: Duration = 10.0) -> dict[str, Any]:
        """What a task takes that it has registered, see tasks/describing.py. Raises BadValue when it has no such task or does not know that
        order, and Timeout when it does not answer."""
        shown = self._answer(self.send("signature", what=task), f"signature of {task}", timeout).shown
        if not isinstance(shown, dict):
            raise BadValue(f"worker {self.id} has told nothing of {task}")
        return shown

    def logged(self, job: str, *, timeout: Duration = 10.0) -> list[dict[str, Any]]:
        """What this job has logged in its last run there: at most a hundred lines, each with `attempt`, `at`, `level`, `logger` and `text`.
        Nothing of a job that did not run there, has logged nothing, or ran long ago. Raises Timeout when it does not answer, and BadValue
        when it does not know that order."""
        shown = self._answer(self.send("log", job=job), f"log of {job}", timeout).shown
        rows = shown.get("lines") if isinstance(shown, dict) else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _answer(self, handle: Handle[object], do: str, timeout: Duration) -> Answer:
        try:
            answer = orders.read_answer(handle.result(timeout))
        except Timeout:
            raise Timeout(
                f"worker {self.id} has not answered within {spoken(seconds(timeout))}; the order ({do}) holds for a minute, so it "
                "may still follow it. See: ropeway workers"
            ) from None
        self._clear(handle)
        if answer.error:
            raise BadValue(f"worker {self.id} did nothing: {answer.error}")
        return answer

    aorder = twin(order)
    ainspect = twin(inspect)

    def _clear(self, handle: Handle[object]) -> None:
        """The answer was read: nobody else wants it."""
        try:
            self._link.store.delete(Query(queues=(handle.queue,), ids=(handle.id,), limit=None))
        except RopewayError:
            pass  # it goes by itself in a minute

    def __repr__(self) -> str:
        return f"<Member {self.id} {self.seen.state}>"


def workers(link: Link) -> list[Member]:
    """The workers that are there, by id. Those of this host whose process is gone are struck off; those of other hosts leave when their
    note's lifetime ends."""
    return [Member(link, seen) for seen in present(link.store)]


def present(store: Store) -> list[Notice]:
    """What the workers tell of themselves. Notes of dead ones of this host are dropped."""
    if Feature.NOTES not in store.features:
        return []
    out = []
    for key, value in store.notes.notes(notice.PREFIX).items():
        seen = notice.unpack(key, value)
        if seen is None:
            continue
        if is_dead(seen.who):
            store.notes.forget(key)
            continue
        out.append(seen)
    return out


def ever(store: Store) -> int:
    """How many workers there ever were on this store. Best effort: of two that start in the same instant one may not be counted."""
    if Feature.NOTES not in store.features:
        return 0
    text = store.notes.notes(EVER).get(EVER, b"0")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def count_one_more(store: Store) -> None:
    """A worker starts."""
    store.notes.note(EVER, b"%d" % (ever(store) + 1), FOR_EVER)
