"""The bell of a SQLite file: the host's datagram bell, announced in a folder beside it, and a glance at whether anybody has committed.

The glance needs no help from those who put: a job that an application has inserted by itself is noticed within `glance` seconds.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from ....bells import datagram
from ....bells.place import SleepingPlace
from ....names import ended
from ..waiting import Bell
from .drivers import Connection

YOUNG = 60.0  # seconds for which an empty folder is left alone
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class HostBell(Bell):
    """`above` is the folder beside the file. `connect` opens a connection to glance by."""

    behind = 5.0

    def __init__(
        self, above: str, prefix: str, mode: int, connect: Callable[[], Connection], error: type[Exception], on: bool, glance: float
    ) -> None:
        self.glance = glance
        self._error = error
        self._above = above
        self._prefix = prefix
        self._mode = mode
        self._connect = connect
        self._on = on and datagram.available()
        self._pid = os.getpid()
        self._bells: dict[str, datagram.Bell] = {}
        self._fds: dict[str, int] = {}
        self._eye: Connection | None = None
        self._seen: dict[int, int] = {}

    def place(self) -> SleepingPlace:
        return datagram.Sleeper() if self._on else SleepingPlace()

    def announce(self, place: SleepingPlace, queues: Sequence[str]) -> bool:
        self.stirred(place)  # what is committed from here on is seen by the next glance
        if not self._on or not isinstance(place, datagram.Sleeper):
            return False
        for queue in queues:
            self._bell(queue).announce(place)
        return True

    def heard(self, place: SleepingPlace) -> bool:
        """A datagram comes from who has put, or has freed a place."""
        return self._on and isinstance(place, datagram.Sleeper)

    def withdraw(self, place: SleepingPlace, queues: Sequence[str]) -> None:
        if isinstance(place, datagram.Sleeper) and self._fds:
            for queue in queues:
                if queue in self._bells:
                    self._bells[queue].withdraw(place)

    def ring(self, queues: Sequence[str]) -> None:
        if not self._on:
            return
        if len(queues) == 1 and self._pid == os.getpid() and (bell := self._bells.get(queues[0])) is not None:
            bell.ring(1)
            return
        for queue, jobs in Counter(queues).items():
            with suppress(OSError):
                self._bell(queue).ring(jobs)

    def _bell(self, queue: str) -> datagram.Bell:
        if self._pid != os.getpid():  # our parent's announcements are not ours to withdraw
            self._bells, self._fds, self._eye, self._pid = {}, {}, None, os.getpid()
        bell = self._bells.get(queue)
        if bell is None:
            folder = f"{self._above}/{self._prefix}{queue}"
            os.makedirs(folder, mode=self._mode | (self._mode & 0o444) >> 2, exist_ok=True)
            self._fds[queue] = os.open(folder, _FOLDER)
            bell = self._bells[queue] = datagram.Bell(self._fds[queue], self._mode)
            bell.tidy(shared=False)
            if _is_private(queue):
                self._sweep()
        return bell

    def _sweep(self) -> None:
        """Remove the folders of private queues whose owner died: nobody else ever opens them."""
        for name in os.listdir(self._above):
            folder = f"{self._above}/{name}"
            if not name.startswith(self._prefix) or not _is_private(name.removeprefix(self._prefix)):
                continue
            with suppress(OSError):
                if time.time() - os.stat(folder, follow_symlinks=False).st_mtime < YOUNG:
                    continue  # perhaps made a moment ago, by one who is about to announce himself in it
                opened = os.open(folder, _FOLDER)
                try:
                    datagram.Bell(opened, self._mode).tidy(shared=False)
                finally:
                    os.close(opened)
                os.rmdir(folder)  # only when it is empty

    def forget(self, queues: Sequence[str]) -> None:
        """Remove the folders of queues that are ropeway's own, whose names come only once. Others may come again, and be waited for by a
        process that has the folder open."""
        for name in queues:
            if not name.startswith("_"):
                continue
            for one in (name, ended(name)):
                bell = self._bells.pop(one, None) if self._pid == os.getpid() else None
                if bell is not None:
                    bell.close()
                    os.close(self._fds.pop(one))
                with suppress(OSError):  # there is none, or somebody else still waits there
                    os.rmdir(f"{self._above}/{self._prefix}{one}")

    def stirred(self, place: SleepingPlace) -> bool:
        try:
            if self._eye is None or self._pid != os.getpid():
                self._eye = self._connect()
            version = self._eye.pragma("data_version")
        except self._error:
            return True  # the look at the tables will say what is the matter
        before = self._seen.get(id(place))
        self._seen[id(place)] = version
        return before is not None and version != before

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        for queue, bell in self._bells.items():
            bell.close()
            if _is_private(queue):
                with suppress(OSError):
                    os.rmdir(f"{self._above}/{self._prefix}{queue}")
        while self._fds:
            os.close(self._fds.popitem()[1])
        self._bells.clear()
        if self._eye is not None:
            self._eye.close()
            self._eye = None


def _is_private(queue: str) -> bool:
    """Whether a queue is that of one process alone, such as `_orders.ID`: nobody waits there, or puts, once that one is gone."""
    return queue.startswith("_") and "." in queue
