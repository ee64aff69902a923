"""How jobs come in: put and bring, and the names of the queues that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

from ...demands import check_entries
from ...errors import BadValue, Unsupported
from ...job import Job, check_job
from ...store import Entry, Feature
from .batches import answers, brought, chained, grouped, parted, stamp, stopped
from .records import pack_blob
from .rooms import Room
from .scripts import Argument, Request
from .way import Way

MAX_BODY = 1024 * 1024
NAMED = 60.0  # seconds after which the name of a queue is noted again
ANEW = -1  # a put's answer: the queue was dropped, name it again


class Intake:
    """The side of a store by which jobs come in."""

    def __init__(self, way: Way, features: frozenset[Feature], url: str, copies: int) -> None:
        self._way = way
        self._hub = way.hub
        self._rooms = way.rooms
        self._features = features
        self._url = url
        self._copies = copies
        self._named: dict[str, float] = {}

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        for job in jobs:
            check_job(job, MAX_BODY)
            if job.source is not None:
                raise Unsupported(f"{self._url} keeps bodies inline and cannot stream one; nothing was stored. Use a dir: store")
        self._admits()
        copies = self._copies if self._copies and not all(job.fleeting for job in jobs) else 0
        if len(jobs) == 1 and self._named.get(jobs[0].queue, -NAMED) > monotonic() - NAMED:
            stored = self._put_one(jobs[0], copies)
            if stored is not None:
                return stored
        chunks: list[tuple[Room, list[int]]] = []
        for queue, indices in grouped(job.queue for job in jobs).items():
            room = self._rooms.room(queue)
            chunks += [(room, part) for part in parted(indices, lambda index: len(jobs[index].body))]
        if len(chunks) > 1:  # one look at all switches: none refuses when another has stored already
            self._accept({room for room, _ in chunks})
        stored = [True] * len(jobs)
        ahead = self._naming(room.queue for room, _ in chunks)
        while chunks:
            replies = self._hub.ask(chained(ahead, self._puts(jobs, chunks)), copies=copies)[len(ahead) :]
            self._noted(room.queue for room, _ in chunks)
            again: list[tuple[Room, list[int]]] = []
            for (room, indices), reply in zip(chunks, replies, strict=True):
                if reply == ANEW:
                    again.append((room, indices))
                else:
                    self._stored(jobs, room, indices, reply, stored)
            chunks = again
            ahead = self.anew({room.queue for room, _ in chunks})
        return stored

    def _puts(self, jobs: Sequence[Job], chunks: Sequence[tuple[Room, list[int]]]) -> Iterator[Request]:
        checked = b"1" if len(chunks) > 1 else b""
        for room, indices in chunks:
            args: list[Argument] = [checked]
            for index in indices:
                args += (bytes.fromhex(jobs[index].id), pack_blob(jobs[index]))
            name = "put_keys" if any(jobs[index].key for index in indices) else "put"
            yield Request(self._way.front(name, room), tuple(args), room.slot)

    def _put_one(self, job: Job, copies: int) -> list[bool] | None:
        """What is above for many, for one in a queue that is known: most puts. None: it must be done from the beginning."""
        room = self._rooms.room(job.queue)
        front = self._way.front("put_keys" if job.key else "put", room)
        reply = self._hub.one(Request(front, (b"", bytes.fromhex(job.id), pack_blob(job)), room.slot), copies=copies)
        if type(reply) is int and reply != ANEW:
            stamp(job, reply)
            return [True]
        if reply == ANEW:
            self.dropped((job.queue,))
            self._hub.ask(self.anew((job.queue,)))
            return None
        stored = [True]
        self._stored((job,), room, (0,), reply, stored)
        return stored

    @staticmethod
    def _stored(jobs: Sequence[Job], room: Room, indices: Sequence[int], reply: Any, stored: list[bool]) -> None:
        """Fill in what the reply says of these."""
        if type(reply) is int:
            for index in indices:
                stamp(jobs[index], reply)
            return
        now, *rest = reply
        if type(now) is bytes:
            raise stopped("takes no new jobs", room.queue, now)
        special = {indices[n - 1]: (created, due) for n, created, due in zip(rest[::3], rest[1::3], rest[2::3], strict=True)}
        for index in indices:
            created, due = special.get(index, (-1, 0))
            if created < 0:
                stamp(jobs[index], now)
            elif not created:
                stored[index] = False
            else:
                jobs[index].created = jobs[index].created or created / 1e6
                jobs[index].due = jobs[index].due or due / 1e6

    def _accept(self, rooms: Iterable[Room]) -> None:
        asked = list(rooms)
        reasons = self._hub.ask([Request(None, ("HGET", room.keys[0], "p"), room.slot) for room in asked])
        for room, reason in zip(asked, reasons, strict=True):
            if reason is not None:
                raise stopped("takes no new jobs", room.queue, reason)

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self._features, MAX_BODY)
        self._admits()
        requests, places = [], []
        groups = grouped(entry.job.queue for entry in entries)
        for queue, indices in groups.items():
            room = self._rooms.room(queue)
            for part in parted(indices, lambda index: len(entries[index].job.body) + len(entries[index].result or b"")):
                requests.append(self._way.request("bring", room, *(arg for index in part for arg in brought(entries[index]))))
                places.append(part)
        ahead = self.anew(groups)
        replies = self._hub.ask(chained(ahead, requests), copies=self._copies)[len(ahead) :]
        self._noted(groups)
        return answers(len(entries), places, replies)

    def _admits(self) -> None:
        held = self._way.held()
        if held is not None and held.settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")

    # -- the names of the queues

    def _naming(self, queues: Iterable[str]) -> list[Request]:
        """Note the names of queues that may be new, ahead of what makes them: a job without the name would be seen by no one who asks
        for all queues. Noted again each minute, in case somebody has emptied the server. Who drops a queue leaves word for as long."""
        late = monotonic() - NAMED
        return self._adding({queue for queue in queues if self._named.get(queue, -NAMED) <= late})

    def anew(self, queues: Iterable[str]) -> list[Request]:
        """The same, whatever is remembered, and the word that they were dropped goes."""
        names = set(queues)
        rooms = [self._rooms.room(queue) for queue in names]
        return [*self._adding(names), *(self._way.request("named", room) for room in rooms)]

    def _adding(self, names: set[str]) -> list[Request]:
        return [Request(None, ("SADD", self._rooms.queues, *names), self._rooms.slot)] if names else []

    def _noted(self, queues: Iterable[str]) -> None:
        now = monotonic()  # that it was named, and has answered
        for queue in queues:
            if self._named.get(queue, -NAMED) <= now - NAMED:
                self._named[queue] = now

    def dropped(self, queues: Iterable[str]) -> None:
        """These are not there any more."""
        for queue in queues:
            self._named.pop(queue, None)
