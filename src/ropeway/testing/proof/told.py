"""A store whose every verb is written into a ledger: what was asked before it is asked, what was answered after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ropeway.clock import SYSTEM
from ropeway.errors import RopewayError, StoreError
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Lent, Query, Store

from .. import crew
from ..ledger import Ledger

Answers = list[bool | None]


def digest(job: Job) -> str:
    """What tells a body from another; a body kept beside the job is read."""
    return crew.digest(job.source.read() if job.source is not None else job.body)


class Told:
    """The verbs of a store for one process. An error of the store is written down, and answered as None for each item.

    A claim that cannot be carried on with is an empty one. `errors` has their texts.
    """

    def __init__(self, store: Store, folder: Path, who: str, bound: bool = True) -> None:
        self.store, self.ledger = store, Ledger(folder, who)
        self.holder = Holder(who, bound)
        self.errors: list[str] = []

    def close(self) -> None:
        self.store.close()
        self.ledger.close()

    def put(self, jobs: Sequence[Job]) -> Answers:
        ids = [job.id for job in jobs]
        self.ledger.write("put.call", ids=ids, digests=[digest(job) for job in jobs])
        try:
            answers = self.store.put(jobs)
        except RopewayError as error:
            self.errors.append(f"put: {error}")
            definite = error.definite if isinstance(error, StoreError) else True
            self.ledger.write("put.refused" if definite else "put.unknown", ids=ids)
            return [None] * len(ids)
        for what, wanted in (("put.ok", True), ("put.refused", False)):
            some = [i for i, answer in zip(ids, answers, strict=True) if answer is wanted]
            if some:
                self.ledger.write(what, ids=some)
        return list(answers)

    def claim(self, queue: str, limit: int, lease: float) -> list[Lent]:
        called = SYSTEM.boot()
        try:
            lent = self.store.claim([queue], limit, lease, self.holder)
        except RopewayError as error:
            self.errors.append(f"claim: {error}")
            return []
        return self._lent(lent, called)

    def pick(self, queue: str, ids: Sequence[str], lease: float) -> list[Lent]:
        """Take these, as an operator does."""
        called = SYSTEM.boot()
        try:
            lent = [one for one in self.store.pick(queue, ids, lease, self.holder) if one is not None]
        except RopewayError as error:
            self.errors.append(f"pick: {error}")
            return []
        return self._lent(lent, called)

    def _lent(self, lent: Sequence[Lent], called: float) -> list[Lent]:
        readable: list[Lent] = []
        digests: list[str] = []
        for one in lent:
            try:
                digests.append(digest(one.job))
                readable.append(one)
            except StoreError as error:  # a body beside that cannot be read now: the job stays lent, and nothing is made of it
                self.errors.append(f"read: {error}")
        if readable:
            self.ledger.write(
                "claim",
                ids=[one.job.id for one in readable],
                receipts=[one.receipt for one in readable],
                digests=digests,
                attempts=[one.attempt for one in readable],
                untils=[one.until for one in readable],
                called=called,
            )
        return readable

    def _settle(self, verb: str, lent: Sequence[Lent], call: Callable[[], Sequence[bool]], lease: float = 0.0) -> Answers:
        ids, receipts = [one.job.id for one in lent], [one.receipt for one in lent]
        began = self.ledger.write(f"{verb}.call", ids=ids, receipts=receipts)
        try:
            answers = call()
        except RopewayError as error:
            self.errors.append(f"{verb}: {error}")
            if not isinstance(error, StoreError) or error.definite:
                self.ledger.write(f"{verb}.lost", ids=ids, receipts=receipts)
            return [None] * len(lent)
        for what, wanted in (("ok", True), ("lost", False)):
            some = [one for one, answer in zip(lent, answers, strict=True) if answer is wanted]
            if some:
                untils = [began + lease] * len(some) if lease else []
                self.ledger.write(f"{verb}.{what}", ids=[o.job.id for o in some], receipts=[o.receipt for o in some], untils=untils)
        return list(answers)

    def ack(self, lent: Sequence[Lent]) -> Answers:
        return self._settle("ack", lent, lambda: self.store.ack([Ack(one.receipt) for one in lent]))

    def keep(self, lent: Sequence[Lent], seconds: float, result: bytes) -> Answers:
        """Ack, with a result, to be kept as done."""
        self.ledger.write("keep.call", ids=[one.job.id for one in lent])
        answers = self._settle("ack", lent, lambda: self.store.ack([Ack(o.receipt, result, "text/plain", seconds) for o in lent]))
        self.ledger.write("keep.ok", ids=[one.job.id for one, done in zip(lent, answers, strict=True) if done])
        return answers

    def nack(self, lent: Sequence[Lent], delay: float = 0.0, restore: bool = False) -> Answers:
        if restore:
            self.ledger.write("restore.call", ids=[one.job.id for one in lent])
        return self._settle("nack", lent, lambda: self.store.nack([Handback(o.receipt, delay, restore=restore) for o in lent]))

    def bury(self, lent: Sequence[Lent]) -> Answers:
        return self._settle("bury", lent, lambda: self.store.bury([Handback(one.receipt) for one in lent]))

    def extend(self, lent: Sequence[Lent], lease: float) -> Answers:
        return self._settle("extend", lent, lambda: self.store.extend([one.receipt for one in lent], lease), lease)

    def _operate(self, verb: str, queue: str, ids: Sequence[str], call: Callable[[Query], int]) -> bool | None:
        """True when it was done to all, False for none; what was done to some is told of none of them."""
        self.ledger.write(f"{verb}.call", ids=ids)
        try:
            done = call(Query(queues=(queue,), ids=tuple(ids), limit=None))
        except RopewayError as error:
            self.errors.append(f"{verb}: {error}")
            return None
        if 0 < done < len(ids):
            self.errors.append(f"{verb}: {done} of {len(ids)}")
            return None
        self.ledger.write(f"{verb}.{'ok' if done else 'lost'}", ids=ids)
        return done > 0

    def requeue(self, queue: str, *ids: str) -> bool | None:
        return self._operate("requeue", queue, ids, self.store.requeue)

    def delete(self, queue: str, *ids: str) -> bool | None:
        return self._operate("delete", queue, ids, self.store.delete)
