"""Walks over the names of a queue, without reading or changing anything: what waits, what runs, what has ended."""

from __future__ import annotations

import heapq
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from ...job import State
from .lanes import PARKED
from .layout import Part, is_lane, is_prio, is_slot, is_stretch, read_held, read_holder, read_parked, read_staged, read_waiting, slot_end

if TYPE_CHECKING:
    from .station import Station


class Seen:
    """A part as it was met on a walk: where it lies, under which name, and as what."""

    __slots__ = ("fd", "holder", "name", "part", "prio", "state")

    def __init__(self, fd: int, name: str, part: Part, state: State, prio: int, holder: str = "") -> None:
        self.fd, self.name, self.part, self.state, self.prio, self.holder = fd, name, part, state, prio, holder


class Walks:
    """The walks of one queue, by descriptors of their own."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.room, self.disk, self.place = station.room, station.room.disk, station.room.place

    def _folders(self, above: int, names: list[str]) -> Iterator[tuple[str, int]]:
        for name in names:
            fd = self.disk.open_folder(name, above)
            if fd is not None:
                try:
                    yield name, fd
                finally:
                    os.close(fd)

    def waiting(
        self, low: int = 0, high: int = 1 << 62, now: int | None = None, prios: str = "", since: int = 0
    ) -> Generator[Seen, None, None]:
        """Waiting parts by (priority, due, id), of slots that reach into [low, high] microseconds. From the priority `prios` on, of
        which only those that reach beyond `since`: so a page begins where the one before it ended."""
        now = int(self.place.now() * 1e6) if now is None else now
        jobs = self.disk.open_folder("jobs", self.room.fd)
        if jobs is None:
            return  # the queue is being dropped
        parked = self.disk.open_folder(PARKED, self.room.fd)
        try:
            aside = self._parked_names(parked) if parked is not None else {}
            there = {n for n in self.disk.names(jobs) if is_prio(n)} | aside.keys()
            for prio in sorted(n for n in there if n >= prios):
                least = max(low, since) if prio == prios else low
                walk = self._of_prio(jobs, prio, least, high, now)
                if parked is None or prio not in aside:
                    yield from walk
                else:
                    yield from heapq.merge(walk, self._parked(parked, aside[prio], least, high, now), key=_turn)
        finally:
            os.close(jobs)
            if parked is not None:
                os.close(parked)

    def _top(self, name: str) -> int:
        """A folder of the queue; one in which there is nothing when the queue was dropped meanwhile."""
        try:
            return self.room.folder(name)
        except FileNotFoundError:
            return self.room.fd

    def _of_prio(self, jobs: int, prio: str, least: int, high: int, now: int) -> Iterator[Seen]:
        prio_fd = self.disk.open_folder(prio, jobs)
        if prio_fd is None:
            return
        try:
            names = self.disk.names(prio_fd)
            stretches = [n for n in names if is_stretch(n) and int(n, 16) + 1 << 28 > least and int(n, 16) << 28 <= high]
            for _, stretch_fd in self._folders(prio_fd, sorted(stretches)):
                yield from self._slots(stretch_fd, least, high, int(prio), now)
        finally:
            os.close(prio_fd)

    def _parked_names(self, parked: int) -> dict[str, list[tuple[str, str]]]:
        """(name, lane) of all that is parked, in order, by priority."""
        out: dict[str, list[tuple[str, str]]] = {}
        for lane, fd in self._folders(parked, [n for n in self.disk.names(parked) if is_lane(n)]):
            for name in self.disk.names(fd):
                if read_parked(name) is not None:
                    out.setdefault(name[:2], []).append((name, lane))
        for some in out.values():
            some.sort()
        return out

    def _parked(self, parked: int, names: list[tuple[str, str]], least: int, high: int, now: int) -> Iterator[Seen]:
        for name, lane in names:
            part = read_parked(name)
            if part is None or not least <= part.due <= high:
                continue
            for _, fd in self._folders(parked, [lane]):
                yield Seen(fd, name, part, State.READY if part.due <= now else State.DELAYED, part.prio)

    def _slots(self, stretch_fd: int, low: int, high: int, prio: int, now: int) -> Iterator[Seen]:
        """The slots of a stretch; those that overlap (a wide one and the narrow ones in it) are merged."""
        slots = sorted((n for n in self.disk.names(stretch_fd) if is_slot(n)), key=lambda n: (n[1:], n[0]))
        pending: list[tuple[str, int]] = []  # (name, descriptor) of open overlapping slots
        fds: list[int] = []
        try:
            for position, slot in enumerate(slots):
                if slot_end(slot) <= low or int(slot[1:], 16) > high:
                    continue
                fd = self.disk.open_folder(slot, stretch_fd)
                if fd is None:
                    continue
                fds.append(fd)
                pending += ((n, fd) for n in self.disk.names(fd))
                pending.sort()
                following = next((s[1:] for s in slots[position + 1 :]), "~")
                ready = [p for p in pending if p[0] < following]
                pending = pending[len(ready) :]
                for name, at in ready:
                    part = read_waiting(name)
                    if part:
                        yield Seen(at, name, part, State.READY if part.due <= now else State.DELAYED, prio)
                if not pending:
                    while fds:
                        os.close(fds.pop())
            for name, at in pending:
                part = read_waiting(name)
                if part:
                    yield Seen(at, name, part, State.READY if part.due <= now else State.DELAYED, prio)
        finally:
            for fd in fds:
                os.close(fd)

    def running(self) -> list[tuple[str, Part, str]]:
        """(name, part, holder's folder) of what is lent out."""
        out = []
        run = self._top("run")
        for folder in self.disk.names(run):
            if read_holder(folder) is None:
                continue
            fd = self.disk.open_folder(folder, run)
            if fd is None:
                continue
            try:
                out += [(n, p, folder) for n in self.disk.names(fd) if (p := read_held(n)) is not None and not p.full()]
            finally:
                os.close(fd)
        out.sort(key=lambda t: (t[1].prio, t[0]))
        return out

    def in_transit(self) -> Iterator[Seen]:
        """What its part has let go of, and has not reached its place yet. That is a moment; but the thread that carries it may have to
        wait for the interpreter just then, and a process that was killed there carries nothing on until somebody clears up behind it."""
        now, run = int(self.place.now() * 1e6), self._top("run")
        for folder in self.disk.names(run):
            fd = self.disk.open_folder(folder, run) if read_holder(folder) is not None else None
            if fd is None:
                continue
            try:
                names = self.disk.names(fd)
                parents = [part for name in names if (part := read_held(name)) is not None]
                for name in names:
                    staged = read_staged(name)
                    if staged is None or any(p.serial == staged.parent and p.x == staged.part.x and not staged.real(p) for p in parents):
                        continue
                    waits = State.READY if staged.part.due <= now else State.DELAYED
                    yield Seen(fd, name, staged.part, _STAGED.get(staged.kind, waits), staged.part.prio)
            finally:
                os.close(fd)

    def _running_seen(self) -> Iterator[Seen]:
        for name, part, folder in self.running():
            fd = self.disk.open_folder(folder, self._top("run"))
            if fd is not None:
                try:
                    yield Seen(fd, name, part, State.RUNNING, part.prio, folder)
                finally:
                    os.close(fd)

    def shelf(self, state: State, since: int = 0) -> Iterator[Seen]:
        """Dead or done parts by (priority, due, id)."""
        now = int(self.place.now() * 1e6)
        above = self._top("dead" if state is State.DEAD else "done")
        found: list[tuple[int, str, str, Part]] = []
        for stretch in self.disk.names(above):
            if not is_stretch(stretch) or int(stretch, 16) + 1 << 28 <= since:
                continue
            fd = self.disk.open_folder(stretch, above)
            if fd is None:
                continue
            try:
                for name in self.disk.names(fd):
                    part = read_held(name)
                    if part and not part.full() and (state is State.DEAD or part.until > now):
                        found.append((part.prio, name, stretch, part))
            finally:
                os.close(fd)
        found.sort(key=lambda t: t[:3])
        for _, name, stretch, part in found:
            fd = self.disk.open_folder(stretch, above)
            if fd is not None:
                try:
                    yield Seen(fd, name, part, state, part.prio)
                finally:
                    os.close(fd)


_STAGED = {"k": State.DONE, "d": State.DEAD}  # what a staged part becomes; all others wait


def _turn(seen: Seen) -> tuple[int, str, int]:
    return seen.part.due, seen.part.x, seen.part.first
