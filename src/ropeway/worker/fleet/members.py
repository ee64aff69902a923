"""The workers of a store, for those who look on: listed, pruned when they are dead, and ordered about."""

from __future__ import annotations

from ...aio import twin
from ...durations import Duration, seconds, spoken
from ...errors import BadValue, RopewayError, Timeout
from ...handle import Handle
from ...job import JSON, Job
from ...link import Link
from ...living import is_dead
from ...store import Feature, Query, Store
from . import notice, orders
from .notice import Notice

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

    def send(self, do: str, *, slots: int = 0) -> Handle[object]:
        """Give an order (orders.ORDERS says which there are) and do not wait for the answer. It is void after a minute. Raises BadValue
        for what is no order."""
        order = orders.check(do, slots)
        queue = notice.ORDERS + self.id
        job = Job(self._link.new_id(), queue, orders.as_body(order), JSON, ttl=TTL, keep=orders.KEPT, priority=0)
        self._link.store.put([job])
        return Handle(self._link, queue, job.id, keep=orders.KEPT)

    def order(self, do: str, *, slots: int = 0, timeout: Duration = 10.0) -> str:
        """Give an order and wait for what the worker says to it. Raises BadValue for what is no order, or one that the worker could not
        follow; Timeout when it does not answer: it may be gone, or blocked, and follows the order when it reads it within a minute."""
        handle = self.send(do, slots=slots)
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
        return answer.said

    aorder = twin(order)

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
