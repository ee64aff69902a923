"""The mailroom of one connection: its private reply queue, and the answers that come in there, each to the call it belongs to."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, cast

from ..clock import SYSTEM
from ..errors import RopewayError, StoreError
from ..job import Job
from ..link import Link
from ..store import Ack, Handback, Lent, Store
from .call import Call
from .hearing import Hearing
from .lead import Lead
from .letters import CROWD, here, read_letter
from .presence import Presence, remove, sweep
from .wire import CORRELATION, EAR, PREFIX, REPLY_TO, WANTS, Reply, read_reply

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    Told = dict[AbstractEventLoop, list[Call[Any]]]  # which calls to wake in which loop

BATCH = 100  # replies a claim
SETTLE = 16  # replies that were handed out are settled together: the next call does not wait for it
COPIES = 48  # answers that the store has as well are removed together, so that few calls wait for it
LOOK = 1.0  # seconds until the store is looked into all the same, for what came there while all else came by letter
LEASE = 60.0
LONGEST_SLEEP = 20.0  # so that the note is renewed in time
UNSETTLED_SLEEP = 1.0  # with replies that were handed out and not yet settled
FIRST_BACKOFF, LONGEST_BACKOFF = 0.02, 1.0  # while the store fails


class Mailroom:
    """Answers are handed out first and settled later, some together, in one commit with a claim: a crash in between repeats answers that
    nobody waits for any more. What belongs to no call (it came too late, or was forged) is dropped, and counted in `dropped`.

    On the same host an answer comes as a letter (letters.py), and the store is not asked. On an engine that commits all or nothing the
    store holds the same answer as well, and such copies are removed some together.

    It has no thread while nobody awaits in an event loop and calls are short: whoever waits looks for all (lead.py).
    """

    def __init__(self, link: Link) -> None:
        self.queue = PREFIX + os.urandom(16).hex()
        self.dropped = 0
        self._link = link
        self._pid = os.getpid()
        self._calls: dict[str, Call[Any]] = {}
        self._awaiting: set[str] = set()  # those of them whose callers cannot lead
        self._wanting: set[str] = set()  # those of them that also want to hear what comes by the store alone
        self._copies: set[str] = set()  # heard by letter, and still in the store
        self._unsettled: list[Ack] = []
        self._more = False  # the last claim brought all it asked for
        self._backoff = 0.0
        self._looked = link.clock.boot()
        self._presence = Presence(link, self.queue)
        self._swept = False
        self._opening = threading.Lock()
        self.lead = Lead(link.clock, self._lap, lambda: bool(self._awaiting), self._wake_leader, "ropeway-mailroom")
        self._hearing: Hearing | None = None
        link.at_close.append(self.close)

    @property
    def ready(self) -> bool:
        """Whether a call may begin without a word to the store first."""
        return self._swept and self._presence.fresh

    def prepare(self) -> None:
        """Say that we are here; at the first time also remove what others have left behind. Raises StoreError when the store fails."""
        with self._opening:
            self._presence.renew()
            if self._hearing is None and not self._swept and self._letters_are_worth_it():
                try:
                    self._hearing = Hearing(self._link, self._read_letters)
                except OSError:
                    pass  # no socket to be had: the store is enough
            if not self._swept:
                self._swept = True
                try:
                    sweep(self._link.store)
                except RopewayError:
                    pass  # the next one does it

    def _letters_are_worth_it(self) -> bool:
        """A set clock cannot tell how long to listen, and the store of this process alone is as fast as a datagram."""
        return self._link.clock is SYSTEM and bool(here(os.getpid())) and not self._link.url.startswith("memory:")

    def open(self, job: Job, timeout: float, wants: str = "") -> Call[Any]:
        """Make a call of this job: from now on its answers are heard. The job must be put next."""
        token = os.urandom(16).hex()
        headers = {**job.headers, REPLY_TO: self.queue, CORRELATION: token}
        if wants:
            headers[WANTS] = wants
            self._wanting.add(token)
        elif self._hearing is not None:
            headers[EAR] = self._hearing.ear.address
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
        self._wanting.discard(call.correlation)

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
        if self._hearing is not None:
            self._hearing.close()
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
        try:
            self._presence.renew()
            if self._more or len(self._copies) >= COPIES or self._came(left) or self._link.clock.boot() - self._looked >= LOOK:
                self._from_store(self._link.store)
            self._backoff = 0.0
        except RopewayError as error:
            if self._link.closed or self.lead.closing:
                raise
            self._backoff = min(2 * self._backoff or FIRST_BACKOFF, LONGEST_BACKOFF)
            if not isinstance(error, StoreError):
                self._unsettled = []
            self._link.clock.sleep(threading.Event(), min(left, self._backoff))

    def _came(self, left: float) -> bool:
        """Sleep until letters come, and hand these out, or until the store may have something: True then."""
        store, hearing = self._link.store, self._hearing
        longest = min(left, UNSETTLED_SLEEP if self._unsettled else LONGEST_SLEEP)
        if hearing is None:
            came = store.wait((self.queue,), longest)
        else:
            if not self._wanting and hearing.alone(longest):
                return not self._read_letters() and not self.lead.closing  # nothing but a nudge: the store has what it is about
            with hearing.beside():
                came = store.wait((self.queue,), longest, lambda: bool(len(hearing.ear)))
            if self._read_letters():
                return False
        if not came:
            self._settle(store)
        return came

    def _from_store(self, store: Store) -> None:
        lents = self._claim(store)
        self._looked = self._link.clock.boot()
        try:
            self._hand_out(lents)
        except BaseException:  # whoever leads was interrupted: the next one finds them again
            store.nack([Handback(lent.receipt, restore=True) for lent in lents])
            raise
        self._unsettled.extend([Ack(lent.receipt, keep=0.0) for lent in lents])
        if not self._more:
            if len(self._copies) >= COPIES:
                self._settle(store)
            self._copies.clear()  # each was in the store before its letter came, so all that were there were met

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
        told: Told = {}
        for lent in lents:
            job = lent.job
            if job.source is not None:
                job.body = job.source.read()
            token, reply = read_reply(job) or ("", None)
            if token not in self._copies:
                self._give(token, reply, told, by_letter=False)
        self._tell(told)

    def _read_letters(self) -> int:
        """Hand out what lies in the ear; how many there were."""
        told: Told = {}
        hearing, count = self._hearing, 0
        assert hearing is not None
        while (letter := hearing.ear.first()) is not None:
            token, reply, kept = read_letter(letter) or ("", None, False)
            if not kept:
                self._give(token, reply, told, by_letter=True)
            elif token in self._calls:  # else its copy was met before, or will be
                self._copies.add(token)
                self._give(token, reply, told, by_letter=True)
            hearing.ear.passed()
            count += 1
        self._tell(told)
        if count >= CROWD:
            self._more = True
        return count

    def _give(self, token: str, reply: Reply | None, told: Told, *, by_letter: bool) -> None:
        call = self._calls.get(token)
        if call is None or reply is None:
            self.dropped += 1
            return
        if (loop := call.hear(reply)) is not None:
            told.setdefault(loop, []).append(call)
        if self._hearing is not None and token not in self._wanting:
            self._hearing.came(call.lasted(), by_letter=by_letter)

    def _tell(self, told: Told) -> None:
        for loop, calls in told.items():
            try:
                loop.call_soon_threadsafe(_wake, calls)
            except RuntimeError:  # it was closed with callers in it
                for call in calls:
                    self.forget(call)

    def _wake_leader(self) -> None:
        self._link.store.wake()
        if self._hearing is not None:
            self._hearing.ear.wake()

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
