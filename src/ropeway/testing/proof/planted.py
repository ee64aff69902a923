"""Bugs on purpose: each is one that somebody could write, and is planted into the engine of one process to see that the proof finds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ropeway.job import Job
from ropeway.stores.directory import disk, keys, lending, place, rescue, settling, tree
from ropeway.stores.directory.layout import Staged

Bug = Callable[[], None]


def answer_before_sync() -> None:
    """put answers before anything is synced."""
    place.Place.sync = lambda self, fd: None  # type: ignore[method-assign]
    disk.Disk.sync = lambda self, fd: None  # type: ignore[method-assign]


def no_folder_sync() -> None:
    """The file is synced, the folder with its name is not."""
    real = disk.Disk.sync

    def sync(self: disk.Disk, fd: int) -> None:
        if disk.regular(fd):
            real(self, fd)

    disk.Disk.sync = sync  # type: ignore[method-assign]


def delete_on_grant() -> None:
    """A job leaves the store when it is handed out."""
    real = lending.Lending._lend  # noqa: SLF001

    def lend(self: Any, held: Any, *args: Any) -> None:
        real(self, held, *args)
        self.disk.unlink(held.name, held.run.fd)

    lending.Lending._lend = lend  # type: ignore[method-assign, assignment]  # noqa: SLF001


def no_fence() -> None:
    """Every receipt counts, whoever holds the job by now."""
    real = settling.Settling.ack

    def ack(self: Any, base: str, acks: Any) -> list[bool]:
        real(self, base, acks)
        return [True] * len(acks)

    settling.Settling.ack = ack  # type: ignore[method-assign]


def lease_by_wall_clock() -> None:
    """Leases are written and judged by the wall clock."""
    place.Place.lease_clock = lambda self: (int(self.clock.now() * 1000), 0)  # type: ignore[method-assign]


def attempt_counted_at_end() -> None:
    """The attempt is told at the claim and written down only when the job is settled: a kill costs none."""
    real = lending.Lending._take  # noqa: SLF001

    def take(self: Any, prio: int, from_fd: int, name: str, part: Any, *rest: Any) -> Any:
        return real(self, prio, from_fd, name, part.but(attempts=max(0, part.attempts - 1) if part.attempts else part.attempts), *rest)

    lending.Lending._take = take  # type: ignore[method-assign, assignment]  # noqa: SLF001


def any_order() -> None:
    """The names of a slot are taken as they come."""
    real = tree.Slot.read

    def read(self: tree.Slot, *args: Any) -> None:
        real(self, *args)
        self.names.reverse()

    tree.Slot.read = read  # type: ignore[method-assign, assignment]


def keys_in_memory() -> None:
    """A process knows the keys that it has given out itself."""
    taken: set[str] = set()

    def take(room: Any, from_fd: int, temporary: str, job: Job, again: bool = False) -> bool:
        free = job.key not in taken
        taken.add(job.key)
        return free

    keys.take = take


def swallow_full_disk() -> None:
    """A file that could not be written is as good as written."""
    real = disk.Disk.write_new

    def write_new(self: disk.Disk, name: str, fd: int, data: bytes, mode: int) -> int:
        try:
            return real(self, name, fd, data, mode)
        except OSError:
            return os.open(name, os.O_WRONLY | os.O_CREAT, mode, dir_fd=fd)

    disk.Disk.write_new = write_new  # type: ignore[method-assign]


def sync_again() -> None:
    """A sync that failed is tried once more, and believed."""
    real = disk.Disk.sync

    def sync(self: disk.Disk, fd: int) -> None:
        try:
            real(self, fd)
        except OSError:
            real(self, fd)

    disk.Disk.sync = sync  # type: ignore[method-assign]


def drop_damaged() -> None:
    """A part that cannot be read is removed."""

    def set_aside(self: Any, held: Any, error: Exception) -> None:
        self.disk.unlink(held.name, held.run.fd)

    lending.Lending._set_aside = set_aside  # type: ignore[method-assign]  # noqa: SLF001


def exists_is_not_mine() -> None:
    """A link that "exists" was made by somebody else, on a shared store too."""

    def link(self: disk.Disk, old: str, old_fd: int, new: str, new_fd: int) -> bool:
        try:
            self.calls.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
        except (FileNotFoundError, FileExistsError):
            return False
        return True

    disk.Disk.link = link  # type: ignore[method-assign]


def gone_is_not_mine() -> None:
    """A rename whose source is "not there" was done by somebody else, on a shared store too."""

    def rename(self: disk.Disk, old: str, old_fd: int, new: str, new_fd: int) -> bool:
        try:
            self.calls.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        except FileNotFoundError:
            return False
        return True

    disk.Disk.rename = rename  # type: ignore[method-assign]


def listing_is_believed() -> None:
    """What a folder is said to hold is what it holds, on a shared store too."""

    def names(self: disk.Disk, fd: int) -> list[str]:
        return [name for name in self.calls.listdir(fd) if name.isascii()]

    disk.Disk.names = names  # type: ignore[method-assign]


def rescue_without_look() -> None:
    """Whoever looks over the holders gives back what others hold, and does not look whether their leases are over."""
    real = rescue.Rescue._parts_of  # noqa: SLF001

    def parts_of(self: Any, folder: str, fd: int, dead: bool, bound: bool, mine: bool) -> int:
        if not mine:
            self.place.lease_clock = lambda: (1 << 60, 0)
        try:
            return real(self, folder, fd, dead, bound, mine)
        finally:
            vars(self.place).pop("lease_clock", None)

    rescue.Rescue._parts_of = parts_of  # type: ignore[method-assign]  # noqa: SLF001


def staged_is_void() -> None:
    """What a dead holder had let go of and not published is thrown away."""
    settling.Settling.publish_committed = lambda self, run_fd, parent: None  # type: ignore[method-assign]


def staged_is_real() -> None:
    """What a dead holder had staged is published, whether it had let go of it or not."""
    Staged.real = lambda self, parent: True  # type: ignore[method-assign]


def key_stays() -> None:
    """Whoever clears up behind a dead putter does not think of its key."""
    rescue.Rescue._let_go = lambda self, fd, name: None  # type: ignore[method-assign]  # noqa: SLF001


# Bug: (how it is planted, the part that must find it)
BUGS: dict[str, tuple[Bug, str]] = {
    "answer-before-sync": (answer_before_sync, "syncs"),
    "answer-before-sync-cut": (answer_before_sync, "cuts"),
    "no-folder-sync": (no_folder_sync, "syncs"),
    "delete-on-grant": (delete_on_grant, "steps"),
    "no-fence": (no_fence, "stops"),
    "lease-by-wall-clock": (lease_by_wall_clock, "clocks"),
    "attempt-counted-at-end": (attempt_counted_at_end, "steps"),
    "any-order": (any_order, "order"),
    "keys-in-memory": (keys_in_memory, "order"),
    "swallow-full-disk": (swallow_full_disk, "errnos"),
    "sync-again": (sync_again, "errnos"),
    "drop-damaged": (drop_damaged, "damage"),
    "exists-is-not-mine": (exists_is_not_mine, "replies"),
    "gone-is-not-mine": (gone_is_not_mine, "replies"),
    "looking-not": (gone_is_not_mine, "shared"),
    "listing-is-believed": (listing_is_believed, "shared"),
    "rescue-without-look": (rescue_without_look, "stops"),
    "staged-is-void": (staged_is_void, "rescue"),
    "staged-is-real": (staged_is_real, "rescue"),
    "key-stays": (key_stays, "rescue"),
}


def plant(bug: str) -> None:
    """Plant it into this process, for good."""
    BUGS[bug][0]()
