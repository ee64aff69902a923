"""The Redis engine's door: the Store contract, each verb one Lua call in one round trip (lua/, with the map of keys in lua/base.lua).

The server's clock decides what is due and when a lease ends; a clock that is not the system's (that of a test) is sent along instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, cast

from ...clock import SYSTEM, Clock
from ...codec import Damaged, FutureFormat
from ...demands import Apart, check_acks, check_entries, check_handbacks, check_lease, check_limit, check_reason
from ...errors import BadValue, Unsupported
from ...job import Attempt, Job, check_job
from ...names import check_name
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Query
from ...url import StoreUrl
from .address import read_address
from .batches import BATCH, answers, brought, chained, grouped, holder_text, is_job_id, parted, stamp, stopped
from .commit import Held
from .facts import RedisNotes
from .hub import Hub
from .looking import Looking
from .records import micro, pack_attempt, pack_blob, pack_result, read_counts, read_job
from .rooms import Room, Rooms, read_receipt, receipt
from .scripts import Argument, Request, script
from .waiting import Waiting

MAX_BODY = 1024 * 1024
LENT = 1000  # jobs a claim
LENT_BYTES = 8 << 20
NAMED = 60.0  # seconds after which the name of a queue is noted again
LATER = 60.0  # seconds for which a job that only a newer ropeway understands is left to others


class RedisStore(Apart):
    """Jobs on a Redis or Valkey server, alone, behind sentinels, or in a cluster. May be used from any thread and after a fork."""

    features = frozenset(Feature) - {Feature.STREAM, Feature.ATOMIC, Feature.JOIN}
    max_body: int | None = MAX_BODY

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        self.url = url.text
        self._options = url
        self._clock = clock
        self._address = read_address(url)
        self._hub = Hub(url, self._address, self._greet)
        self._rooms = Rooms(url.namespace)
        self._copies = self._address.replicas if url.durability == "full" else 0
        self._settle_copies = self._address.replicas if url.acks == "full" else 0
        self._named: dict[str, float] = {}
        self._waiting = Waiting(self._hub, self._rooms, clock, self._head, url)
        self._looking = Looking(self._hub, self._rooms, self._head, url.dead_keep)
        self.notes = RedisNotes(self._hub, self._rooms, self._head)

    def _head(self) -> tuple[Argument, ...]:
        """What every script is told first: the time, unless the server's own is meant, and how bells are called."""
        if self._clock is SYSTEM:
            return b"", b"", self._rooms.channel
        return micro(self._clock.now()), micro(self._clock.boot()), self._rooms.channel

    def _request(self, name: str, room: Room, *args: Argument) -> Request:
        return Request(script(name), room.keys, (*self._head(), *args), room.slot)

    # -- jobs come in

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        for job in jobs:
            check_job(job, MAX_BODY)
            if job.source is not None:
                raise Unsupported(f"{self.url} keeps bodies inline and cannot stream one; nothing was stored. Use a dir: store")
        self._admits()
        if len(jobs) == 1 and self._named.get(jobs[0].queue, -NAMED) > monotonic() - NAMED:
            return self._put_one(jobs[0])
        chunks: list[tuple[Room, list[int]]] = []
        for queue, indices in grouped(job.queue for job in jobs).items():
            room = self._rooms.room(queue)
            chunks += [(room, part) for part in parted(indices, lambda index: len(jobs[index].body))]
        if len(chunks) > 1:  # one look at all switches: none refuses when another has stored already
            self._accept({room for room, _ in chunks})
        checked = b"1" if len(chunks) > 1 else b""

        def requests() -> Iterator[Request]:
            for room, indices in chunks:
                args: list[Argument] = []
                for index in indices:
                    args += (bytes.fromhex(jobs[index].id), pack_blob(jobs[index]))
                name = "put_keys" if any(jobs[index].key for index in indices) else "put"
                keys = room.keys if name == "put_keys" else room.put_keys
                yield Request(script(name), keys, (*self._head(), checked, *args), room.slot)

        naming = self._naming(room.queue for room, _ in chunks)
        replies = self._hub.ask(chained(naming, requests()), copies=self._copies)[len(naming) :]
        self._noted(naming)
        stored = [True] * len(jobs)
        for (room, indices), reply in zip(chunks, replies, strict=True):
            if type(reply) is int:
                for index in indices:
                    stamp(jobs[index], reply)
            elif type(reply[0]) is bytes:
                raise stopped("takes no new jobs", room.queue, reply[0])
            else:
                self._stamped(jobs, indices, reply, stored)
        return stored

    def _put_one(self, job: Job) -> list[bool]:
        """What is above for many, for one in a queue that is known: most puts."""
        room = self._rooms.room(job.queue)
        args = (*self._head(), b"", bytes.fromhex(job.id), pack_blob(job))
        reply = self._hub.one(
            Request(script("put_keys"), room.keys, args, room.slot) if job.key else Request(script("put"), room.put_keys, args, room.slot),
            copies=self._copies,
        )
        stored = [True]
        if type(reply) is int:
            stamp(job, reply)
        elif type(reply[0]) is bytes:
            raise stopped("takes no new jobs", job.queue, reply[0])
        else:
            self._stamped((job,), (0,), reply, stored)
        return stored

    @staticmethod
    def _stamped(jobs: Sequence[Job], indices: Sequence[int], reply: list[int], stored: list[bool]) -> None:
        now, *rest = reply
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
        reasons = self._hub.ask([Request(None, (), ("HGET", room.keys[0], "p"), room.slot) for room in asked])
        for room, reason in zip(asked, reasons, strict=True):
            if reason is not None:
                raise stopped("takes no new jobs", room.queue, reason)

    def _naming(self, queues: Iterable[str]) -> list[Request]:
        """Note the names of queues that may be new, ahead of what makes them: a job without the name would be seen by no one who asks
        for all queues. Noted again each minute, in case somebody has emptied the server."""
        late = monotonic() - NAMED
        names = {queue for queue in queues if self._named.get(queue, -NAMED) <= late}
        return [Request(None, (), ("SADD", self._rooms.queues, *names), self._rooms.slot)] if names else []

    def _noted(self, naming: Sequence[Request]) -> None:
        for request in naming:  # it has answered
            self._named.update(dict.fromkeys(cast("tuple[str, ...]", request.args[2:]), monotonic()))

    def _admits(self) -> None:
        held = self._held()
        if held is not None and held.settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self.features, MAX_BODY)
        self._admits()
        requests, places = [], []
        for queue, indices in grouped(entry.job.queue for entry in entries).items():
            room = self._rooms.room(queue)
            for part in parted(indices, lambda index: len(entries[index].job.body) + len(entries[index].result or b"")):
                requests.append(self._request("bring", room, *(arg for index in part for arg in brought(entries[index]))))
                places.append(part)
        naming = self._naming(entry.job.queue for entry in entries)
        replies = self._hub.ask(chained(naming, requests), copies=self._copies)[len(naming) :]
        self._noted(naming)
        return answers(len(entries), places, replies)

    # -- jobs are lent out

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_lease(lease)
        check_limit(limit)
        rooms = [self._rooms.room(queue) for queue in queues]
        lent: list[Lent] = []
        off, reason = 0, b""
        for group in [[room] for room in rooms] if self._hub.cluster else [rooms] if rooms else []:
            left = min(limit, LENT) - len(lent)
            until, token = self._clock.boot() + lease, os.urandom(8)
            keys = group[0].keys if len(group) == 1 else tuple(key for room in group for key in room.keys)
            args = (left, micro(lease) or 1, token, holder_text(holder), self._waiting.leaves(), micro(self._options.dead_keep), LENT_BYTES)
            request = Request(script("claim"), keys, (*self._head(), *args), group[0].slot)
            closed, why, *found = self._hub.one(request)
            off += closed
            reason = reason or why
            self._lent(found, token, until, lent)
            if len(lent) >= limit:
                break
        if off and off == len(rooms):
            raise stopped("hands out no jobs", queues[0], reason)
        if rooms:
            self._waiting.left()
        return lent

    def _lent(self, found: Sequence[bytes], token: bytes, until: float, out: list[Lent]) -> None:
        proof = token.hex()
        for at in range(0, len(found), 3):
            member, record, mark = found[at : at + 3]
            job_id = member[9:].hex()
            attempts, deaths = read_counts(mark)
            try:
                job = read_job(record, mark)
            except (Damaged, FutureFormat) as error:
                self._set_aside(member, proof, error)
                continue
            out.append(Lent(job, receipt(job.queue, job_id, proof), attempts + 1, deaths, until))

    def _set_aside(self, member: bytes, proof: str, error: Exception) -> None:
        """It cannot be handed out: what is damaged is buried with that reason, what is only too new is left to a newer ropeway."""
        job_id = member[9:].hex()
        queue = next((room for room in self.queues() if self._has(room, member[9:])), "")
        if not queue:
            return
        attempt = Attempt(0, 0.0, self._clock.now(), "", "failed", f"{type(error).__name__}: {error}")
        back = Handback(receipt(queue, job_id, proof), LATER, attempt, restore=True)
        logging.getLogger("ropeway").warning("queue %s: job %s cannot be read: %s", queue, job_id, error)
        if isinstance(error, FutureFormat):
            self.nack([Handback(back.receipt, LATER, restore=True)])
        else:
            self.bury([back])

    def _has(self, queue: str, job_id: bytes) -> bool:
        room = self._rooms.room(queue)
        return bool(self._hub.ask([Request(None, (), ("HEXISTS", room.keys[2], job_id), room.slot)])[0])

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        room = self._rooms.room(queue)
        known = [index for index, one in enumerate(ids) if is_job_id(one)]
        picked: list[Lent | None] = [None] * len(ids)
        for part in parted(known, lambda _: 0):
            until, token = self._clock.boot() + lease, os.urandom(8)
            asked = [bytes.fromhex(ids[index]) for index in part]
            (reply,) = self._hub.ask([self._request("pick", room, micro(lease) or 1, token, holder_text(holder), *asked)])
            for at in range(0, len(reply), 4):
                lent: list[Lent] = []
                self._lent(reply[at + 1 : at + 4], token, until, lent)
                picked[part[reply[at]]] = lent[0] if lent else None
        return picked

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        return self._settle("extend", receipts, lambda _: (), (micro(lease) or 1,), settles=False)

    # -- jobs are settled

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        check_acks(acks)
        plain = all(ack.result is None and ack.keep is None for ack in acks)

        def more(index: int) -> tuple[Argument, ...]:
            one = acks[index]
            return b"" if one.keep is None else micro(one.keep), pack_result(one.result, one.result_type)

        return self._settle("ack", [ack.receipt for ack in acks], (lambda _: ()) if plain else more, (2 if plain else 4,))

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        return self._back(handbacks, b"n")

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        return self._back(handbacks, b"b")

    def _back(self, handbacks: Sequence[Handback], what: bytes) -> list[bool]:
        def more(index: int) -> tuple[Argument, ...]:
            one = handbacks[index]
            how = (b"1" if one.restore else b"0") + (b"" if one.priority is None else bytes((one.priority,)))
            return micro(one.delay), how, pack_attempt(one.attempt)

        return self._settle("back", [one.receipt for one in handbacks], more, (what,))

    def _settle(
        self,
        name: str,
        receipts: Sequence[str],
        more: Callable[[int], tuple[Argument, ...]],
        first: tuple[Argument, ...],
        *,
        settles: bool = True,
    ) -> list[bool]:
        self._hub.enter()
        held = self._held()
        if held is not None and settles:
            held.settled = True
        groups: dict[str, list[tuple[int, bytes, bytes]]] = {}
        for index, text in enumerate(receipts):
            parsed = read_receipt(text)
            if parsed is not None:
                groups.setdefault(parsed[0], []).append((index, parsed[1], parsed[2]))
        requests, places = [], []
        for queue, members in groups.items():
            room = self._rooms.room(queue)
            for start in range(0, len(members), BATCH):
                part = members[start : start + BATCH]
                args = [arg for index, job_id, token in part for arg in (job_id, token, *more(index))]
                requests.append(self._request(name, room, *first, *args))
                places.append([index for index, _, _ in part])
        if not requests:
            return [False] * len(receipts)
        if held is not None and settles and not self._hub.cluster:
            return cast("list[bool]", held.later(requests, lambda replies: answers(len(receipts), places, replies)))
        copies = self._settle_copies if settles else 0
        replies = [self._hub.one(requests[0], copies=copies)] if len(requests) == 1 else self._hub.ask(requests, copies=copies)
        return answers(len(receipts), places, replies)

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float) -> bool:
        return self._waiting.wait([self._rooms.room(queue) for queue in queues], timeout)

    def wake(self) -> None:
        self._waiting.wake()

    # -- looking, and the operator's verbs

    def queues(self) -> list[str]:
        return self._looking.queues()

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        return self._looking.counts(queues)

    def browse(self, query: Query) -> list[Entry]:
        return self._looking.browse(query)

    def requeue(self, query: Query) -> int:
        return self._looking.change("r", query)

    def delete(self, query: Query) -> int:
        return self._looking.change("d", query)

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        for name in queues:
            check_name(name)
        check_reason(reason)
        text = reason.encode(errors="replace")
        wishes = [b"" if wish is None else b"+" + text if wish else b"-" for wish in (put, claim)]
        rooms = [self._rooms.room(queue) for queue in queues]
        self._hub.ask([*self._naming(queues), *(self._request("switch", room, *wishes) for room in rooms)])

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Not all or nothing: what answered inside is done. In order, by one connection, and what settles shares a round trip with what
        follows it."""
        self._hub.enter()
        local = self._hub.local
        if self._held() is not None:
            yield
            return
        held = local.held = Held(self._hub, self._settle_copies)
        try:
            yield
        finally:
            del local.held
            held.end()

    def _held(self) -> Held | None:
        held: Held | None = getattr(self._hub.local, "held", None)
        return held

    def durability(self) -> Durability:
        from .checkup import read_config

        self._hub.enter()
        place = self._hub.places()[0]
        return read_config(lambda *words: self._hub.through([Request(None, (), words)], place=place)[0], self._copies).durability

    def check(self) -> Iterable[Finding]:
        from .checkup import check_server

        return check_server(self._hub, self._rooms, self._copies, self.queues(), self._waiting.deaf)

    def _greet(self, ask: Callable[..., Any]) -> None:
        from .checkup import greet

        greet(ask, self._options, self._copies)

    def close(self) -> None:
        self._waiting.close()
        self._hub.close()
