"""A job in hand: its body, and how its run ends: done, given back, given up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from .aio import facade, twin, within
from .codec import decode_body
from .durations import Duration, seconds
from .errors import Discard, LeaseLost, RetryLater
from .events import Event, tell
from .failure import clean, one_line, traceback_of
from .handle import PROGRESS, pack_progress
from .job import Attempt, Job
from .link import Link
from .options import PLAIN, Settings
from .retry import DEADLY
from .store import Ack, Handback, Joined, Lent, Store
from .unique import kept

T = TypeVar("T")

_PROGRESS_LIFETIME = 3600.0


class Claim(Generic[T]):
    """A job lent to this process until `until`. Every verb raises LeaseLost when somebody else may hold the job by now.

    As a context manager it settles itself. Left well: acked. Left by an exception: given back with the back-off of the queue's retry
    policy, or buried when that is at its end, with the error in the job's history; the exception goes on, unless the claim came from
    `claims()`, whose loop outlives a failing job. RetryLater and Discard do what they say and end here. KeyboardInterrupt and
    the like give the job back at once, uncounted. Settled inside the block already: nothing more is done.
    """

    __slots__ = (
        "_contained",
        "_data",
        "_decode",
        "_ended",
        "_file",
        "_lease",
        "_lent",
        "_link",
        "_pid",
        "_promised",
        "_settings",
        "_started",
        "job",
    )

    def __init__(
        self,
        link: Link,
        lent: Lent,
        *,
        lease: float = PLAIN.lease,
        settings: Settings = PLAIN,
        decode: Callable[[bytes, str], T] = decode_body,
        contained: bool = False,
    ) -> None:
        self._link = link
        self._lent = lent
        self._lease = lease
        self._settings = settings
        self._decode = decode
        self._contained = contained
        self._started = link.clock.now()
        self._ended = ""
        self._promised = False  # it ended in a transaction of the caller's, which may be rolled back yet
        self._file = ""
        self._pid = 0
        self.job: Job = lent.job

    # What it is

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self.job.queue

    @property
    def headers(self) -> Mapping[str, str]:
        """What the producer said beside the body, name = value."""
        return self.job.headers

    @property
    def attempt(self) -> int:
        """Which run this is; 1 is the first."""
        return self._lent.attempt

    @property
    def receipt(self) -> str:
        """The proof of this claim: any process may settle the job with it until the lease ends."""
        return self._lent.receipt

    @property
    def held(self) -> bool:
        """Whether it has not ended here: neither settled by this object nor seen to be lost."""
        return not self._ended

    @property
    def taken(self) -> float:
        """When it was claimed, in seconds since 1970."""
        return self._started

    @property
    def until(self) -> float:
        """When the lease ends, by this machine's boot clock (`time.CLOCK_BOOTTIME`), in seconds; 0 when the engine cannot say."""
        return self._lent.until

    @property
    def body(self) -> bytes:
        """The body as it was put. A streamed one is read into memory whole: use `path` for those."""
        return self.job.body if self.job.source is None else self.job.source.read()

    @property
    def data(self) -> T:
        """The body decoded by its content type, checked against the queue's type. Raises BadBody when it is not of that type."""
        try:
            return self._data
        except AttributeError:
            self._data: T = self._decode(self.body, self.job.content_type)
            return self._data

    def path(self) -> str:
        """The body as a file, for reading: a temporary one, removed when the claim ends, unless the engine has it as a file anyway."""
        self._check("path")
        if self.job.source is not None:
            return str(self.job.source.path())
        if not self._file or self._pid != os.getpid():
            import tempfile

            handle, name = tempfile.mkstemp(prefix="ropeway-", suffix=".body")
            self._file, self._pid = name, os.getpid()
            with open(handle, "wb") as file:
                file.write(self.job.body)
        return self._file

    # How it ends

    def ack(self, result: object = None, *, keep: Duration | None = None, tx: Any = None) -> None:
        """Done. `result` is kept for as long as the job is (`keep` here overrides what the put asked for).

        `tx`, here and below: inside the transaction that it has open, a connection or session to the same database. Then this is true
        once that has committed; after its rollback the job is still claimed, and any verb may be called again.
        """
        ack = self._ack(result, keep)
        self._settled("ack", self._store(tx).ack([ack])[0], tx)

    def nack(self, delay: Duration = 0, error: str = "", *, restore: bool = False, tx: Any = None) -> None:
        """Given back: due again after `delay`, with `error` in its history. `restore`: this run does not count as an attempt."""
        handback = self._nack(delay, error, restore)
        self._settled("nack", self._store(tx).nack([handback])[0], tx)

    def bury(self, reason: str = "", *, tx: Any = None) -> None:
        """Given up: it stays as dead, with the reason, until someone requeues or deletes it."""
        handback = self._bury(reason)
        self._settled("bury", self._store(tx).bury([handback])[0], tx)

    def extend(self, lease: Duration | None = None) -> None:
        """Renew: the lease now ends `lease` from now; as long as it was claimed for when not given."""
        length, before = self._extension(lease)
        self._extended(self._link.store.extend([self.receipt], length)[0], length, before)

    def progress(self, value: object) -> None:
        """Tell how far the run is, any small JSON value; `Handle.progress` reads it."""
        self._check("progress")
        self._link.store.notes.note(PROGRESS + self.id, pack_progress(value), _PROGRESS_LIFETIME)

    def __enter__(self) -> Claim[T]:
        self._check("run")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        verb, what = self._verdict(error)
        if verb == "ack":
            self.ack()
        elif what is not None:
            settle = self._link.store.nack if verb == "nack" else self._link.store.bury
            self._told(verb, settle([what])[0], what)
        return self._contains(error)

    # The awaitable twins

    async def aack(self, result: object = None, *, keep: Duration | None = None, tx: Any = None) -> None:
        """The awaitable twin of `ack`; it shares its commit with other callers, as the next three do, unless it is given a `tx`."""
        if tx is not None:
            await within(tx, lambda tx: self.ack(result, keep=keep, tx=tx))
            return
        self._settled("ack", await facade(self._link).ack(self._ack(result, keep)))

    async def anack(self, delay: Duration = 0, error: str = "", *, restore: bool = False, tx: Any = None) -> None:
        """The awaitable twin of `nack`."""
        if tx is not None:
            await within(tx, lambda tx: self.nack(delay, error, restore=restore, tx=tx))
            return
        self._settled("nack", await facade(self._link).hand_back("nack", self._nack(delay, error, restore)))

    async def abury(self, reason: str = "", *, tx: Any = None) -> None:
        """The awaitable twin of `bury`."""
        if tx is not None:
            await within(tx, lambda tx: self.bury(reason, tx=tx))
            return
        self._settled("bury", await facade(self._link).hand_back("bury", self._bury(reason)))

    async def aextend(self, lease: Duration | None = None) -> None:
        """The awaitable twin of `extend`."""
        length, before = self._extension(lease)
        self._extended(await facade(self._link).extend(self.receipt, length), length, before)

    apath = twin(path)
    aprogress = twin(progress)

    async def __aenter__(self) -> Claim[T]:
        self._check("run")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        verb, what = self._verdict(error)
        if verb == "ack":
            await self.aack()
        elif what is not None:
            self._told(verb, await facade(self._link).hand_back(verb, what), what)
        return self._contains(error)

    # What both sides share

    def _ack(self, result: object, keep: Duration | None) -> Ack:
        body, content_type = (None, "") if result is None else self._settings.way().results.encode(result)
        length = kept(self.job, self._link.clock.now()) if keep is None else seconds(keep, "keep")
        self._check("ack")
        return Ack(self.receipt, body, content_type, length)

    def _nack(self, delay: Duration, error: str, restore: bool) -> Handback:
        length = seconds(delay, "delay")
        self._check("nack")
        return Handback(self.receipt, length, self._attempt("failed" if error else "returned", clean(error)), restore)

    def _bury(self, reason: str) -> Handback:
        self._check("bury")
        return Handback(self.receipt, 0.0, self._attempt("discarded", clean(reason)))

    def _extension(self, lease: Duration | None) -> tuple[float, float]:
        length = self._lease if lease is None else seconds(lease, "lease")
        self._check("extend")
        return length, self._link.clock.boot()

    def _extended(self, answer: bool, length: float, before: float) -> None:
        if not answer:
            self._lost("extend")
        self._lent.until = before + length

    def _store(self, tx: Any) -> Store | Joined:
        return self._link.store if tx is None else self._link.store.join(tx)

    def _settled(self, verb: str, answer: bool, tx: Any = None) -> None:
        if not answer:
            self._lost(verb)
        self._ended, self._promised = verb, tx is not None
        if tx is None:
            self._drop_file()

    def _verdict(self, error: BaseException | None) -> tuple[str, Handback | None]:
        """What leaving the block in this way asks for: ("ack", None), a hand-back to nack or bury, or ("", None) for nothing more."""
        if self._ended:
            return "", None
        if error is None:
            return "ack", None
        try:
            self._check("settle")
        except LeaseLost:
            return "", None  # the error that is on its way says more
        if isinstance(error, RetryLater):
            return "nack", Handback(self.receipt, seconds(error.delay), self._attempt("returned", clean(error.reason)), restore=True)
        if isinstance(error, Discard):
            return "bury", Handback(self.receipt, 0.0, self._attempt("discarded", clean(error.reason)))
        if not isinstance(error, Exception):  # the process is asked to stop: not the job's fault
            return "nack", Handback(self.receipt, 0.0, self._attempt("returned", one_line(error)), restore=True)
        from random import random

        attempt = self._attempt("failed", one_line(error), traceback_of(error))
        delay = self._settings.retry.delay(self.attempt, error, random)
        if delay is None:
            return "bury", Handback(self.receipt, 0.0, attempt)
        return "nack", Handback(self.receipt, delay, attempt)

    def _told(self, verb: str, answer: bool, what: Handback) -> None:
        """A lost claim is an event here, no error: the run has failed anyway, and the newer claim stands."""
        self._ended = verb if answer else "lost"
        self._drop_file()
        if listeners := self._link.listeners:
            name = "lost" if not answer else "buried" if verb == "bury" else "retried"
            error = what.attempt.error if what.attempt else ""
            tell(listeners, Event(name, self.queue, ids=(self.id,), error=error, seconds=what.delay))

    def _contains(self, error: BaseException | None) -> bool:
        return isinstance(error, RetryLater | Discard) or (self._contained and isinstance(error, Exception))

    def _attempt(self, outcome: str, error: str, traceback: str = "") -> Attempt:
        return Attempt(self.attempt, self._started, self._link.clock.now(), self._link.holder().name, outcome, error, traceback)

    def _check(self, verb: str) -> None:
        if self._ended and not self._promised:  # after a promise the receipt decides: a rollback takes it back
            if self._ended == "lost":
                self._lost(verb)
            raise LeaseLost(f"this claim of job {self.id} ended with its {self._ended}; {verb} changed nothing")
        if self._lent.until and self._link.clock.boot() > self._lent.until:
            self._lost(verb)

    def _lost(self, verb: str) -> None:
        self._ended, self._promised = "lost", False
        self._drop_file()
        raise LeaseLost(
            f"the lease on job {self.id} of queue {self.queue} is over, so another may hold it; {verb} changed nothing. "
            "Claim with a longer lease, or extend() it while you work"
        )

    def _drop_file(self) -> None:
        name, self._file = self._file, ""
        if name and self._pid == os.getpid():  # a forked child leaves its parent's file alone
            try:
                os.unlink(name)
            except OSError:
                pass

    def __del__(self) -> None:
        if getattr(self, "_file", ""):
            self._drop_file()

    def __repr__(self) -> str:
        return f"<Claim of {self.id} in {self.queue}, attempt {self.attempt}{', ' + self._ended if self._ended else ''}>"


def sound(link: Link, lents: list[Lent]) -> list[Lent]:
    """Those that may be run. A job that too many holders have died with is buried here, with that reason."""
    if not any(lent.deaths >= DEADLY for lent in lents):
        return lents
    now, out = link.clock.now(), []
    for lent in lents:
        if lent.deaths < DEADLY:
            out.append(lent)
            continue
        error = f"{lent.deaths} holders of this job died, or let its lease run out, without a word"
        link.store.bury([Handback(lent.receipt, 0.0, Attempt(lent.attempt, now, now, link.holder().name, "lost", error))])
        tell(link.listeners, Event("buried", lent.job.queue, ids=(lent.job.id,), error=error))
    return out
