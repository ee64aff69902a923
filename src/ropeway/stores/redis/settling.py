"""How jobs end or are given back, by their receipts: extend, ack, nack, bury."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from ...codec import Damaged, FutureFormat
from ...demands import check_acks, check_handbacks, check_lease, edited
from ...store import Ack, Handback
from .batches import BATCH, answers
from .intake import MAX_BODY
from .records import micro, pack_attempt, pack_blob, pack_result, read_job
from .rooms import read_receipt
from .scripts import Argument, Request
from .way import Way

More = Callable[[int], tuple[Argument, ...]]


class Settling:
    """The side of a store by which lent jobs come back."""

    def __init__(self, way: Way, copies: int) -> None:
        self._way = way
        self._hub = way.hub
        self._rooms = way.rooms
        self._copies = copies

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        return self._settle("extend", receipts, None, (micro(lease) or 1,), settles=False)

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        check_acks(acks)
        plain = all(ack.result is None and ack.keep is None for ack in acks)

        def more(index: int) -> tuple[Argument, ...]:
            one = acks[index]
            return b"" if one.keep is None else micro(one.keep), pack_result(one.result, one.result_type)

        return self._settle("ack", [ack.receipt for ack in acks], None if plain else more, (2 if plain else 4,))

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks, MAX_BODY)
        if any(one.edit is not None for one in handbacks):
            return self._back(handbacks, b"e", self._edits(handbacks))
        return self._back(handbacks, b"n")

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        return self._back(handbacks, b"b")

    def _back(self, handbacks: Sequence[Handback], what: bytes, edits: Sequence[bytes] | None = None) -> list[bool]:
        def more(index: int) -> tuple[Argument, ...]:
            one = handbacks[index]
            how = (b"1" if one.restore else b"0") + (b"" if one.priority is None else bytes((one.priority,)))
            common = micro(one.delay), how, pack_attempt(one.attempt)
            return common if edits is None else (*common, edits[index])

        return self._settle("back", [one.receipt for one in handbacks], more, (what,))

    def _edits(self, handbacks: Sequence[Handback]) -> list[bytes]:
        """What replaces what was put of each; nothing where it stays. The job is looked at first: its key, its lane and its id are not the
        caller's to change. It cannot change meanwhile, or its receipt is void."""
        wanted, requests = [], []
        for index, one in enumerate(handbacks):
            parsed = read_receipt(one.receipt) if one.edit is not None else None
            if parsed is not None:
                room = self._rooms.room(parsed[0])
                wanted.append(index)
                requests.append(Request(None, ("HGET", room.keys[2], parsed[1]), room.slot))
        edits = [b""] * len(handbacks)
        for index, record in zip(wanted, self._hub.ask(requests) if requests else (), strict=True):
            edit = handbacks[index].edit
            if record is not None and edit is not None:
                try:
                    job = read_job(record, b"")
                except (Damaged, FutureFormat):
                    continue  # nobody can have been lent that
                job.created = job.due = 0.0  # the record has them in front
                edits[index] = pack_blob(edited(job, edit))
        return edits

    def _settle(
        self,
        name: str,
        receipts: Sequence[str],
        more: More | None,
        first: tuple[Argument, ...],
        *,
        settles: bool = True,
    ) -> list[bool]:
        self._hub.enter()
        held = self._way.held()
        if held is not None and settles:
            held.settled = True
        groups: dict[str, list[tuple[int, bytes, bytes]]] = {}
        for index, text in enumerate(receipts):
            parsed = read_receipt(text)
            if parsed is not None:
                groups.setdefault(parsed[0], []).append((index, parsed[1], parsed[2]))
        requests, places, apart = [], [], False
        for queue, members in groups.items():
            room = self._rooms.room(queue)
            apart = apart or (settles and room.shares_ends)
            for start in range(0, len(members), BATCH):
                part = members[start : start + BATCH]
                args: list[Argument] = [*first]
                for index, job_id, token in part:
                    args += (job_id, token) if more is None else (job_id, token, *more(index))
                requests.append(Request(self._way.front(name, room), tuple(args), room.slot))
                places.append([index for index, _, _ in part])
        if not requests:
            return [False] * len(receipts)
        if apart:  # those have no bell of their own: it is rung behind, perhaps for nothing
            requests.append(self._way.on("over", (self._rooms.shared_ends,), self._rooms.ends_slot))
        count = len(places)
        if held is not None and settles and not self._hub.cluster:
            return cast("list[bool]", held.later(requests, lambda replies: answers(len(receipts), places, replies[:count])))
        copies = self._copies if settles else 0
        replies = [self._hub.one(requests[0], copies=copies)] if len(requests) == 1 else self._hub.ask(requests, copies=copies)
        return answers(len(receipts), places, replies[:count])
