"""An engine alone: its verbs as any program may call them, bodies as bytes."""

from __future__ import annotations

import os
import time
from time import perf_counter, perf_counter_ns

from ropeway.ids import IdMaker
from ropeway.job import JSON, Job
from ropeway.store import Ack, Holder
from ropeway.stores import open_store

from ..work import QUEUE, Item, item, number_of
from .urls import url

LEASE = 30.0


class Engine:
    """put: a job is made and stored. drain: claim, ack."""

    def __init__(self, place: str, durability: str, engine: str) -> None:
        self.store = open_store(url(engine, place, durability))
        self.holder = Holder("bench")
        self._new_id = IdMaker(time.time_ns, os.urandom)
        self._reply = f"_reply.{os.urandom(16).hex()}"

    def put(self, work: list[Item]) -> None:
        put, new_id = self.store.put, self._new_id
        for one in work:
            put((Job(new_id(), QUEUE, one.body, JSON),))

    def bulk(self, work: list[Item], size: int) -> None:
        new_id = self._new_id
        for start in range(0, len(work), size):
            self.store.put([Job(new_id(), QUEUE, one.body, JSON) for one in work[start : start + size]])

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        claim, ack, holder, queues, done = self.store.claim, self.store.ack, self.holder, (QUEUE,), 0
        began = perf_counter()
        while done < most and (lents := claim(queues, limit, LEASE, holder)):
            done += sum(ack([Ack(lent.receipt) for lent in lents]))
        return done, perf_counter() - began

    def tell(self, one: Item) -> None:
        self.put([one])

    def starts(self, count: int) -> list[int]:
        store = self.store
        out: list[int] = []
        store.put((Job(self._new_id(), QUEUE, item(0).body, JSON),))  # the queue is there, and all that it takes is open
        self.drain(1, 1)
        print("waiting", flush=True)
        while len(out) < count:
            lents = store.claim((QUEUE,), 1, LEASE, self.holder)
            moment = perf_counter_ns()
            if not lents:
                store.wait((QUEUE,), 10.0)
            for lent in lents:
                out.append(moment - number_of(lent.job.body))
                store.ack((Ack(lent.receipt),))
        return out

    def ask(self, one: Item) -> None:
        """By the verbs alone, as a call does it: the reply is a job in a queue of one's own."""
        store, reply = self.store, self._reply
        store.put((Job(self._new_id(), QUEUE, one.body, JSON, {"reply-to": reply}, ttl=30.0, fleeting=True),))
        while not (lents := store.claim((reply,), 1, LEASE, self.holder)):
            store.wait((reply,), 10.0)
        store.ack([Ack(lent.receipt) for lent in lents])
        if number_of(lents[0].job.body) != number_of(one.body):
            raise AssertionError("the answer is another's")

    def answers(self) -> None:
        store = self.store
        print("waiting", flush=True)
        while True:
            lents = store.claim((QUEUE,), 4, LEASE, self.holder)
            if not lents:
                store.wait((QUEUE,), 10.0)
            for lent in lents:
                reply = lent.job.headers["reply-to"]
                with store.commit():
                    store.put((Job(self._new_id(), reply, lent.job.body, JSON, ttl=30.0, fleeting=True),))
                    store.ack((Ack(lent.receipt),))

    def close(self) -> None:
        self.store.close()
