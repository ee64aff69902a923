"""The desk: who has which session, and what a transaction is: one verb, or all verbs inside a `commit`.

A verb is a function of a session that may be run again: a deadlock repeats it, and
so does a connection that turns out to be dead before anything was committed (the server was restarted while we slept).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ...errors import BadValue, StoreError
from ...url import StoreUrl
from .session import Again, Broken, Session
from .stack import Full, Stack

T = TypeVar("T")

TRIES = 60  # of a transaction that met others, within the timeout of the URL
FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.05
HELD = "others held what this needed"


class _Commit:
    """The transaction that a thread has open by `commit`."""

    __slots__ = ("fleeting", "later", "pid", "session", "settled")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.session: Session | None = None
        self.settled = False
        self.fleeting = False  # it began with what need not survive a power cut, and so does nothing that must
        self.later: list[Callable[[], None]] = []


class Desk:
    """Hands out the sessions of one store object, `limit` of them at most at a time."""

    def __init__(self, url: StoreUrl, open_session: Callable[[], Session], limit: int) -> None:
        self._url = url
        self._full = url.durability == "full"
        self._acks_full = url.acks == "full" and self._full
        self._stack = Stack(open_session, limit, url.timeout)
        self._local = threading.local()
        self._closed = False

    # -- the three ways to work

    def read(self, work: Callable[[Session], T]) -> T:
        """Look: what is read may be of several moments."""
        commit = self._commit()
        if commit is not None:
            return self._inside(commit, work, durable=True)
        return self._tried(work, None)

    def apart(self, work: Callable[[Session], T]) -> T:
        """By a session of its own, whatever commit is under way; `work` sees to its transaction itself. It may be run again after Again,
        and after Broken."""
        return self._tried(work, None)

    def write(self, work: Callable[[Session], T], *, durable: bool = True) -> T:
        """One transaction; inside `commit`, a part of that one. `work` may be run more than once. What is not durable, a claim or an
        ack, may be undone by a crash of the database."""
        commit = self._commit()
        if commit is not None:
            return self._inside(commit, work, durable=not commit.settled)  # a put may follow, unless something was settled
        return self._tried(work, durable and self._full)

    def put(self, work: Callable[[Session], T], *, fleeting: bool) -> T:
        """As `write`, for jobs that come in. A commit that begins with fleeting ones is not durable, so it takes no others after them."""
        commit = self._commit()
        if commit is None or not (fleeting or commit.fleeting):
            return self.write(work, durable=not fleeting)
        if not fleeting:
            raise BadValue("inside commit, what must be safe is put before what is fleeting; nothing was stored")
        commit.fleeting = commit.session is None or commit.fleeting
        return self._inside(commit, work, durable=False)

    def settle(self, work: Callable[[Session], T]) -> T:
        """A transaction that ends claims."""
        commit = self.settles()
        if commit is not None:
            return self._inside(commit, work, durable=self._acks_full)
        return self._tried(work, self._acks_full)

    def settles(self) -> _Commit | None:
        """From here on nothing may be put in the commit that is under way, if one is."""
        commit = self._commit()
        if commit is not None:
            commit.settled = True
        return commit

    @contextmanager
    def commit(self) -> Iterator[None]:
        """All verbs of this thread inside are one transaction."""
        if self._commit() is not None:
            raise BadValue("a commit cannot stand inside another; nothing was done")
        commit = self._local.commit = _Commit()
        try:
            yield
        except BaseException:
            if commit.session is not None:
                commit.session.rollback()
            raise
        else:
            if commit.session is not None:
                self._guarded(commit.session.commit)
        finally:
            self._local.commit = None
            if commit.session is not None:
                self._give_back(commit.session)
        for call in commit.later:
            call()

    def quickly(self, work: Callable[[Session, bool], bool], durable: bool) -> bool:
        """One try of work that is a transaction by itself and says whether it was done, with a session that lies there. False when there is
        none, and inside a commit."""
        if self._closed or self.inside or (session := self._stack.ready()) is None:
            return False
        try:
            return work(session, durable and self._full)
        except Broken as error:
            raise self._unknown(error) from None
        finally:
            self._give_back(session)

    # -- what verbs ask of a commit that is under way

    def no_put_after_settling(self) -> None:
        commit = self._commit()
        if commit is not None and commit.settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")

    def after_commit(self, call: Callable[[], None]) -> None:
        commit = self._commit()
        if commit is None:
            call()
        else:
            commit.later.append(call)

    @property
    def inside(self) -> bool:
        """Whether the calling thread is inside a commit."""
        return self._commit() is not None

    def _commit(self) -> _Commit | None:
        commit: _Commit | None = getattr(self._local, "commit", None)
        if commit is not None and commit.pid != os.getpid():
            commit = self._local.commit = None  # our parent's, in whose middle we were forked
        return commit

    def _inside(self, commit: _Commit, work: Callable[[Session], T], durable: bool) -> T:
        """A verb of a commit. What fails for what others do fails the commit: it cannot be repeated here."""
        session = self._begun(commit, durable)
        return self._guarded(lambda: work(session))

    def _begun(self, commit: _Commit, durable: bool) -> Session:
        """The session of a commit. Its first verb decides how safe it is to be: one that begins by settling puts nothing."""
        if commit.session is None:
            session = self._take()
            try:
                self._guarded(lambda: session.begin(durable and self._full, whole=False))
            except BaseException:
                self._give_back(session)
                raise
            commit.session = session
        return commit.session

    # -- one verb

    def _tried(self, work: Callable[[Session], T], durable: bool | None) -> T:
        pause, fresh = FIRST_PAUSE, False
        end = time.monotonic() + self._url.timeout
        for _ in range(TRIES):
            session = self._take(fresh)
            try:
                return self._once(session, work, durable)
            except Again:
                pass
            except Broken as error:
                if error.committing and durable is not None:  # a look changes nothing, and is repeated
                    raise self._unknown(error) from None
                if fresh:
                    raise StoreError(f"{self._url.text}: {error}; nothing was done. Try again when it answers", definite=True) from None
                fresh = True
                continue
            finally:
                self._give_back(session)
            if time.monotonic() > end:
                break  # each try may have waited for a lock
            time.sleep(random.uniform(0, pause))  # of a lock that others hold, not of the store's time
            pause = min(pause * 2, LONGEST_PAUSE)
        raise StoreError(f"{self._url.text}: {HELD}, whenever it was tried; nothing was done. Repeat it", definite=True)

    def _unknown(self, error: Broken) -> StoreError:
        return StoreError(f"{self._url.text}: {error}; it is unknown whether it was done, the same call may be repeated")

    @staticmethod
    def _once(session: Session, work: Callable[[Session], T], durable: bool | None) -> T:
        if durable is None:
            return work(session)
        session.begin(durable)
        try:
            answer = work(session)
        except BaseException:
            session.rollback()
            raise
        session.commit()
        return answer

    def _guarded(self, call: Callable[[], T]) -> T:
        """A step of a commit: its outcome is told, since it cannot be repeated here."""
        try:
            return call()
        except (Again, Broken) as error:
            unknown = isinstance(error, Broken) and error.committing
            what = "it is unknown whether it was done, all of it may be repeated" if unknown else "nothing of this commit was done"
            raise StoreError(f"{self._url.text}: {str(error) or HELD}; {what}", definite=not unknown) from None

    # -- sessions

    def _take(self, fresh: bool = False) -> Session:
        if self._closed:
            raise StoreError(f"{self._url.text} was closed; nothing was done. Open it again", definite=True)
        try:
            return self._stack.take(fresh=fresh)
        except Full:
            raise StoreError(
                f"{self._url.text}: all connections are busy for {self._url.timeout:.0f} s; nothing was done", definite=True
            ) from None
        except Broken as error:
            raise StoreError(f"{self._url.text} does not answer: {error}; nothing was done", definite=True) from None

    def _give_back(self, session: Session) -> None:
        self._stack.give(session, keep=not self._closed)

    def close(self) -> None:
        self._closed = True
        self._stack.clear()
