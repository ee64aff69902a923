"""What the kernel tells of a folder (inotify): a file came in by a rename, was closed by its writer, is being written; or: look at all.

A library for this that runs everywhere tells only that something has changed. How a file came to be as it is makes the difference between
one that is finished and one that is half written, so this is asked of inotify itself.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from ..bells.place import SleepingPlace
from .files import Scope


class What(Enum):
    """What has happened to a file."""

    CAME = "came in by a rename"
    MADE = "was made: by a writer, or by a link to a file that is there"
    WRITTEN = "is being written"
    CLOSED = "closed by a writer"


class Change(NamedTuple):
    """One thing that the kernel told. `path` stands inside the folder."""

    path: str
    what: What


class Blind(Exception):
    """The folder cannot be watched so: it is looked through instead."""


class Eyes(SleepingPlace):
    """A sleeping place that a change in the folder wakes. Raises Blind when the kernel cannot watch it."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        try:
            from inotify_simple import INotify, flags  # type: ignore[import-untyped]
        except ImportError as error:
            raise Blind(f"{error.name} is not installed: pip install 'ropeway[watch]'") from None
        self._flags: Any = flags
        self._scope = scope
        self._folders: dict[int, str] = {}
        self._told: list[Change] = []
        self.lost = False  # something was missed: only looking at all of it helps. Set back by who has looked
        wanted = flags.MOVED_TO | flags.CLOSE_WRITE | flags.MODIFY | flags.CREATE | flags.DELETE_SELF | flags.MOVE_SELF
        self._wanted = int(wanted | flags.ONLYDIR | flags.DONT_FOLLOW)
        try:
            self._inotify: Any = INotify(nonblocking=True)
            self._watch(self._inotify.fileno())
            self.widen()
        except OSError as error:
            raise Blind(_why(error)) from None

    def widen(self) -> None:
        """Watch every folder that is there now; those that are watched already stay so. Raises Blind when there are too many."""
        try:
            for path in self._scope.folders():
                try:
                    self._folders[self._inotify.add_watch(self._scope.at(path) if path else self._scope.folder, self._wanted)] = path
                except FileNotFoundError:
                    if not path:
                        raise
        except OSError as error:
            raise Blind(_why(error)) from None

    def changes(self) -> list[Change]:
        """What was told since this was asked last."""
        self._heard()
        told, self._told = self._told, []
        return told

    def _heard(self) -> bool:
        before = len(self._told)
        try:
            events = self._inotify.read(timeout=0)
        except OSError:
            return False
        self._told += self._read(events)
        return self.lost or len(self._told) > before

    def _read(self, events: list[Any]) -> Iterator[Change]:
        flags = self._flags
        for event in events:
            mask = event.mask
            if mask & flags.MOVE_SELF:
                self._forget(event.wd)
            if mask & (flags.Q_OVERFLOW | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT):
                self.lost = True
            elif mask & flags.IGNORED:
                self._folders.pop(event.wd, None)
            elif mask & flags.ISDIR:
                self.lost = self.lost or self._scope.recursive
            elif event.name and event.wd in self._folders:
                folder = self._folders[event.wd]
                path = f"{folder}/{event.name}" if folder else event.name
                if self._scope.means(path):
                    yield Change(path, self._what(mask))

    def _forget(self, number: int) -> None:
        """A folder that was moved: what happens in it says nothing of the place where it was."""
        if self._folders.pop(number, None) is not None:
            try:
                self._inotify.rm_watch(number)
            except OSError:
                pass

    def _what(self, mask: int) -> What:
        flags = self._flags
        told = ((flags.MOVED_TO, What.CAME), (flags.CLOSE_WRITE, What.CLOSED), (flags.MODIFY, What.WRITTEN))
        return next((what for flag, what in told if mask & flag), What.MADE)

    def close(self) -> None:
        if hasattr(self, "_inotify"):
            self._inotify.close()
        super().close()


def _why(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the kernel watches no more folders (fs.inotify.max_user_watches)"
    if error.errno == errno.EMFILE:
        return "the kernel opens no more watches (fs.inotify.max_user_instances)"
    return os.strerror(error.errno) if error.errno else str(error)
