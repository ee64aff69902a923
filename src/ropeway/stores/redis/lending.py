"""How jobs are lent out: claim and pick."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from ...codec import Damaged, FutureFormat
from ...demands import check_lease, check_limit
from ...job import Attempt
from ...store import Handback, Holder, Lent
from .batches import holder_text, is_job_id, parted, stopped
from .records import micro, read_counts, read_job
from .rooms import receipt
from .scripts import Request
from .settling import Settling
from .waiting import Waiting
from .way import Way

LENT = 1000  # jobs a claim
LENT_BYTES = 8 << 20
LATER = 60.0  # seconds for which a job that only a newer ropeway understands is left to others


class Lending:
    """The side of a store by which jobs are lent out."""

    def __init__(self, way: Way, waiting: Waiting, settling: Settling, dead_keep: float) -> None:
        self._way = way
        self._hub = way.hub
        self._rooms = way.rooms
        self._waiting = waiting
        self._settling = settling
        self._dead_keep = micro(dead_keep)

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_lease(lease)
        check_limit(limit)
        rooms = [self._rooms.room(queue) for queue in queues]
        lent: list[Lent] = []
        off, reason = 0, b""
        for group in [[room] for room in rooms] if self._hub.cluster else [rooms] if rooms else []:
            left = min(limit, LENT) - len(lent)
            until, token = self._way.clock.boot() + lease, os.urandom(8)
            args = (left, micro(lease) or 1, token, holder_text(holder), self._waiting.leaves(), self._dead_keep, LENT_BYTES)
            closed, why, *found = self._hub.one(self._way.of_many("claim", group, *args))
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

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        room = self._rooms.room(queue)
        known = [index for index, one in enumerate(ids) if is_job_id(one)]
        picked: list[Lent | None] = [None] * len(ids)
        for part in parted(known, lambda _: 0):
            until, token = self._way.clock.boot() + lease, os.urandom(8)
            asked = [bytes.fromhex(ids[index]) for index in part]
            (reply,) = self._hub.ask([self._way.request("pick", room, micro(lease) or 1, token, holder_text(holder), *asked)])
            for at in range(0, len(reply), 4):
                lent: list[Lent] = []
                self._lent(reply[at + 1 : at + 4], token, until, lent)
                picked[part[reply[at]]] = lent[0] if lent else None
        return picked

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
        (names,) = self._hub.ask([Request(None, ("SMEMBERS", self._rooms.queues), self._rooms.slot)])
        queue = next((name.decode() for name in names if self._has(name.decode(), member[9:])), "")
        if not queue:
            return
        proof = receipt(queue, job_id, proof)
        logging.getLogger("ropeway").warning("queue %s: job %s cannot be read: %s", queue, job_id, error)
        if isinstance(error, FutureFormat):
            self._settling.nack([Handback(proof, LATER, restore=True)])
        else:
            attempt = Attempt(0, 0.0, self._way.clock.now(), "", "failed", f"{type(error).__name__}: {error}")
            self._settling.bury([Handback(proof, LATER, attempt, restore=True)])

    def _has(self, queue: str, job_id: bytes) -> bool:
        room = self._rooms.room(queue)
        return bool(self._hub.ask([Request(None, ("HEXISTS", room.keys[2], job_id), room.slot)])[0])
