"""A worker's private queue of orders, `_orders.<id>`: what may be ordered, and how the worker reads it beside its other queues.

An order is a job whose body is JSON: `{"do": "resize", "slots": 8}`. The answer is the job's result, kept for a minute. Whoever may put
jobs into the store may give orders; what is no order is dropped, and told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from ...errors import BadValue, RopewayError, Stopped
from ...failure import one_line
from ...job import JSON
from ...names import shown
from ...store import Ack, Lent
from ..journal import Journal
from ..run import Shift
from . import notice

LEASE = 30.0
KEPT = 60.0  # seconds for which the answer can be read
MOST = 16  # orders read at once
MOST_SLOTS = 10_000

# What may be ordered, in the words of the command line and of Member.order.
ORDERS = {
    "ping": "answer",
    "pause": "claim nothing until resume; what runs goes on",
    "resume": "claim again",
    "quiet": "claim nothing more, run what is held, then end",
    "stop": "end: what runs has the grace",
    "stop-now": "end: what runs goes back at once",
    "kill": "end the running jobs, as failed tries, and go on",
    "resize": "run `slots` jobs at once",
    "stacks": "the stack of every thread and asyncio task",
    "look": "look at the switch of the whole store",
}


class Order(Struct, forbid_unknown_fields=True):
    """One order."""

    do: str
    slots: int = 0


class Answer(Struct, omit_defaults=True):
    """What became of it: `error` says why nothing did."""

    worker: str
    said: str = ""
    error: str = ""


_decoder = msgspec.json.Decoder(Order)
_encoder = msgspec.json.Encoder()


def check(do: str, slots: int = 0) -> Order:
    """An order that can be given. Raises BadValue."""
    if do not in ORDERS:
        raise BadValue(f"{shown(do)} is no order; there are: {' '.join(ORDERS)}. Nothing was ordered")
    if do == "resize" and (type(slots) is not int or not 1 <= slots <= MOST_SLOTS):
        raise BadValue(f"slots is a whole number from 1 to {MOST_SLOTS}, not {shown(slots)}; nothing was ordered")
    return Order(do, slots)


class Desk:
    """The worker's side. `read` is called by the ferry; `obey` does what is ordered and answers what to say."""

    def __init__(self, shift: Shift, worker: str, journal: Journal, obey: Callable[[Order], str]) -> None:
        self.queue = notice.ORDERS + worker
        self._worker = worker
        self._shift = shift
        self._journal = journal
        self._obey = obey

    def read(self) -> int:
        """Take what orders there are, and follow them. How many. Raises StoreError when the store fails: what was taken comes again."""
        store = self._shift.link.store
        try:
            lents = store.claim((self.queue,), MOST, LEASE, self._shift.link.holder())
        except Stopped:  # somebody has switched the queue of orders off
            return 0
        for lent in lents:
            answer = self._follow(lent)
            store.ack([Ack(lent.receipt, _encoder.encode(answer), JSON, KEPT)])
        return len(lents)

    def _follow(self, lent: Lent) -> Answer:
        answer = Answer(self._worker)
        try:
            order = _decoder.decode(lent.job.body)
            order = check(order.do, order.slots)
            answer.said = self._obey(order)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadValue) as error:
            answer.error = f"this is no order: {one_line(error)}"
        except RopewayError as error:
            answer.error = one_line(error)
        except Exception as error:  # noqa: BLE001 - an order must not end the worker, unless that is what it says
            answer.error = f"the order failed: {one_line(error)}"
        if answer.error:
            self._journal.warn("an order in %s was dropped: %s", self.queue, answer.error)
        return answer


def as_body(order: Order) -> bytes:
    """The order as the body of its job."""
    return _encoder.encode(order)


def read_answer(value: Any) -> Answer:
    """The answer in a result; raises BadValue for what is none."""
    try:
        return msgspec.convert(value, Answer)
    except msgspec.ValidationError as error:
        raise BadValue(f"the worker answered something else than an answer: {one_line(error)}") from None
