"""The mailroom of one connection: its private reply queue, and the answers that come in there, each to the call it belongs to."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, cast

from ..errors import RopewayError, StoreError
from ..job import Job
from ..link import Link
from ..store import Ack, Handback, Lent, Store
from .call import Call
from .lead import Lead
from .presence import Presence, remove, sweep
from .wire import CORRELATION, PREFIX, REPLY_TO, WANTS, read_reply

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

BATCH = 100  # replies a claim
SETTLE = 16  # replies that were handed out are settled together: the next call does not wait for it
LEASE = 60.0
LONGEST_SLEEP = 20.0  # so that the note is renewed in time
UNSETTLED_SLEEP = 1.0  # with replies that were handed out and not yet settled
FIRST_BACKOFF, LONGEST_BACKOFF = 0.02, 1.0  # while the store fails


class Mailroom:
    """Answers are handed out first and settled later, some together, in one commit with a claim: a crash in between repeats answers that
    nobody waits for any more. What belongs to no call (it came too late, or was forged) is dropped, and counted in `dropped`.

    It has no thread while nobody awaits in an event loop: whoever waits looks for all (lead.py).
    """

    def __init__(self, link: Link) -> None:
        self.queue = PREFIX + os.urandom(16).hex()
        self.dropped = 0
        self._link = link
        self._pid = os.getpid()
        self._calls: dict[str, Call[Any]] = {}
        self._awaiting: set[str] = set()  # those of them whose callers cannot lead
        self._unsettled: list[Ack] = []
        self._more = False  # the last claim brought all it asked for
        self._backoff = 0.0
        self._presence = Presence(link, self.queue)
        self._swept = False
        self._opening = threading.Lock()
        self.lead = Lead(link.clock, self._lap, lambda: bool(self._awaiting), lambda: link.store.wake(), "ropeway-mailroom")
        link.at_close.append(self.close)

    @property
    def ready(self) -> bool:
        """Whether a call may begin without a word to the store first."""
        return self._swept and self._presence.fresh

    def prepare(self) -> None:
        """Say that we are here; at the first time also remove what others have left behind. Raises StoreError when the store fails."""
        with self._opening:
            self._presence.renew()
            if not self._swept:
                self._swept = True
                try:
                    sweep(self._link.store)
                except RopewayError:
                    pass  # the next one does it

    def open(self, job: Job, timeout: float, wants: str = "") -> Call[Any]:
        """Make a call of this job: from now on its answers are heard. The job must be put next."""
        token = os.urandom(16).hex()
        headers = {**job.headers, REPLY_TO: self.queue, CORRELATION: token}
        if wants:
            headers[WANTS] = wants
        job.headers, job.ttl, job.keep, job.fleeting = headers, timeout, 0.0, True
        call: Call[Any] = Call(self._link, self, job, token, timeout)
        self._calls[token] = call
        return call

    def awaits(self, call: Call[Any]) -> None:
        """It is awaited in an event loop."""
        if call.correlation in self._calls:
            self._awaiting.add(call.correlation)
            self.lead.help()

    def forget(self, call: Call[Any]) -> None:
        """Nobody waits for it any more; what still comes is dropped."""
        self._calls.pop(call.correlation, None)
        self._awaiting.discard(call.correlation)

    def check(self, call: Call[Any]) -> None:
        """Raises StoreError when no answer can come here any more."""
        if self._pid != os.getpid():
            raise StoreError(f"{call!r} was made by process {self._pid}, this is its fork: its answer goes there", definite=True)
        if self.lead.closing:
            raise StoreError(f"the connection was closed while {call!r} was waited for; it may run all the same")

    def close(self) -> None:
        """Everyone is told that no answer comes; then the queue is removed."""
        self.lead.close()
        for call in list(self._calls.values()):
            self._wake(call)
        try:
            store = self._link.store
            if self._unsettled:
                store.ack(self._unsettled)
            remove(store, self.queue)
            self._presence.end()
        except RopewayError:
            pass  # the note ends by itself, and whoever sweeps next removes the queue

    # Leading

    def _lap(self, left: float) -> None:
        """Wait for replies, and hand them out. A store that fails is tried again: the calls have their deadlines."""
        store = self._link.store
        try:
            self._presence.renew()
            if not self._more and not store.wait((self.queue,), min(left, UNSETTLED_SLEEP if self._unsettled else LONGEST_SLEEP)):
                self._settle(store)
                return
            lents = self._claim(store)
            try:
                self._hand_out(lents)
            except BaseException:  # whoever leads was interrupted: the next one finds them again
                store.nack([Handback(lent.receipt, restore=True) for lent in lents])
                raise
            self._unsettled.extend([Ack(lent.receipt, keep=0.0) for lent in lents])
            self._backoff = 0.0
        except RopewayError as error:
            if self._link.closed or self.lead.closing:
                raise
            self._backoff = min(2 * self._backoff or FIRST_BACKOFF, LONGEST_BACKOFF)
            if not isinstance(error, StoreError):
                self._unsettled = []
            self._link.clock.sleep(threading.Event(), min(left, self._backoff))

    def _claim(self, store: Store) -> list[Lent]:
        if len(self._unsettled) < SETTLE:
            lents = store.claim((self.queue,), BATCH, LEASE, self._link.holder())
        else:
            with store.commit():
                store.ack(self._unsettled)
                lents = store.claim((self.queue,), BATCH, LEASE, self._link.holder())
            self._unsettled = []
        self._more = len(lents) >= BATCH
        return lents

    def _settle(self, store: Store) -> None:
        if self._unsettled:
            store.ack(self._unsettled)
            self._unsettled = []

    def _hand_out(self, lents: list[Lent]) -> None:
        loops: dict[AbstractEventLoop, list[Call[Any]]] = {}
        for lent in lents:
            job = lent.job
            if job.source is not None:
                job.body = job.source.read()
            token, reply = read_reply(job) or ("", None)
            call = self._calls.get(token)
            if call is None or reply is None:
                self.dropped += 1
            elif (loop := call.hear(reply)) is not None:
                loops.setdefault(loop, []).append(call)
        for loop, calls in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, calls)
            except RuntimeError:  # it was closed with callers in it
                for call in calls:
                    self.forget(call)

    def _wake(self, call: Call[Any]) -> None:
        if (loop := call.loop) is not None:
            try:
                loop.call_soon_threadsafe(_wake, [call])
            except RuntimeError:
                pass


def mailroom(link: Link) -> Mailroom:
    """The mailroom of this connection, made at the first call."""
    made = link.mailroom
    if made is None:
        made = link.share(lambda: Mailroom(link), "mailroom")
    return cast("Mailroom", made)


def _wake(calls: list[Call[Any]]) -> None:
    for call in calls:
        call.wake()
