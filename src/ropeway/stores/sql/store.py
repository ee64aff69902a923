"""The store: the contract's verbs over sessions. What is the same for every database stands here and in the rooms beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ...bus import LateBus, OwnBus
from ...clock import Clock
from ...demands import check_entries, check_lease, check_limit, check_limits
from ...errors import BadValue
from ...job import Job
from ...names import check_name
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Limits, Query
from ...url import StoreUrl
from . import bringing, looking, operating, settling
from .crowd import Crowd
from .desk import Desk
from .foreign import Foreign, foreign
from .joining import Guest, JoinedStore, Later
from .lending import lend, pick
from .notes import SqlNotes
from .record import MICRO
from .rescue import Rescue
from .schema import VERSION
from .session import Session, fresh_token
from .waiting import Bell, Waiting

MAX_BODY = 1024 * 1024


class SqlStore:
    """Keeps jobs in the tables of a database. A subclass for each database opens sessions and says what they are worth."""

    version_found = VERSION  # of the tables, when this process first looked; 0: there were none
    features = frozenset(Feature) - {Feature.STREAM}
    max_body: int | None = MAX_BODY
    puts_ring = False  # whether a put rings inside its transaction

    def __init__(self, url: StoreUrl, clock: Clock, open_session: Callable[[], Session], bell: Bell, *, sessions: int) -> None:
        self.url = url.text
        self.clock = clock
        self.desk = Desk(url, open_session, sessions)
        self._dead_keep = round(url.dead_keep * MICRO)
        self._crowd = Crowd(self.desk, clock)
        self.rescue = Rescue(self.desk, clock, self._crowd, self._dead_keep)
        self._waiting = Waiting(url, clock, self.desk, self.rescue, self._crowd, bell)
        self.notes = SqlNotes(self.desk)
        self.bus = LateBus(self._bus)
        self.later = Later()
        self._met: set[tuple[str, bool]] = set()  # queues that are known to be there, and to be known as ones with lanes

    # -- jobs come in

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        operating.check_new(jobs, self.url, MAX_BODY)
        if not jobs:
            return []
        self.desk.no_put_after_settling()
        answers = self.desk.put(lambda session: self._insert(session, jobs), fleeting=all(job.fleeting for job in jobs))
        if not self.puts_ring:
            self.ring([job.queue for job, stored in zip(jobs, answers, strict=True) if stored])
        return answers

    def _insert(self, session: Session, jobs: Sequence[Job]) -> list[bool]:
        given = [(job.created, job.due) for job in jobs]
        missing = session.insert(jobs)
        if not missing:
            return [True] * len(jobs)
        return operating.explain(session, jobs, given, missing, self._dead_keep)

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self.features, MAX_BODY)
        if not entries:
            return []
        self.desk.no_put_after_settling()
        answers = self.desk.write(lambda session: bringing.bring(session, entries, self._dead_keep))
        self.ring([entry.job.queue for entry, here in zip(entries, answers, strict=True) if here])
        return answers

    # -- jobs are lent out

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_lease(lease)
        check_limit(limit)
        for name in queues:
            check_name(name)
        if not queues:
            return []
        self.rescue.now_and_then()
        until = self.clock.boot() + lease
        token = fresh_token()

        def work(session: Session) -> list[Lent]:
            self._crowd.join(session, holder)
            return lend(session, queues, limit, lease, token, holder)

        lent = self.desk.write(work, durable=False)
        for one in lent:
            one.until = until
        self._waiting.claimed(queues, len(lent), limit)
        return lent

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        check_name(queue)
        self.rescue.look()
        until = self.clock.boot() + lease
        token = fresh_token()
        answers = self.desk.write(lambda session: pick(session, queue, ids, lease, token, holder), durable=False)
        for one in answers:
            if one is not None:
                one.until = until
        return answers

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        return settling.extend(self.desk, receipts, lease)

    # -- jobs are settled

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        answers, queues = settling.ack(self.desk, acks)
        self.ring(queues)
        return answers

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, queues = settling.nack(self.desk, handbacks, MAX_BODY)
        self.ring(queues)
        return answers

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        answers, queues = settling.bury(self.desk, handbacks)
        self.ring(queues)
        return answers

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        for name in queues:
            check_name(name)
        return self._waiting.wait(queues, max(0.0, timeout), look)

    def wake(self) -> None:
        self._waiting.wake()

    def ring(self, queues: Sequence[str]) -> None:
        """Wake as many waiting processes as there are jobs for these queues, one name a job: after the commit, if one is under way."""
        if queues:
            self.desk.after_commit(lambda: self._waiting.ring(queues))

    # -- looking, and the operator's verbs

    def queues(self) -> list[str]:
        return [name for (name,) in self.desk.read(lambda session: session.run("queues"))]

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        for name in queues or ():
            check_name(name)
        self.rescue.look()
        return self.desk.read(lambda session: looking.counts(session, queues, self._dead_keep))

    def browse(self, query: Query) -> list[Entry]:
        looking.check(query)
        self.rescue.look()
        return self.desk.read(lambda session: looking.entries(session, query, self._dead_keep))

    def requeue(self, query: Query) -> int:
        looking.check(query)
        self.rescue.look()
        queues = self.desk.write(lambda session: operating.requeue(session, query, self._dead_keep))
        self.ring(queues)
        return len(queues)

    def delete(self, query: Query) -> int:
        looking.check(query)
        self.rescue.look()
        count, queues = self.desk.write(lambda session: operating.delete(session, query, self._dead_keep))
        self.ring(queues)
        return count

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        operating.check_pause(queues, reason)
        self.desk.write(lambda session: operating.pause(session, queues, put, claim, reason))
        if claim is False:
            self.ring(list(queues))

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        for name in queues:
            check_name(name)
        check_limits(limits)
        self.desk.write(lambda session: operating.limit(session, queues, limits))
        self.ring(list(queues))

    def drop(self, queues: Sequence[str]) -> list[bool]:
        for name in queues:
            check_name(name)
        self.rescue.look()
        self._met = {known for known in self._met if known[0] not in queues}
        answers = [self.desk.write(lambda session, name=name: operating.drop(session, name, self._dead_keep)) for name in queues]  # type: ignore[misc]
        self._waiting.forget([name for name, done in zip(queues, answers, strict=True) if done])
        return answers

    # -- the store's own life

    def commit(self) -> AbstractContextManager[None]:
        """All or nothing: one transaction, begun by the first verb inside."""
        return self.desk.commit()

    def join(self, tx: Any) -> JoinedStore:
        found = self._outside(tx)
        return JoinedStore(self, self.guest(found), found, self._insert, self._dead_keep)

    def transaction(self, tx: Any) -> AbstractContextManager[None]:
        found = self._outside(tx)
        return self.later.transaction(tx, found)

    def _outside(self, tx: Any) -> Foreign:
        if self.desk.inside:
            raise BadValue("no transaction can be joined inside commit(), which may hold what it waits for; nothing was done")
        return foreign(tx)

    def guest(self, tx: Foreign) -> Guest:
        """A session on a connection of the caller's, if it leads to this database and has a transaction open: else BadValue."""
        raise NotImplementedError

    def meet(self, queues: set[str], laned: set[str]) -> None:
        """Make the queues that nobody has put to yet, or not with a lane, outside of the caller's transaction: its locks are held until it
        ends."""
        said = {(name, False) for name in queues} | {(name, True) for name in laned}
        if new := said - self._met:
            self.desk.write(lambda session: operating.there(session, queues, laned))
            self._met |= new

    def migrate(self) -> tuple[int, int]:
        """Make the tables, or bring them up to date: (the version found, the version now). Opening a store does it as well; this
        is for those who want it done before, by somebody with the right to."""
        self.desk.read(lambda _: None)
        return self.version_found, VERSION

    def schema(self) -> list[str]:
        """The statements that make the tables, as `migrate` runs them."""
        raise NotImplementedError

    def _bus(self) -> OwnBus:
        """The bus of this database, made when it is first asked for."""
        raise NotImplementedError

    def durability(self) -> Durability:
        raise NotImplementedError

    def check(self) -> list[Finding]:
        raise NotImplementedError

    def close(self) -> None:
        self.bus.close()
        self._waiting.close()
        self.desk.close()
