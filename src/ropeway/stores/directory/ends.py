"""The bells of ends: who waits for the end of a job hears of each job of its queue that has ended and stays.

They hang beside the queues, in `+ends/<name>/`, so that one may wait for the end of a job whose queue is not there yet, or not any more.
Who waits makes the folder; who ends a job looks for it, which is all that an end costs when nobody ever waited.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from ...bells.datagram import Bell
from .disk import DIRECTORY
from .layout import queue_folder

if TYPE_CHECKING:
    from .place import Place

ENDS = "+ends"


class EndBell(Bell):
    """A bell with a descriptor of its own, which is closed when nobody has the bell in hand any more: some thread may still be waiting."""

    def __init__(self, folder_fd: int, mode: int) -> None:
        super().__init__(folder_fd, mode)
        self._folder = folder_fd

    def gone(self) -> bool:
        """Whether its folder was removed."""
        try:
            return not os.fstat(self._folder).st_nlink
        except OSError:
            return True

    def __del__(self) -> None:
        os.close(self._folder)


class Ends:
    """The bells of a store, by the name under which one waits (names.ended)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._bells: dict[str, EndBell] = {}
        self._lock = threading.Lock()

    def bell(self, name: str) -> Bell:
        """The bell to wait at."""
        disk, mode = self._place.disk, self._place.folder_mode
        for _ in range(10):
            bell = self._known(name)
            if bell is not None:
                return bell
            disk.mkdir(ENDS, self._place.fd, mode)
            above = disk.open_folder(ENDS, self._place.fd)
            if above is None:
                continue
            try:
                disk.mkdir(queue_folder(name), above, mode)
            except FileNotFoundError:
                continue
            finally:
                os.close(above)
        raise FileNotFoundError(f"the folder {ENDS}/{name} vanished as often as it was made")

    def ring(self, name: str) -> None:
        """Jobs have ended: all who wait for that are to look. Never raises: the jobs have ended, and who is not rung looks by and by."""
        try:
            bell = self._known(name)
        except OSError:
            return
        if bell is not None:
            bell.ring_all()

    def _known(self, name: str) -> Bell | None:
        """The bell, if anybody ever waited at it; one whose folder was removed is no more."""
        with self._lock:
            found = self._bells.get(name)
            if found is not None and not found.gone():
                return found
            self._bells.pop(name, None)
            try:
                fd = os.open(f"{ENDS}/{queue_folder(name)}", DIRECTORY, dir_fd=self._place.fd)
            except FileNotFoundError:
                return None
            bell = self._bells[name] = EndBell(fd, self._place.file_mode)
            bell.tidy(self._place.disk.shared)
            return bell

    def remove(self, name: str) -> None:
        """The queue has gone; whoever still waits for its ends keeps the folder."""
        with self._lock:
            bell = self._bells.pop(name, None)
            if bell is not None:
                bell.close()
            try:
                os.rmdir(f"{ENDS}/{queue_folder(name)}", dir_fd=self._place.fd)
            except OSError:
                return

    def close(self) -> None:
        with self._lock:
            for bell in self._bells.values():
                bell.close()
            self._bells.clear()
