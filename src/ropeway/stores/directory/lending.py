"""Claiming: one rename takes a part out of its slot into the holder's folder, under a name that says until when and which try it is.

A claim that wants less than the part splits it: link the tail under a staged name, rename the head (that is the commit), publish the
tail. A kill before the commit leaves a tail that the parent's name still covers (void); a kill after it leaves one that the parent has
let go of (real), and whoever finds the dead holder publishes it. Nothing is copied, ever.

A claim can outlive its own lease (the process was stopped in the middle): then the part is no longer in the folder, and not ours.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...codec import Damaged, FutureFormat
from ...errors import StoreError
from ...events import Event
from ...job import Job
from ...store import Holder, Lent
from . import bodies, edits
from .holders import RunFolder
from .layout import Part, Staged, read_waiting, receipt_of, runs_of
from .tree import Prio, Slot

if TYPE_CHECKING:
    from .station import Station

LEAP = 64
PARKED = 500  # jobs that one claim moves out of the way at most, before it answers with what it has


class HeldPart:
    """A part that is lent out, as the folder names it at this moment. Changed only under the room's lock."""

    __slots__ = ("jobs", "name", "part", "run", "touched")

    def __init__(self, part: Part, name: str, run: RunFolder, jobs: dict[int, Job] | None) -> None:
        self.part, self.name, self.run, self.jobs = part, name, run, jobs
        self.touched = False  # another process has settled or extended something of it


class Lending:
    """The claiming side of one queue."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk, self.place = station.room, station.room.disk, station.room.place
        self._left_alone: set[str] = set()
        self._misses = 0
        self._begun = False
        self.more = False  # whether the last claim saw more due jobs than it took
        self._seated = False  # whether the queue has a limit, so that each job that is lent needs a seat
        self._seat = -1  # one that was taken and is not used yet
        self._parked = 0
        self._held_up = False  # whether this claim ended because as many run as may

    def claim(self, limit: int, lease: float, holder: Holder, begun: bool = False) -> list[Lent]:
        """Take up to `limit` due records in order. A suspect (its holder died with it) is lent alone: a claim holds one suspect and
        nothing else, or none, so that a killer is found without charging its neighbours twice. `begun`: it holds others already."""
        room = self.room
        run = room.run("p" if holder.bound else "f", holder.name)
        now = int(self.place.now() * 1e6)
        out: list[Lent] = []
        self.more, self._held_up, self._begun, self._parked = False, False, begun, 0
        self._seated = room.bounds is not None and room.bounds.limits.running > 0
        if "lanes" in self.station.__dict__:
            self.station.lanes.begin()
        try:
            while not self._walk(now, run, limit, lease, out) and not out and self._woke():
                pass
        except OSError:
            if not out:
                raise
            self.station.tree.forget()  # what was taken so far is handed out; the next claim meets the error again, if it lasts
        finally:
            if self._seat >= 0:
                self.station.seats.give(self._seat)
                self._seat = -1
        return out

    def _walk(self, now: int, run: RunFolder, limit: int, lease: float, out: list[Lent]) -> bool:
        """Take what is due, in order; True when the claim is complete."""
        for prio in self.station.tree.prios():
            for slot, bound in prio.runs(now):
                if self._take_run(prio, slot, bound, run, limit, lease, out):
                    self.more = slot.at < len(slot.names) and not self._held_up
                    return True
        return False

    def _woke(self) -> bool:
        """Whether what was parked has come back behind our back, while a job of its lane expired."""
        if "lanes" not in self.station.__dict__ or not self.station.lanes.woke:
            return False
        self.station.lanes.woke = False
        return True

    def _take_run(self, prio: Prio, slot: Slot, bound: str, run: RunFolder, limit: int, lease: float, out: list[Lent]) -> bool:
        """Take names of one slot up to the bound; True when the claim is complete."""
        names = slot.names
        while slot.at < len(names) and slot.names is names:  # or they are to be listed again
            name = names[slot.at]
            if name >= bound:
                return False
            part = read_waiting(name)
            if part is None or part.x in self._left_alone:
                slot.passed.add(name)
                slot.at += 1
                continue
            if part.deaths and (out or self._begun):
                return True
            if self._seated and self._seat < 0:
                self._seat = self.station.seats.take()
                self._held_up = self._seat < 0
                if self._held_up:
                    return True
            slot.at += 1
            stay = ""
            if part.tags and part.lane:
                place = self.station.lanes.enter(slot.fd, name, part, prio.number)
                if place < 0:
                    self._parked += 1
                    if self._parked >= PARKED:
                        return True
                    continue
                stay = f".p{place}"
            if self._seated:
                stay += f".q{self._seat}"
            before = self.station.clock.boot()
            held = self._take(prio.number, slot.fd, name, part, run, lease, stay)
            if held is None:
                self.room.check_run(run)
                self._misses += 1
                if self._misses > 1:  # another worker goes through the same names: leap over what it is likely to take
                    self._leap(slot, min(self._misses * limit, LEAP * 4))
                continue
            self._misses, self._seat = 0, -1
            want = 1 if part.deaths or self._seated else limit - len(out)
            self._lend(held, want, before + lease, out, slot)
            if len(out) >= limit or (part.deaths and out):
                return True
        return False

    def _leap(self, slot: Slot, names: int) -> None:
        """Pass over so many names, but over none that has a lane, whose later jobs may not be lent before it."""
        end = min(slot.at + names, len(slot.names))
        while slot.at < end and ".l" not in slot.names[slot.at]:
            slot.at += 1

    def _take(self, prio: int, from_fd: int, name: str, part: Part, run: RunFolder, lease: float, stay: str = "") -> HeldPart | None:
        """The rename that is the claim; None when another was faster. `stay`: the places it has in its lane and queue while it runs."""
        clock, _ = self.place.lease_clock()
        until = clock + int(lease * 1000) + 1
        taken = Part(
            part.due,
            part.x,
            part.first,
            part.end,
            part.attempts + 1,
            part.deaths,
            part.bits,
            prio,
            until,
            run.serial(),
            part.past,
            part.tags,
            stay,
        )
        new = taken.held()
        if not self.disk.rename(name, from_fd, new, run.fd):
            return None
        return HeldPart(taken, new, run, None)

    def _lend(self, held: HeldPart, want: int, until: float, out: list[Lent], slot: Slot | None = None) -> None:
        """Split off what is too much, read the rest, and hand it out."""
        part = held.part
        if part.live() > want and not self._split(held, want, slot):
            return
        jobs = self._read(held)
        if jobs is None:
            return
        part = held.part
        now = self.place.now()
        base = receipt_of(self.room.queue, held.run.name, part)
        expired = []
        for record, job in jobs.items():
            if job.ttl and job.expires() <= now:
                expired.append(record)
                continue
            out.append(Lent(job, f"{base}{record}", part.attempts, part.deaths, until))
        held.jobs = jobs
        self.station.held[base] = held
        self.station.note_lease(part.until)
        if expired:
            self.station.settling.expire(base, held, expired)

    def _split(self, held: HeldPart, want: int, slot: Slot | None) -> bool:
        """Keep the first `want` open records, give the tail back under its old due; False when the part is no longer ours."""
        part = held.part
        middle = [*part.open_records()][want - 1] + 1
        tail = part.cut(middle, part.end).trimmed().but(attempts=part.attempts - 1)
        if not self._give_tail(held, tail, slot.fd if slot else None):
            return False
        if slot:  # it is next in order, or nearly so, and the list at hand was read before it was there
            insort(slot.names, tail.waiting(), slot.at)
        return True

    def _give_tail(self, held: HeldPart, tail: Part, slot_fd: int | None) -> bool:
        part, run = held.part, held.run
        name = Staged("s", part.serial, tail).name()
        if not self.disk.link(held.name, run.fd, name, run.fd):
            return False
        head = part.cut(part.first, tail.first).but(stay=part.stay)
        new = head.held()
        if not self.disk.rename(held.name, run.fd, new, run.fd):
            self.disk.unlink(name, run.fd)
            return False
        held.part, held.name = head, new
        try:
            self.station.into_slot(run.fd, name, tail, slot_fd)
        except BaseException:
            self._give_up(held)
            raise
        return True

    def _give_up(self, held: HeldPart) -> None:
        """The tail is let go of and could not be published: nothing of it is handed out, so that the next claim, or the end of the
        lease, finds both. The error that led here is the one to be told."""
        try:
            self.station.settling.publish_committed(held.run.fd, held.part)
            self.station.give_back(held, restore=True)
        except (OSError, StoreError):
            return

    def _read(self, held: HeldPart) -> dict[int, Job] | None:
        """The jobs of the open records; None when the part could not be handed out (lost, damaged, from the future)."""
        part, run = held.part, held.run
        wanted = [*part.open_records()] if part.bits else range(part.first, part.end)
        try:
            jobs = edits.read(self.room, part, held.name, run.fd, wanted)
        except FileNotFoundError:
            return None
        except FutureFormat as error:
            self._left_alone.add(part.x)
            self.station.give_back(held, restore=True)
            self.station.tell(Event("quarantined", self.room.queue, error=str(error), detail="left alone"))
            return None
        except (Damaged, OSError) as error:
            self._set_aside(held, error)
            return None
        for job in jobs:
            if job.queue != self.room.queue:
                job.queue = self.room.queue
            job.priority, job.due = part.prio, part.due / 1e6
            if job.size >= 0:
                job.source = bodies.StoredBody(self.room, job)
        return dict(zip(wanted, jobs, strict=True))

    def _set_aside(self, held: HeldPart, error: Exception) -> None:
        """Damaged: into `bad/`, whole, with an event; the rest of the queue goes on."""
        if isinstance(error, OSError) and error.errno not in (20, 40, 6):  # ENOTDIR, ELOOP, ENXIO: a link or a device under a part's name
            self.station.give_back(held, restore=True)
            raise error
        bad = self.room.folder("bad")
        if self.disk.rename(held.name, held.run.fd, held.name, bad):
            self.station.settling.left(bad, held.name, held.part)
        self.station.tell(Event("quarantined", self.room.queue, error=str(error), detail=f"bad/{held.name}"))

    def take_whole(self, prio: int, slot_fd: int, name: str, part: Part, run: RunFolder, lease: float) -> HeldPart | None:
        """Take a waiting part to remove it; None when another was faster."""
        held = self._take(prio, slot_fd, name, part, run, lease)
        if held is not None:
            jobs = self._read(held)
            if jobs is None:
                return None
            held.jobs = jobs
        return held

    def pick(self, found: tuple[int, int, str, Part], record: int, lease: float, holder: Holder, free: bool = False) -> Lent | None:
        """Take one record of a waiting part (prio, slot descriptor, name, part) for the operator, the others go straight back. `free`: it
        is not to be run, so it needs no place in its lane and its queue."""
        prio, slot_fd, name, part = found
        run = self.room.run("p" if holder.bound else "f", holder.name)
        stay = "" if free else self._stay(prio, slot_fd, name, part)
        if stay is None:
            return None
        before = self.station.clock.boot()
        held = self._take(prio, slot_fd, name, part, run, lease, stay)
        if held is None:
            if stay:
                self.station.seats.free(part.but(stay=stay))
            return None
        part = held.part
        self.station.tree.forget()
        if record + 1 < part.end:
            tail = part.cut(record + 1, part.end).trimmed().but(attempts=part.attempts - 1)
            if not self._give_tail(held, tail, None):
                return None
        if held.part.first < record and not self._give_head(held, record):
            return None
        out: list[Lent] = []
        self._lend(held, 1, before + lease, out)
        return out[0] if out else None

    def pick_some(self, found: tuple[int, int, str, Part], records: Sequence[int], lease: float, holder: Holder) -> list[Lent]:
        """Take several records of a waiting part, that need no places; the others go straight back, those between two of them together."""
        prio, slot_fd, name, part = found
        run = self.room.run("p" if holder.bound else "f", holder.name)
        before = self.station.clock.boot()
        held = self._take(prio, slot_fd, name, part, run, lease)
        if held is None:
            return []
        self.station.tree.forget()
        out: list[Lent] = []
        self._lend(held, part.live(), before + lease, out)
        wanted = set(records)
        back = 0
        for others in runs_of([record for record in held.part.open_records() if record not in wanted]):
            rest = held.part.cut(others[0], others[-1] + 1).but(attempts=held.part.attempts - 1)
            if self.station.settling.move_out(held, "n", rest, others):
                back += len(others)
        self.station.ring(back)  # who looked meanwhile saw none of them
        return [lent for lent in out if int(lent.receipt.rpartition(".")[2]) in wanted]

    def _stay(self, prio: int, slot_fd: int, name: str, part: Part) -> str | None:
        """The places that a job needs to run, as its name will tell them; None when there is none."""
        bounds, seat = self.room.bounds, -1
        if bounds is not None and bounds.limits.running:
            seat = self.station.seats.take()
            if seat < 0:
                return None
        place = self.station.lanes.enter(slot_fd, name, part, prio, park=False) if part.lane else 0
        if place >= 0:
            return (f".p{place}" if part.lane else "") + (f".q{seat}" if seat >= 0 else "")
        if seat >= 0:
            self.station.seats.give(seat)
        return None

    def _give_head(self, held: HeldPart, record: int) -> bool:
        """Keep the last record only: what is before it goes back as by a nack, under its old due and with its attempt restored."""
        part = held.part
        before = [r for r in part.open_records() if r < record]
        if not before:
            return True
        head = part.cut(before[0], before[-1] + 1).but(attempts=part.attempts - 1)
        return self.station.settling.move_out(held, "n", head, before)
