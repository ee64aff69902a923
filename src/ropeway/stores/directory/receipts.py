"""What a receipt stands for, and how records leave their part: what all the settling verbs have in common.

When a part's name is gone, one look in the holder's folder tells whether the same claim goes on under another name (our own keeper extended
it, another process settled a neighbour): then try again with that one.

A record of a batch leaves in three steps: link it under a staged name, commit by setting its bit in the parent's name, publish. A kill
before the commit leaves a staged name that the parent still covers (void), after it one that is real and is published by whoever finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...codec import Damaged, FutureFormat
from ...job import Job
from . import edits
from .holders import RunFolder
from .layout import Part, Staged, read_held, read_receipt, read_staged, receipt_of
from .lending import HeldPart

if TYPE_CHECKING:
    from .station import Station


class Receipts:
    """Finding and moving, for one queue. Called under the room's lock."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk, self.place = station.room, station.room.disk, station.room.place

    # -- finding what a receipt stands for

    def _find(self, base: str, record: int) -> HeldPart | None:
        """The part of a receipt, ours or another holder's; None when the receipt is void."""
        held = self.station.held.get(base)
        if held is not None:
            return None if held.part.settled(record) else held
        parsed = read_receipt(f"{base}{record}")
        if parsed is None:
            return None
        _, holder, x, first, serial, _ = parsed
        run = self.room.own_run(holder)
        if run is None:
            fd = self.disk.open_folder(holder, self.room.folder("run"))
            if fd is None:
                return None
            run = RunFolder(holder, fd, holder[0])
        held = HeldPart(Part(0, x, first, first + 1, 0, 0, 0, serial=serial), "", run, None)
        if not self._adopt(held) or held.part.settled(record) or self._in_flux(held, record) or not self._load(held):
            self._let_go(held)
            return None
        return held

    def _adopt(self, held: HeldPart) -> bool:
        """Look whether the claim goes on under another name; True when it does. Then others have a hand in it, who may have died at it."""
        part, held.touched = held.part, True
        for name in self.disk.names(held.run.fd):
            found = read_held(name) if part.x in name and name != held.name else None
            if found and (found.x, found.first, found.serial) == (part.x, part.first, part.serial):
                held.part, held.name = found, name
                return True
        return False

    def _in_flux(self, held: HeldPart, record: int) -> bool:
        """Another process is giving this very record back or burying it right now, or died at it: then it is not ours to settle."""
        for name in self.disk.names(held.run.fd):
            staged = read_staged(name)
            if staged and staged.kind != "s" and staged.part.x == held.part.x and not staged.part.settled(record):
                return True
        return False

    def _load(self, held: HeldPart) -> bool:
        wanted = [*held.part.open_records()]
        try:
            jobs = edits.read(self.room, held.part, held.name, held.run.fd, wanted)
        except (OSError, Damaged, FutureFormat):
            return False
        held.jobs = dict(zip(wanted, jobs, strict=True))
        return True

    def _let_go(self, held: HeldPart) -> None:
        if held.touched and self.room.own_run(held.run.name) is None:  # what is ours was not looked for in the folder, and so not touched
            held.run.close()

    def _jobs(self, held: HeldPart, records: Sequence[int]) -> list[Job]:
        return [held.jobs[r] for r in records if r in held.jobs] if held.jobs else []

    # -- moving records out

    def move_out(self, held: HeldPart, kind: str, target: Part, records: Sequence[int] | None = None) -> bool:
        """Move records out of the part to where `kind` says; False when the part's name has changed meanwhile (nothing was done)."""
        part, run = held.part, held.run
        records = records if records is not None else [target.first]
        mask = sum(1 << (r - part.first) for r in records)
        new = part.but(bits=part.bits | mask)
        if new.full() and held.touched:
            self.publish_committed(run.fd, part)
        whole = target.first == part.first and target.end == part.end
        lets_go = bool(part.lane) and (kind in "dk" or self.station.lanes.width() > 1)  # of its lane: only when it surely leaves
        if new.full() and whole and not lets_go:
            if not self._publish(kind, run, held.name, target):  # all of it: the one rename is the commit
                return False
            held.part = new
        else:
            staged = Staged(kind, part.serial, target).name()
            if not self.disk.link(held.name, run.fd, staged, run.fd):
                return False
            name = new.held()
            if not self.disk.rename(held.name, run.fd, name, run.fd):
                self.disk.unlink(staged, run.fd)
                return False
            held.part, held.name = new, name
            before, held.touched = held.touched, True  # should publishing fail, it must be done before the part may go
            self._publish(kind, run, staged, target)
            held.touched = before
            if new.full():
                if lets_go:
                    self.station.lanes.leave(run.fd, name, part)
                self.disk.unlink(name, run.fd)
        if new.full():
            if part.stay:
                self.station.seats.free(part)
            self.station.held.pop(receipt_of(self.room.queue, run.name, part), None)
        self.station.ended |= kind in "dk"
        if self.place.acks_full:
            self.disk.sync(run.fd)
        return True

    def _publish(self, kind: str, run: RunFolder, name: str, target: Part) -> bool:
        if kind in "sn":
            return self.station.into_slot(run.fd, name, target)
        return self.station.into_shelf("dead" if kind == "d" else "done", run.fd, name, target)

    def publish_committed(self, run_fd: int, parent: Part) -> None:
        """Publish what the parent, as it is named now, has let go of and whoever did it has not published: before the parent goes."""
        for name in self.disk.names(run_fd):
            staged = read_staged(name)
            if staged and staged.real(parent):
                self._publish_staged(run_fd, name, staged)

    def _publish_staged(self, run_fd: int, name: str, staged: Staged) -> bool:
        if staged.kind in "sn":
            return self.station.into_slot(run_fd, name, staged.part)
        return self.station.into_shelf("dead" if staged.kind == "d" else "done", run_fd, name, staged.part)
