"""Ack, nack, bury, extend: a receipt counts if and only if the rename or unlink of its part's current exact name succeeds.

That one call is the decision and the change, so no clock is trusted for safety. Of the holder's ack and a rescuer's return the file system
runs one first, and the other finds the name gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...events import Event
from ...job import Attempt, Job, numbered
from ...store import Ack, Handback
from . import beside, bodies, edits, keys
from .layout import Part, receipt_of, runs_of
from .receipts import Receipts

if TYPE_CHECKING:
    from .lending import HeldPart

TRIES = 5


class Settling(Receipts):
    """The settling side of one queue. Called under the room's lock; answers are in the order asked."""

    # -- the verbs, for the receipts of one part

    def ack(self, base: str, acks: Sequence[tuple[int, Ack]]) -> list[bool]:
        held = self._find(base, acks[0][0])
        if held is None and len(acks) > 1:
            return [self.ack(base, [one])[0] for one in acks]
        if held is None:
            return [False]
        jobs = held.jobs or {}
        answers: dict[int, bool] = {}
        plain: dict[int, bool] = {}
        for record, ack in acks:
            if record in answers or record in plain:
                continue
            job = jobs.get(record)
            keep = ack.keep if ack.keep is not None else (job.keep if job else 0.0)
            if keep > 0 and job is not None:
                answers[record] = self._keep(held, record, job, ack, keep)
            else:
                plain[record] = False
        if plain:
            answers.update(zip(plain, self._settle(base, held, [*plain]), strict=True))
        self._let_go(held)
        return [answers.pop(record, False) for record, _ in acks]

    def remove(self, held: HeldPart) -> int:
        """Settle all that is open in a part, for the operator; how many jobs went."""
        return sum(self._settle("", held, [*held.part.open_records()]))

    def expire(self, base: str, held: HeldPart, records: list[int]) -> None:
        ids = tuple(job.id for job in self._jobs(held, records))
        gone = self._settle(base, held, records)
        self.station.tell(Event("expired", self.room.queue, count=sum(gone), ids=ids))

    def _settle(self, base: str, held: HeldPart, records: Sequence[int]) -> list[bool]:
        """Set these records' bits in the part's name, or remove the part when they were the last."""
        for _ in range(TRIES):
            part, mask = held.part, 0
            is_open = [not part.settled(record) for record in records]
            for record, still in zip(records, is_open, strict=True):
                if still:
                    mask |= 1 << (record - part.first)
            if not mask:
                break
            new = part.but(bits=part.bits | mask)
            if new.full():
                done = self._finish(held)
            else:
                name = new.held()
                done = self.disk.rename(held.name, held.run.fd, name, held.run.fd)
                if done:
                    held.part, held.name = new, name
                    self._after([record for record, still in zip(records, is_open, strict=True) if still], held)
            if done:
                if new.full():
                    self.station.held.pop(base, None)
                if self.place.acks_full:
                    self.disk.sync(held.run.fd)
                return is_open
            if not self._adopt(held):
                break
        self.station.held.pop(base, None)
        return [False] * len(records)

    def _finish(self, held: HeldPart) -> bool:
        """Remove the part: its exact name is the ack. Where the reply may be lost, or a body, a key or a history is to go with it, it is
        renamed out of the way first: that rename decides, and whoever finds the rest clears it away."""
        if held.touched:
            self.publish_committed(held.run.fd, held.part)
        records = [*held.part.open_records()]
        more = held.part.tags or held.part.has_past() or any(j.size >= 0 or j.key or j.once or j.keep for j in self._jobs(held, records))
        if not self.disk.shared and not more:
            done = self.disk.unlink(held.name, held.run.fd)
            if done and held.part.stay:
                self.station.seats.free(held.part)
            return done
        gone = f"g{held.name}"
        if not self.disk.rename(held.name, held.run.fd, gone, held.run.fd):
            return False
        try:
            try:
                self._clear_up(gone, records, held)
            except FileNotFoundError:
                if self.station.lost():  # one who saw no job any more has begun to drop the queue
                    self._clear_up(gone, records, held)
        except OSError:
            pass  # acked all the same; whoever clears up behind this process removes it
        return True

    def _clear_up(self, gone: str, records: Sequence[int], held: HeldPart) -> None:
        """What has ended lets go of all that is its own, and then goes."""
        self.left(held.run.fd, gone, held.part)
        if self._after(records, held):
            self.disk.unlink(gone, held.run.fd)

    def left(self, fd: int, name: str, part: Part) -> None:
        """A part that runs no more, and now has this name, lets go of its places."""
        if part.tags and part.lane:
            self.station.lanes.leave(fd, name, part)
        if part.stay:
            self.station.seats.free(part)

    def _after(self, records: Sequence[int], held: HeldPart) -> bool:
        """Clear up behind jobs that have gone. Failing at this loses nothing; False when a body is left, to be found by the part's name."""
        clear = True
        for job in self._jobs(held, records):
            try:
                if held.part.has_past() or job.keep:
                    beside.forget(self.room, job.id)
                if job.key or job.once:
                    keys.let_go(self.room, self.room.run("p"), job)
            except OSError:
                pass
            try:
                if job.size >= 0 or held.part.edit:  # before it was edited it may have had a body there
                    bodies.withdraw(self.room, job.id)
            except OSError:
                clear = False
        return clear

    def _keep(self, held: HeldPart, record: int, job: Job, ack: Ack, keep: float) -> bool:
        forgotten, noted = int((self.place.now() + keep) * 1e6), ""
        if ack.result is not None and not held.part.settled(record):
            noted = beside.put_result(self.room, job.id, held.part.serial, forgotten, ack.result_type, ack.result)
        for _ in range(TRIES):
            part = held.part
            if part.settled(record):
                break
            done = part.cut(record, record + 1).but(until=forgotten)
            done.past |= bool(noted)
            if self.move_out(held, "k", done):
                return True
            if not self._adopt(held):
                self.station.held.pop(receipt_of(self.room.queue, held.run.name, held.part), None)
                break
        if noted:
            self._forget([noted])
        return False

    def nack(self, base: str, handbacks: Sequence[tuple[int, Handback]]) -> list[bool]:
        """Records that go back alike go back together: one link, one rename, one rename, however many they are."""
        answers: dict[int, bool] = {}
        groups: dict[tuple[float, bool, int | None, int], list[int]] = {}
        attempts: dict[int, Attempt | None] = {}
        new: dict[int, Job] = {}
        for record, back in handbacks:
            if record not in attempts:  # of two for one job the first counts
                attempts[record] = back.attempt
                if back.edit is not None:
                    new[record] = back.edit
                alone = -1 if back.edit is None else record
                groups.setdefault((back.delay, back.restore, back.priority, alone), []).append(record)
        now = self.place.now()
        for (delay, restore, priority, _), records in groups.items():
            in_place = restore and not delay
            for run in runs_of(records) if in_place else (records,):
                self._give(base, run, int((now + delay) * 1e6), restore, priority, attempts, answers, in_place, new.get(run[0]))
        self.station.tree.forget()
        return [answers.pop(record, False) for record, _ in handbacks]

    def _give(
        self,
        base: str,
        records: list[int],
        due: int,
        restore: bool,
        priority: int | None,
        attempts: dict[int, Attempt | None],
        answers: dict[int, bool],
        in_place: bool,
        edit: Job | None,
    ) -> None:
        """`in_place`: as if they had not run, so under their old due, but not later than `due`. One that is edited comes alone."""
        held = next((h for r in records if (h := self._find(base, r)) is not None), None)
        if held is None:
            return
        noted = self._remember(held, records, attempts)
        job = held.jobs.get(records[0]) if held.jobs else None
        tag = edits.write(self.room, job, edit) if edit is not None and job is not None else ""
        for _ in range(TRIES):
            part = held.part
            live = sorted({r for r in records if not part.settled(r)})
            if not live:
                break
            first, end = live[0], live[-1] + 1
            kept_out = sum(1 << (r - first) for r in range(first, end) if r not in live)
            back = part.cut(first, end).but(due=min(due, part.due) if in_place else due, attempts=part.attempts - restore)
            back.past |= bool(noted or tag)
            back.bits |= kept_out
            if tag:
                back.tags = part.edited(tag)
            if priority is not None:
                back.prio = priority
            if self.move_out(held, "n", back, live):
                answers.update(dict.fromkeys(live, True))
                break
            if not self._adopt(held):
                self.station.held.pop(base, None)
                break
        self._let_go(held)
        self._forget(name for record, name in noted.items() if record not in answers)
        if tag and job is not None:
            done = records[0] in answers
            edits.drop(self.room, job.id, held.part.edit if done else tag)
            if done and job.size >= 0:
                bodies.withdraw(self.room, job.id)

    def bury(self, base: str, handbacks: Sequence[tuple[int, Handback]]) -> list[bool]:
        answers = []
        for record, back in handbacks:
            held = self._find(base, record)
            if held is None:
                answers.append(False)
                continue
            noted = self._remember(held, [record], {record: back.attempt})
            done = False
            for _ in range(TRIES):
                part = held.part
                if part.settled(record):
                    break
                dead = part.cut(record, record + 1).but(until=int(self.place.now() * 1e6), attempts=part.attempts - back.restore)
                dead.past |= bool(noted)
                if self.move_out(held, "d", dead):
                    done = True
                    for job in self._jobs(held, [record]):
                        if job.key:
                            keys.let_go(self.room, self.room.run("p"), job, buried=True)
                    break
                if not self._adopt(held):
                    self.station.held.pop(base, None)
                    break
            self._let_go(held)
            if not done:
                self._forget(noted.values())
            answers.append(done)
        return answers

    def _remember(self, held: HeldPart, records: Sequence[int], attempts: dict[int, Attempt | None]) -> dict[int, str]:
        """Keep these attempts beside their jobs; the files' names, by record."""
        noted: dict[int, str] = {}
        for record in records:
            attempt = attempts.get(record)
            if attempt is not None and held.jobs and record in held.jobs and not held.part.settled(record):
                noted[record] = beside.add_attempt(self.room, held.jobs[record].id, numbered(attempt, held.part.attempts))
        return noted

    def _forget(self, noted: Iterable[str]) -> None:
        for name in noted:
            beside.take_back(self.room, name)

    def extend(self, base: str, records: Sequence[int], lease: float) -> list[bool]:
        """One rename for the part, whose records share their lease: that of the others is never shortened. Settled records answer False."""
        held = next((h for r in records if (h := self._find(base, r)) is not None), None)
        if held is None:
            return [False] * len(records)
        clock, _ = self.place.lease_clock()
        until, asked = clock + int(lease * 1000) + 1, set(records)
        try:
            for _ in range(TRIES):
                others = any(r not in asked for r in held.part.open_records())
                new = held.part.but(until=max(until, held.part.until) if others else until)
                name = new.held()
                if self.disk.rename(held.name, held.run.fd, name, held.run.fd):
                    held.part, held.name = new, name
                    self.station.note_lease(until)
                    return [not new.settled(r) for r in records]
                if not self._adopt(held):
                    self.station.held.pop(base, None)
                    break
            return [False] * len(records)
        finally:
            self._let_go(held)
