"""What one client of a file server does, another sees in time: one process with a store on each of two mounts, one deed after the other.

A client believes what it has seen for up to a minute: listings, names that were not there, attributes, folders that are open and were
removed by another. Each check here is one such belief that would make a job invisible, a switch dead, or a call fail.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ropeway.errors import RopewayError, Stopped
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Lent, Query, Store

PATIENCE = 20.0  # seconds after which a check gives up
IN_TIME = 5.0
HOLDER = Holder("across")
new_id = IdMaker(time.time_ns, os.urandom)
Check = Callable[[Store, Store], str]  # what is wrong, or nothing


def job(queue: str, **fields: object) -> Job:
    return Job(new_id(), queue, b"body", **fields)  # type: ignore[arg-type]


def until(done: Callable[[], object]) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > PATIENCE:
            return float("inf")
        time.sleep(0.01)
    return time.monotonic() - began


def late(what: str, seconds: float) -> str:
    return f"{what} was seen after {seconds:.1f} s" if seconds > IN_TIME else ""


def claimed(store: Store, queue: str, limit: int = 1) -> list[Lent]:
    """As many as that, or what could be had in time."""
    out: list[Lent] = []

    def enough() -> bool:
        out.extend(store.claim([queue], limit - len(out), 60.0, HOLDER))
        return len(out) >= limit

    until(enough)
    return out


def put_while_listed(one: Store, two: Store) -> str:
    """A job that is put in the very tick in which another client lists."""
    worst = 0.0
    one.claim(["listed"], 1, 60.0, HOLDER)
    for _ in range(60):
        two.put([job("listed")])
        began = time.monotonic()
        found = claimed(one, "listed")
        worst = max(worst, time.monotonic() - began)
        one.ack([Ack(lent.receipt) for lent in found])
        if worst > IN_TIME:
            break
    return late("a job that was put while another client listed", worst)


def waited_for(one: Store, two: Store) -> str:
    """The same, by one who waits."""
    worst = 0.0
    for _ in range(8):
        while one.wait(["waited"], 0.05):
            one.ack([Ack(lent.receipt) for lent in one.claim(["waited"], 9, 60.0, HOLDER)])
        two.put([job("waited")])
        worst = max(worst, until(lambda: one.wait(["waited"], 0.3)))
        if worst > IN_TIME:
            break
    return late("a job that another client waited for", worst)


def new_queue(one: Store, two: Store) -> str:
    """A queue that was not there when one looked first."""
    one.claim(["fresh"], 1, 60.0, HOLDER)
    one.counts(["fresh"])
    two.put([job("fresh")])
    return late("a new queue", until(lambda: one.claim(["fresh"], 1, 60.0, HOLDER))) or late(
        "a new queue in the list", until(lambda: "fresh" in one.queues())
    )


def switches(one: Store, two: Store) -> str:
    """A queue that is switched off, and on again, by another."""

    def refused() -> bool:
        try:
            one.put([job("switched", delay=900.0)])
        except Stopped:
            return True
        return False

    refused()
    two.pause(["switched"], put=True, reason="closed")
    off = until(refused)
    two.pause(["switched"], put=False)
    return late("a switch that was set", off) or late("a switch that was opened", until(lambda: not refused()))


def freed_key(one: Store, two: Store) -> str:
    """A unique key whose job another has ended."""
    one.put([job("keyed", key="only")])
    if two.put([job("keyed", key="only")]) != [False]:
        return "two clients were given one key"
    two.ack([Ack(lent.receipt) for lent in claimed(two, "keyed")])
    seconds = until(lambda: one.put([job("keyed", key="only")]) == [True])
    return "" if seconds <= 2 * IN_TIME else f"a key was free again after {seconds:.1f} s"  # five of them are for whoever tidies


def removed_slots(one: Store, two: Store) -> str:
    """Folders that one has open and another has emptied and removed."""
    one.put([job("emptied"), job("emptied", priority=10)])
    two.put([job("emptied", priority=80)])
    held = claimed(one, "emptied")
    two.ack([Ack(lent.receipt) for lent in claimed(two, "emptied", 2)])
    end = time.monotonic() + 9
    while time.monotonic() < end:  # its slots are old enough to be removed, and are
        two.wait(["emptied"], 0.5)
    if one.nack([Handback(held[0].receipt, restore=True)]) != [True]:
        return "a job could not go back to a slot that another client had removed"
    again = claimed(two, "emptied")
    if [lent.job.id for lent in again] != [held[0].job.id]:
        return "a job that was given back is not found by the other client"
    two.ack([Ack(lent.receipt) for lent in again])
    if one.wait(["emptied"], 0.5) or one.claim(["emptied"], 1, 60.0, HOLDER) or one.browse(Query(queues=("emptied",))):
        return "something is left in an emptied queue"
    one.put([job("emptied")])
    return "" if claimed(two, "emptied") else "a job put into an emptied queue is not found"


def settled_elsewhere(one: Store, two: Store) -> str:
    """What one holds, another settles by its receipts; nobody's second answer counts."""
    two.put([job("settled") for _ in range(4)])
    lent = claimed(one, "settled", 4)
    receipts = [each.receipt for each in lent]
    if (
        two.ack([Ack(receipts[0])]) != [True]
        or two.nack([Handback(receipts[1])]) != [True]
        or two.extend(receipts[2:], 90.0) != [True, True]
    ):
        return "another client could not settle by receipt"
    if one.ack([Ack(receipts[0])]) != [False] or one.ack([Ack(receipts[2])]) != [True] or two.bury([Handback(receipts[3])]) != [True]:
        return "an answer about a job that another client had settled was wrong"
    states = {entry.job.id: str(entry.state) for entry in one.browse(Query(queues=("settled",)))}
    wanted = {lent[1].job.id: "ready", lent[3].job.id: "dead"}
    if states.get(lent[1].job.id) == "delayed":  # by one clock it is due a little later than by the other
        wanted[lent[1].job.id] = "delayed"
    return "" if states == wanted else f"after settling here and there it is {states}, not {wanted}"


def late_holder(one: Store, two: Store) -> str:
    """A lease that is over: another client has the job, and the late answer is refused."""
    two.put([job("overdue")])
    until(lambda: one.wait(["overdue"], 0.1))
    lent = one.claim(["overdue"], 1, 1.0, Holder("late", bound=False))
    again = claimed(two, "overdue")
    if not lent or not again or again[0].attempt != 2:
        return f"a job whose lease was over went to nobody ({len(lent)}, {len(again)})"
    if one.ack([Ack(lent[0].receipt)]) != [False] or two.ack([Ack(again[0].receipt)]) != [True]:
        return "the answer of a late holder counted"
    return ""


def large_body(one: Store, two: Store) -> str:
    """A body that lies in a file of its own."""
    body = os.urandom(300_000)
    one.put([Job(new_id(), "large", body)])
    lent = claimed(two, "large")
    if not lent or lent[0].job.source is None or lent[0].job.source.read() != body:
        return "a large body is not what was put"
    return "" if two.ack([Ack(lent[0].receipt)]) == [True] else "the ack of a large body was refused"


def result(one: Store, two: Store) -> str:
    """What a job came to at another, asked for as a caller does."""
    call = job("asked", keep=60.0)
    one.put([call])

    def answer() -> bool:
        return [entry.result for entry in one.browse(Query(queues=("asked",), ids=(call.id,)))] == [b"answer"]

    answer()
    two.ack([Ack(lent.receipt, b"answer", "text/plain") for lent in claimed(two, "asked")])
    return late("a result", until(answer))


def notes(one: Store, two: Store) -> str:
    """A note that another has changed."""
    one.notes.note("across/a", b"1", 60.0)
    seconds = until(lambda: two.notes.notes("across/") == {"across/a": b"1"})
    one.notes.note("across/a", b"2", 60.0)
    one.notes.note("across/b", b"3", 60.0)
    return late("a new note", seconds) or late(
        "a changed note", until(lambda: two.notes.notes("across/") == {"across/a": b"2", "across/b": b"3"})
    )


CHECKS: tuple[Check, ...] = (
    *(put_while_listed, waited_for, new_queue, switches, freed_key, removed_slots),
    *(settled_elsewhere, late_holder, large_body, result, notes),
)


def run(one: Store, two: Store) -> list[str]:
    """All of them; an error is one wrong."""
    wrong = []
    for check in CHECKS:
        try:
            found = check(one, two)
        except RopewayError as error:
            found = f"an answer was {type(error).__name__}: {error}"
        if found:
            wrong.append(f"{check.__name__}: {found}")
    return wrong
