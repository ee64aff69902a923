"""Joining: the verbs inside a transaction that the caller has open. Each is a savepoint of it, and ends nothing but that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ...demands import check_entries, check_lease
from ...errors import StoreError
from ...job import Job
from ...store import Ack, Entry, Handback, Query
from . import bringing, looking, settling
from .foreign import Foreign
from .operating import check_new
from .session import Again, Broken, Session

if TYPE_CHECKING:
    from .store import SqlStore

T = TypeVar("T")

Insert = Callable[[Session, Sequence[Job]], list[bool]]


class Guest(Session):
    """A session on a connection of the caller's. Its `begin`, `commit` and `rollback` set, release and go back to a savepoint."""

    def ring(self, queues: Sequence[str]) -> bool:  # noqa: ARG002 - for those who can
        """Have those who wait rung by the database itself when the transaction commits. Whether it does."""
        return False


class GuestDesk:
    """As the desk of a store, for the one session of a guest: a verb is a savepoint."""

    def __init__(self, session: Guest, url: str) -> None:
        self._session = session
        self._url = url

    def settles(self) -> None:
        """Puts may follow: all of it is one transaction."""

    def settle(self, work: Callable[[Session], T]) -> T:
        return self.write(work)

    def read(self, work: Callable[[Session], T]) -> T:
        return self.write(work)

    def write(self, work: Callable[[Session], T], *, durable: bool = True) -> T:
        session = self._session
        try:
            session.begin(durable, whole=False)
            try:
                answer = work(session)
            except BaseException:
                session.rollback()
                raise
            session.commit()
        except Again:
            raise StoreError(
                f"{self._url}: others held what this needed; nothing was done. Roll your transaction back and run it again", definite=True
            ) from None
        except Broken as error:
            raise StoreError(
                f"{self._url}: {error}; your transaction is lost, and with it all that was done in it", definite=True
            ) from None
        return answer


class JoinedStore:
    """The verbs of a store, as `Store.join` gives them."""

    def __init__(self, store: SqlStore, session: Guest, tx: Foreign, insert: Insert, dead_keep: int) -> None:
        self._store = store
        self._session = session
        self._tx = tx
        self._insert = insert
        self._dead_keep = dead_keep
        self._desk = GuestDesk(session, store.url)

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        check_new(jobs, self._store.url, self._store.max_body)
        if not jobs:
            return []
        self._store.meet({job.queue for job in jobs}, {job.queue for job in jobs if job.lane})
        return self._stored(lambda session: self._insert(session, jobs), [job.queue for job in jobs])

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self._store.features, self._store.max_body)
        if not entries:
            return []
        self._store.meet({entry.job.queue for entry in entries}, {entry.job.queue for entry in entries if entry.job.lane})
        queues = [entry.job.queue for entry in entries]
        return self._stored(lambda session: bringing.bring(session, entries, self._dead_keep), queues)

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers, queues = settling.ack(self._desk, acks)
        self._ring(queues)
        return answers

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, queues = settling.nack(self._desk, handbacks, self._store.max_body)
        self._ring(queues)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, queues = settling.bury(self._desk, handbacks)
        self._ring(queues)
        return answers

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        return settling.extend(self._desk, receipts, lease)

    def browse(self, query: Query) -> list[Entry]:
        looking.check(query)
        return self._desk.read(lambda session: looking.entries(session, query, self._dead_keep))

    def _stored(self, work: Callable[[Session], list[bool]], queues: Sequence[str]) -> list[bool]:
        answers = self._desk.write(work)
        self._ring([queue for queue, stored in zip(queues, answers, strict=True) if stored])
        return answers

    def _ring(self, queues: Sequence[str]) -> None:
        if queues and not self._desk.write(lambda _: self._session.ring(queues)):
            self._store.later.add(self._tx, lambda: self._store.ring(queues))


class Later:
    """What is to be rung once the caller has committed: by his library, or by `transaction` where the library has no such thing."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Callable[[], None]]] = {}

    def add(self, tx: Foreign, call: Callable[[], None]) -> None:
        if tx.after_commit is not None:
            tx.after_commit(call)
        elif id(tx.connection) in self._waiting:
            self._waiting[id(tx.connection)].append(call)

    @contextmanager
    def transaction(self, tx: Any, found: Foreign) -> Iterator[None]:
        """Commits, or rolls back, and rings."""
        calls = self._waiting[id(found.connection)] = []
        try:
            yield
        except BaseException:
            tx.rollback()
            raise
        else:
            tx.commit()
        finally:
            del self._waiting[id(found.connection)]
        for call in calls:
            call()
