"""A worker's private queue of orders, `_orders.<id>`: what may be ordered, and how the worker reads it beside its other queues.

An order is a job whose body is JSON: `{"do": "resize", "slots": 8}`. The answer is the job's result, kept for a minute. Whoever may put
jobs into the store may give orders; what is no order is dropped, and told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from ...errors import BadName, BadValue, RopewayError, Stopped
from ...failure import one_line
from ...ids import is_id
from ...job import JSON
from ...names import check_name, shown
from ...store import Ack, Lent
from ..journal import Journal
from ..run import Shift
from . import notice

LEASE = 30.0
KEPT = 60.0  # seconds for which the answer can be read
MOST = 16  # orders read at once
MOST_SLOTS = 10_000
MOST_SIGNAL = 64
MOST_SHOWN = 400_000  # bytes of a view, which has to fit into a result on every engine
SLOW = frozenset({"stacks", "inspect", "log"})  # these take a moment, which the thread that claims has not
VIEWS = ("state", "jobs", "stacks", "output", "logs", "metrics")

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
    "stacks": "the stack of every thread and asyncio task, as text",
    "inspect": "the view `what`, as JSON: state, jobs, stacks, output, logs, metrics",
    "log": "what the `job` has logged in its last run here, as JSON",
    "signature": "what the task `what` takes, as JSON",
    "look": "look at the switch of the whole store",
    "signal": "send the signal of that `number` to the command of `job`",
}


class Order(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One order. What it does not need is left out, so that older workers read it as well."""

    do: str
    slots: int = 0
    job: str = ""
    number: int = 0
    what: str = ""


class Answer(Struct, omit_defaults=True):
    """What became of it: `error` says why nothing did."""

    worker: str
    said: str = ""
    error: str = ""
    shown: Any = None  # the view that was asked for


_decoder = msgspec.json.Decoder(Order)
_encoder = msgspec.json.Encoder()


def check(do: str, slots: int = 0, job: str = "", number: int = 0, what: str = "") -> Order:
    """An order that can be given. Raises BadValue."""
    if do not in ORDERS:
        raise BadValue(f"{shown(do)} is no order; there are: {' '.join(ORDERS)}. Nothing was ordered")
    if do == "resize" and (type(slots) is not int or not 1 <= slots <= MOST_SLOTS):
        raise BadValue(f"slots is a whole number from 1 to {MOST_SLOTS}, not {shown(slots)}; nothing was ordered")
    if do == "signal" and not (is_id(job) and type(number) is int and 1 <= number <= MOST_SIGNAL):
        raise BadValue(f"a signal has the id of a job and a number from 1 to {MOST_SIGNAL}; nothing was ordered")
    if do == "log" and not is_id(job):
        raise BadValue(f"{shown(job)} is no id of a job; nothing was ordered")
    if do == "signature":
        try:
            check_name(what, "task")
        except BadName as error:
            raise BadValue(str(error)) from None
    if do == "inspect" and what not in VIEWS:
        raise BadValue(f"{shown(what)} is no view; there are: {' '.join(VIEWS)}. Nothing was ordered")
    return Order(do, slots, job, number, what)


class Desk:
    """The worker's side. `read` is called by the ferry; `obey` does what is ordered and answers what to say, or the view, as JSON. `aside`
    calls something in a thread of its own."""

    def __init__(self, shift: Shift, worker: str, journal: Journal, obey: Callable[[Order], str | bytes]) -> None:
        self.aside: Callable[[Callable[[], None]], object] = _in_thread
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
        slow = []
        for lent in lents:
            answer, order = self._read(lent)
            if order is not None and order.do in SLOW:
                slow.append((lent, order, answer))
            else:
                self._answer(lent, self._follow(order, answer))
        if slow:
            self.aside(lambda: self._answer_slowly(slow))
        return len(lents)

    def _answer(self, lent: Lent, answer: Answer) -> None:
        if answer.error:
            self._journal.warn("an order in %s was dropped: %s", self.queue, answer.error)
        self._shift.link.store.ack([Ack(lent.receipt, _encoder.encode(answer), JSON, KEPT)])

    def _answer_slowly(self, slow: list[tuple[Lent, Order, Answer]]) -> None:
        for lent, order, answer in slow:
            try:
                self._answer(lent, self._follow(order, answer))
            except RopewayError:
                return  # the store failed, or the worker has ended: whoever asked hears nothing

    def _read(self, lent: Lent) -> tuple[Answer, Order | None]:
        answer = Answer(self._worker)
        try:
            order = _decoder.decode(lent.job.body)
            return answer, check(order.do, order.slots, order.job, order.number, order.what)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadValue) as error:
            answer.error = f"this is no order: {one_line(error)}"
        return answer, None

    def _follow(self, order: Order | None, answer: Answer) -> Answer:
        if order is None:
            return answer
        try:
            said = self._obey(order)
            if isinstance(said, bytes):
                answer.shown = msgspec.Raw(said)
            else:
                answer.said = said
        except RopewayError as error:
            answer.error = one_line(error)
        except Exception as error:  # noqa: BLE001 - an order must not end the worker, unless that is what it says
            answer.error = f"the order failed: {one_line(error)}"
        return answer


def _in_thread(what: Callable[[], None]) -> None:
    threading.Thread(target=what, name="ropeway-sight-orders", daemon=True).start()


def as_body(order: Order) -> bytes:
    """The order as the body of its job."""
    return _encoder.encode(order)


def read_answer(value: Any) -> Answer:
    """The answer in a result; raises BadValue for what is none."""
    try:
        return msgspec.convert(value, Answer)
    except msgspec.ValidationError as error:
        raise BadValue(f"the worker answered something else than an answer: {one_line(error)}") from None
