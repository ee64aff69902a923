"""A session: one connection to the database, and what each of them must be able to do. The rest of the store is the same for all.

Moments are whole microseconds: `now` since 1970, `boot` by the clock that leases run on. Ids and keys go in and out as text.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ...errors import Stopped
from ...job import Job
from .record import Row
from .statements import Statements

WAITING, RUNNING, DEAD, DONE = range(4)  # the column `state`: what is stored never changes its number

Time = tuple[int | None, int | None]
T = TypeVar("T")


class Loan(NamedTuple):
    """What `Session.lend` answers: the rows in their order; the place, in the queues asked, of the guarded one before which it ended; when
    all of those it came to are switched off, the first of them and the reason."""

    rows: list[Row]
    guarded: int | None = None
    stopped: tuple[str, str] | None = None


class Again(Exception):
    """Nothing was done, and the same transaction may succeed when repeated: a deadlock, a lock that was not to be had, a key that came
    in between."""


class Broken(Exception):
    """The connection is lost. `done` says whether a commit was under way: then nobody knows what became of it."""

    def __init__(self, text: str, *, committing: bool = False) -> None:
        super().__init__(text)
        self.committing = committing


class Session(ABC):
    """One connection. Used by one thread at a time; everything in it is ordinary SQL, so another client may join in.

    `statements` are those of `common.sql` in this dialect and the dialect's own. Methods raise Again or Broken; a StoreError, saying
    what to do, for what else the database refuses.
    """

    statements: Statements

    # -- transactions

    @abstractmethod
    def begin(self, durable: bool, *, whole: bool = True) -> None:
        """Begin a transaction. `durable`: its commit answers only when it survives what the URL asks for; else the database may
        be behind by some moments after a crash (claims and acks). `whole`: the verb that follows is all of it, so that a session may
        save the round trips of begin and commit where that verb is one statement."""

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def rollback(self) -> None:
        """Undo what was done since `begin`. Never raises: a connection that cannot even do that is `broken`."""

    @property
    @abstractmethod
    def broken(self) -> bool:
        """Whether this connection must not be used again."""

    @abstractmethod
    def close(self) -> None: ...

    # -- statements by name

    @abstractmethod
    def run(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        """One statement of `statements` and its rows. `now` and `boot` need not be given. Values named `id` are ids as text, those
        named `ids` are many of them."""

    def run_whole(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        """The one statement of a transaction: a session may save the round trips of begin and commit."""
        return self.run(name, **values)

    @abstractmethod
    def run_each(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """The same statement once for each row of values."""

    @abstractmethod
    def time(self) -> tuple[int, int]:
        """(now, boot) of the store's clock, in microseconds."""

    # -- the verbs that decide how fast a queue is: each database has a best way of its own

    @abstractmethod
    def insert(self, jobs: Sequence[Job]) -> list[str]:
        """Store these jobs, and fill in `created` and `due` where they are 0. Answers nothing when all were new, else the ids of at least
        those that were not: their id is here already, or their key is taken. Raises Stopped, with nothing stored, when one of the queues
        takes no new jobs."""

    @abstractmethod
    def lend(self, queues: Sequence[str], limit: int, lease: int, token: int, holder: str) -> Loan:
        """Make the first due jobs of these queues running, in the order of queues and (priority, due, id). Passes over queues that are
        switched off, and ends before the first that is guarded (lanes.py). A job past its ttl comes too: the store takes it out."""

    def apart(self, work: Callable[[], T]) -> T:
        """Work that is all or nothing, behind a `lend` that may have been a transaction of its own."""
        return work()

    @abstractmethod
    def drop(self, claims: Sequence[tuple[str, int]]) -> list[bool]:
        """Delete the running jobs of these (id, token) whose lease is not over and that do not want to be kept."""

    @abstractmethod
    def next_due(self, queues: Sequence[str]) -> int | None:
        """In how many microseconds the next job of these queues is due as far as is known, 0 when one is due already, None when
        none waits. Queues that are switched off or at their limit have none. The end of any lease counts too."""


def fresh_token() -> int:
    """62 random bits and a 0, new for each claim: whether a receipt still counts is decided by them and not by the attempt's number, which
    a crash of the database may give out twice."""
    return _random.getrandbits(62) << 1


GUARDED = 1
"""The last bit of the token of a job from a guarded queue (lanes.py): who settles it must look at what it leaves behind. Older releases
set it at random: then a look is made for nothing."""


_random = random.SystemRandom()


def stopped(what: str, queue: str, reason: str) -> Stopped:
    """The refusal of a queue that is switched off, with the operator's reason."""
    return Stopped(f"queue {queue} {what}: {reason or 'no reason given'}; nothing was done", queue=queue, reason=reason)
