"""Putting: the jobs of one put that share priority and due time become one part file: written aside, renamed into its slot, synced.

The order of the steps is the promise. Local disk: write, rename, sync the file, sync the slot (the first sync commits the rename with
it, so the second costs next to nothing; the price is that a job may run before its put has answered). Shared store: sync first, then
rename, because a full disk may be reported only then, and because another host may read the file as soon as it has its name. A new folder
is synced into the one above it, also when somebody else made it, who may not have done so yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ...codec import pack_job
from ...errors import StoreError
from ...job import Job
from .descriptors import HINT, SPENT
from .disk import FULL_DISK
from .holders import RunFolder
from .layout import BIG_BODY, NO_PAST, PART_BYTES, RECORDS, Part, just_put, lane_tag, stretch_of
from .parts import build
from .room import Room
from .slots import Slots


def guards(job: Job) -> bool:
    """Whether the job's file guards its key or its id, or has a body beside it."""
    return bool(job.key) or job.once or job.source is not None or len(job.body) > BIG_BODY


def alone(job: Job) -> bool:
    """Whether the job needs a part of its own: it is guarded, or its name says its lane."""
    return bool(job.lane) or guards(job)


class Written:
    """A part that stands in its slot, or on its shelf, and waits for its sync; `fleeting`: for none."""

    __slots__ = ("fd", "fleeting", "jobs", "name", "slot")

    def __init__(self, jobs: Sequence[Job], name: str, fd: int, slot: int, fleeting: bool = False) -> None:
        self.jobs, self.name, self.fd, self.slot, self.fleeting = jobs, name, fd, slot, fleeting


class Shelf:
    """Where a job that has ended stands: dead or done, as what part."""

    __slots__ = ("name", "part")

    def __init__(self, name: str, part: Part) -> None:
        self.name, self.part = name, part


class Intake:
    """The putting side of one room."""

    def __init__(self, room: Room, free_keys: Callable[[], int], clear_dead: Callable[[], object]) -> None:
        """`free_keys` forgets the done jobs whose time is over, and so frees their keys; it says how many. `clear_dead` clears away what
        dead processes have not finished."""
        self.room = room
        self.place = room.place
        self.disk = room.disk
        self.slots = Slots(room)
        self._free_keys, self._clear_dead = free_keys, clear_dead

    def put(self, jobs: Sequence[Job], due: int, now: int, past: str = NO_PAST, fleeting: bool = False) -> tuple[list[bool], list[Written]]:
        """Write one job, or ordinary ones (one priority, one due), into their slot. False: the key is taken. What comes back must be given
        to `finish` or `take_back`. Raises StoreError, then nothing of it is left behind unless it says that this is unknown. `past`: the
        attempts and deaths that they bring along, as in the name. `fleeting`: nobody waits for the disk."""
        self.slots.enter()
        out: list[Written] = []
        try:
            if len(jobs) == 1:
                return [self._put_alone(jobs[0], due, now, out, past, fleeting=fleeting)], out
            return self._put_many(jobs, due, now, out, past, fleeting), out
        except BaseException as error:
            gone = self.take_back(out)
            if isinstance(error, StoreError):
                error.definite = error.definite and not gone
                raise
            if isinstance(error, OSError):
                raise self._refused(error, unknown=bool(gone)) from error
            raise

    def put_ended(self, job: Job, shelf: Shelf, now: int) -> tuple[list[bool], list[Written]]:
        """The same for one that is dead or done: it goes to its shelf. A dead one has no key any more, but still its id, with `once`."""
        self.slots.enter()
        out: list[Written] = []
        try:
            return [self._put_alone(job, 0, now, out, shelf=shelf)], out
        except BaseException as error:
            self.take_back(out)
            if isinstance(error, OSError):
                raise self._refused(error, unknown=False) from error
            raise

    def put_one(self, job: Job, due: int, now: int) -> None:
        """`put` and `finish` for one ordinary job, without what only several need, or a guarded one."""
        self.slots.enter()
        try:
            written = self._write((job,), (pack_job(job),), due, now, fleeting=job.fleeting)
        except BaseException as error:
            self.slots.leave()
            if isinstance(error, OSError):
                raise self._refused(error, unknown=False) from error
            raise
        self.finish((written,))

    def _put_many(self, jobs: Sequence[Job], due: int, now: int, out: list[Written], past: str, fleeting: bool) -> list[bool]:
        """Ordinary jobs, as many to a part as fit."""
        packed = [pack_job(job) for job in jobs]
        start = size = 0
        for index, record in enumerate(packed):
            if index - start == RECORDS or (size + len(record) > PART_BYTES and index > start):
                out.append(self._write(jobs[start:index], packed[start:index], due, now, past, fleeting=fleeting))
                start, size = index, 0
            size += len(record)
        out.append(self._write(jobs[start:], packed[start:], due, now, past, fleeting=fleeting))
        return [True] * len(jobs)

    def _put_alone(
        self, job: Job, due: int, now: int, out: list[Written], past: str = NO_PAST, shelf: Shelf | None = None, fleeting: bool = False
    ) -> bool:
        """One job in a part of its own; False when its key is held by another live job. One that is guarded is never fleeting: what guards
        it would outlive it."""
        if not guards(job):
            out.append(self._write((job,), (pack_job(job),), due, now, past, shelf, fleeting))
            return True
        from . import keys  # late, as the bodies below: few puts need them, and each start pays for an import

        if job.source is not None and (job.key or job.once):
            self._let_in(job)  # before it is read: that can be done once only
        written = self._put_guarded(job, due, now, past, shelf)
        if written is None and job.source is None and ((job.key and self._free_keys()) or self._let_in(job)):
            written = self._put_guarded(job, due, now, past, shelf)
        if written is None:
            return keys.same_job(self.room, job)
        out.append(written)
        return True

    def _let_in(self, job: Job) -> bool:
        """What holds the key or the id is this very job, but it may be the unfinished put of a process that has died: that is cleared away.
        True when it was."""
        from . import keys

        if not keys.same_job(self.room, job):
            return False
        self._clear_dead()
        return not keys.same_job(self.room, job)

    def _put_guarded(self, job: Job, due: int, now: int, past: str, shelf: Shelf | None) -> Written | None:
        """A job with a key, a guarded id or a large body; None when the key is taken."""
        from . import bodies, keys

        room, run = self.room, self.room.run("p")
        temporary = run.temporary()
        big = None
        if job.source is not None or len(job.body) > BIG_BODY:
            job, big = bodies.take_in(room, run, job, temporary)
        try:
            fd = self.disk.write_new(temporary, run.fd, build((pack_job(job),)), self.place.file_mode)
        except BaseException:
            if big:
                self.disk.unlink(big, run.fd)
            raise
        inode = os.fstat(fd).st_ino
        if shelf is not None and shelf.name == "dead":
            job = replace(job, key="")  # from here on: what guards it
        try:
            if self.disk.shared:
                self.disk.sync(fd)
            if (job.key or job.once) and not keys.take(room, run.fd, temporary, job):
                self._drop(run, temporary, fd, big)
                return None
            if big:
                bodies.publish(room, run, big, job.id, self._clear_dead)
            name = just_put(due, job.id, 1, past, lane_tag(job.lane)) if shelf is None else shelf.part.held()
            slot = self._publish(run, temporary, job.priority, name, due, now, shelf)
        except BaseException as error:
            if isinstance(error, OSError) and not self._is_still(temporary, run):  # the job may stand in its slot: what is its own stays
                os.close(fd)
                raise self._refused(error, unknown=True) from error
            try:
                if big:
                    bodies.withdraw(room, job.id)
                if job.key or job.once:
                    keys.let_go(room, run, job, inode)
            finally:
                self._drop(run, temporary, fd, big)
            raise
        if big:
            self._clear(big, run)
        return Written((job,), name, fd, slot)

    def _clear(self, name: str, run: RunFolder) -> None:
        """A name too many is no reason to say anything else about the job."""
        try:
            self.disk.unlink(name, run.fd)
        except OSError:
            return

    def _drop(self, run: RunFolder, temporary: str, fd: int, big: str | None) -> None:
        os.close(fd)
        if big:
            self.disk.unlink(big, run.fd)
        self.disk.unlink(temporary, run.fd)

    def _write(
        self,
        jobs: Sequence[Job],
        packed: Sequence[bytes],
        due: int,
        now: int,
        past: str = NO_PAST,
        shelf: Shelf | None = None,
        fleeting: bool = False,
    ) -> Written:
        run = self.room.run("p")
        temporary = run.temporary()
        fd = self.disk.write_new(temporary, run.fd, build(packed), self.place.file_mode)
        try:
            if self.disk.shared:
                self.disk.sync(fd)
            first = jobs[0]
            if shelf is None:
                name = just_put(due, first.id, len(jobs), past, lane_tag(first.lane) if first.lane else "")
            else:
                name = shelf.part.held()
            slot = self._publish(run, temporary, first.priority, name, due, now, shelf, fleeting)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, OSError) and not self._is_still(temporary, run):
                raise self._refused(error, unknown=True) from error  # it went somewhere all the same
            self._clear(temporary, run)
            raise
        return Written(jobs, name, fd, slot, fleeting)

    def _is_still(self, temporary: str, run: RunFolder) -> bool:
        """Whether a file that could not be published surely was not."""
        try:
            return self.disk.exists(temporary, run.fd)
        except OSError:
            return False

    def _refused(self, error: OSError, unknown: bool) -> StoreError:
        why = f"queue {self.room.queue}: the put failed ({error.strerror or error}); "
        if unknown:
            return StoreError(f"{why}some of it may have been stored: put the same jobs again")
        if error.errno in SPENT:
            hint = HINT
        else:
            hint = (
                "free some space, the jobs that are there can still be finished"
                if error.errno in FULL_DISK
                else "look with `ropeway check`"
            )
        return StoreError(f"{why}nothing was stored: {hint}", definite=True)

    def _publish(
        self, run: RunFolder, temporary: str, prio: int, name: str, due: int, now: int, shelf: Shelf | None, fleeting: bool = False
    ) -> int:
        """Rename the finished file into its slot or shelf. The answer "no such file" is ambiguous: our file or the folder may be gone."""
        where: int | str = prio if shelf is None else shelf.name
        slots = self.slots
        folder = slots.choose(prio, due, now) if shelf is None else stretch_of(shelf.part.until)
        for _ in range(100):
            slot = slots.open(where, folder, fleeting)
            if self.disk.rename(temporary, run.fd, name, slot):
                return slot
            if not self.disk.exists(temporary, run.fd):
                return slot  # a lost reply, and the job is already on its way
            slots.forget(where, folder)
        raise StoreError(f"queue {self.room.queue}: a slot vanished as often as it was made; the job was not stored", definite=True)

    def begin(self, written: Sequence[Written]) -> None:
        """Several are about to be finished: let the disk begin with all of them."""
        if self.place.full and not self.disk.shared:
            for one in written:
                if not one.fleeting:
                    self.disk.begin_sync(one.fd)

    def finish(self, written: Sequence[Written]) -> None:
        """Sync what was written, files before folders, and close. StoreError says which outcome is left: not stored, or unknown.

        A sync that failed is never tried again for a verdict: the second one may "succeed" with the data gone.
        """
        try:
            if self.place.full:
                if not self.disk.shared:
                    for one in written:
                        if not one.fleeting:
                            self.disk.sync(one.fd)
                for slot in {one.slot for one in written if not one.fleeting}:
                    self.disk.sync(slot)
        except OSError as error:
            raise self._refused(error, unknown=bool(self._unlink(written))) from error
        finally:
            for one in written:
                os.close(one.fd)
            self.slots.leave()

    def take_back(self, written: Sequence[Written]) -> int:
        """Undo what was written and not finished; how many parts were gone already, claimed by somebody."""
        try:
            return self._unlink(written)
        finally:
            for one in written:
                os.close(one.fd)
            self.slots.leave()

    def _unlink(self, written: Sequence[Written]) -> int:
        gone = 0
        for one in written:
            inode = os.fstat(one.fd).st_ino
            if not self.disk.unlink(one.name, one.slot):
                gone += 1
                continue
            for job in one.jobs:
                if job.size >= 0 or job.key or job.once:
                    self._unguard(job, inode)
        return gone

    def _unguard(self, job: Job, inode: int) -> None:
        """A job that was taken back takes its body and its key with it."""
        from . import bodies, keys

        if job.size >= 0:
            bodies.withdraw(self.room, job.id)
        if job.key or job.once:
            keys.let_go(self.room, self.room.run("p"), job, inode)


def stamp(job: Job, now: int) -> int:
    """Its due in microseconds. What the store gave it once, it keeps: a put that is repeated asks for the same place."""
    if not job.created:
        job.created = now / 1e6
    if job.due:
        return round(job.due * 1e6)
    due = now + int(job.delay * 1e6)
    job.due = due / 1e6
    return due


def unstamp(job: Job, now: int) -> None:
    """It was refused, and that is known: when it is put again it is a new put."""
    if job.created == now / 1e6:
        job.created = job.due = 0.0
