"""Pause everything: one switch for a whole store, a note that all workers know.

Workers read it when they start, with each of their notes, and when an order tells them to: whoever turns it gives that order to all who
are there. A worker writes its note first and reads the switch after, and who turns the switch does so first and lists the workers after,
so one of the two always sees the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...demands import check_reason
from ...errors import RopewayError
from ...job import WAITING, State
from ...link import Link
from ...store import Feature, Query, Store
from . import notice

SWITCH = "fleet/paused"
FOR_EVER = 50 * 365 * 86400.0


def paused(store: Store) -> str | None:
    """Why everything is paused, perhaps nothing; None when it is not."""
    if Feature.NOTES not in store.features:
        return None
    reason = store.notes.notes(SWITCH).get(SWITCH)
    return None if reason is None else reason.decode("utf-8", "replace")


def pause(link: Link, reason: str = "") -> int:
    """No worker of this store starts a job from now on; what runs goes on. How many workers were told; those that are not there yet see
    it when they start. Raises BadValue for a reason that is none or too long."""
    check_reason(reason)
    link.store.notes.note(SWITCH, reason.encode("utf-8", "replace"), FOR_EVER)
    return _tell(link)


def resume(link: Link) -> int:
    """Go on. How many workers were told. What was paused by a queue's own switch, or by an order to one worker, stays paused."""
    link.store.notes.forget(SWITCH)
    return _tell(link)


def _tell(link: Link) -> int:
    from .members import workers

    told = 0
    for member in workers(link):
        try:
            member.send("look")
            told += 1
        except RopewayError:
            continue  # it sees the switch with its next note
    return told


def forget_orders(store: Store, worker: str) -> None:
    """The queue of orders of a worker that is no more: unread ones go, and the queue with them, unless somebody has still to read an
    answer. Then it goes when the fleet tidies up."""
    queues = (notice.ORDERS + worker,)
    store.delete(Query(queues=queues, states=WAITING, limit=None))
    store.drop(queues)


def remove(store: Store, queues: Sequence[str]) -> None:
    """These queues with all that is in them; one in which a job runs stays."""
    store.delete(Query(queues=tuple(queues), states=frozenset(State) - {State.RUNNING}, limit=None))
    store.drop(queues)
