"""The scenario that is cut off at every step: one process that uses every verb once, in the order in which a part can be taken to pieces.

It runs as a child, `python -m ropeway.testing.proof.scenario URL LEDGER WHO [BUG]`, under strace. Its first line of the ledger tells the
sweep where the engine's own calls begin. An error of the store does not end it: it goes on, and puts again at the end what was refused.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Lent
from ropeway.stores import open_store

from .told import Told
from .trace import await_tracer

QUEUE = "line"
LEASE = 60.0
new_id = IdMaker(time.time_ns, os.urandom)


def job(text: str, **fields: object) -> Job:
    return Job(new_id(), QUEUE, text.encode(), **fields)  # type: ignore[arg-type]


class Scenario:
    """One walk through all verbs. `lent` finds what was claimed by the text of its body."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.lent: dict[str, Lent] = {}
        self.refused: list[Job] = []

    def put(self, *jobs: Job) -> None:
        answers = self.told.put(jobs)
        if False in answers:
            self.told.errors.append("put: a key that nobody has is said to be taken")
        self.refused += [j for j, answer in zip(jobs, answers, strict=True) if answer is None]

    def claim(self, limit: int) -> None:
        self._take(self.told.claim(QUEUE, limit, LEASE))

    def pick(self, *jobs: Job) -> None:
        self._take(self.told.pick(QUEUE, [job.id for job in jobs], LEASE))

    def _take(self, lents: Sequence[Lent]) -> None:
        for one in lents:
            try:
                body = one.job.source.read() if one.job.source is not None else one.job.body
            except StoreError as error:  # it stays lent, as what its first reader could not read
                self.told.errors.append(f"read: {error}")
                continue
            self.lent[body[:40].decode()] = one

    def these(self, *texts: str) -> list[Lent]:
        """Those of them that are held now; taken off the list."""
        return [self.lent.pop(text) for text in texts if text in self.lent]

    def run(self) -> None:
        told = self.told
        eight = [job(f"eight {n}") for n in range(8)]
        early = [job(f"early {n}", priority=10) for n in range(5)]
        some = [job(f"some {n}", priority=20) for n in range(9)]
        buried, middle = job("bury me"), early[2].id
        self.put(*eight)
        self.put(job("one"))
        self.put(job("two 0"), job("two 1"))
        self.put(job("later", delay=0.3))
        self.put(job("keyed", key="a key"))
        self.put(job("once", once=True))
        self.put(job("big " + "b" * 70_000))
        self.put(buried)
        self.claim(3)  # splits the eight
        told.ack(self.these("eight 0"))
        told.nack(self.these("eight 1"))  # a record of a batch
        told.extend([*self.lent.values()], LEASE)
        self.claim(3)
        told.bury(self.these("eight 3"))
        told.nack(self.these("eight 4"), restore=True)
        told.keep(self.these("eight 5"), 600.0, b"a result")
        self.claim(2)
        told.ack(self.these("eight 6", "eight 7"))
        self.claim(100)
        told.nack(self.these("one"), delay=0.05)  # a single
        told.bury(self.these("bury me"))
        told.ack(self.these("two 0"))
        told.nack(self.these("two 1"))  # the last record of a batch
        told.requeue(QUEUE, buried.id)
        told.ack(self.these("keyed", "once", "b" * 0 + ("big " + "b" * 36)))
        self.put(*early)
        told.delete(QUEUE, middle)  # out of the middle of a waiting part
        self.claim(2)
        told.ack(self.these("early 0", "early 1"))
        self.put(*some)
        told.delete(QUEUE, some[2].id, some[5].id)  # several of a part at once: the others go back
        self.pick(some[0], some[3], some[4], some[8])
        told.nack(self.these("some 3", "some 8"), restore=True)
        told.ack(self.these("some 0"))
        told.store.wait([QUEUE], 0.5)
        self.claim(100)
        told.keep(self.these("bury me"), 600.0, b"another")
        self.settle_all()
        if self.refused:
            again, self.refused = self.refused, []
            self.put(*again)
        self.claim(100)

    def settle_all(self) -> None:
        """Ack half of what is held; the other half is held when the process ends."""
        texts: Sequence[str] = sorted(self.lent)
        self.told.ack(self.these(*texts[::2]))


def main(url: str, ledger: str, who: str, bug: str = "") -> None:
    """Play the scenario once, with every answer in the ledger. `bug` plants one first."""
    if bug:
        from .planted import plant

        plant(bug)
    store = open_store(url)
    told = Told(store, Path(ledger), who)
    await_tracer()
    told.ledger.write("begin")
    Scenario(told).run()
    told.ledger.write("end")
    told.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
