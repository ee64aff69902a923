"""What one store object has open: its place, the queues it has met, where its threads sleep. Never used after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ...bells.datagram import Bell, available
from ...clock import Clock
from ...errors import ConfigError, StoreError
from ...events import Event, Listener, tell
from ...names import check_name, ended
from ...url import StoreUrl
from .descriptors import allow
from .disk import Disk
from .ends import Ends
from .layout import read_queue_folder
from .place import LISTEN, Place
from .room import make_room, open_room
from .station import Station
from .waiting import Waiting

MISSING_FOR = 0.2  # seconds


class Hub:
    """The stations of a store, by queue."""

    def __init__(self, url: StoreUrl, clock: Clock, disk: Disk | None) -> None:
        if url.bell not in ("on", "off"):
            raise ConfigError(
                f"{url.text}: a directory store rings by unix datagrams on its host: give bell=on or bell=off; nothing was opened"
            )
        self.url = url.text
        self.clock = clock
        self.place = Place(url, clock, disk)
        self._bell = url.bell == "on" and available()
        self.waiting = Waiting(url.poll, self._bell)
        self.ends = Ends(self.place)
        self.known: dict[str, Station] = {}
        self.closed = False
        self._missing: dict[str, float] = {}
        self.listeners: tuple[Listener, ...] = ()
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def ready(self) -> Place:
        """The opened place; StoreError in a child of who opened it, and after close."""
        if self._pid != os.getpid():
            raise StoreError("this store was opened before a fork: open one of its own in the child; nothing was done", definite=True)
        if self.closed:
            raise StoreError(f"{self.url} is closed; nothing was done", definite=True)
        if self.place.fd < 0:
            with self._lock:
                if self.place.fd < 0:
                    self.place.open()
        return self.place

    def station(self, queue: str, make: bool = False) -> Station | None:
        """The station of a queue; None when there is no such queue and it is not to be made."""
        if self._pid == os.getpid() and not self.closed:
            station = self.known.get(queue)
            if station is not None and not station.room.gone:
                return station
        place = self.ready()
        with self._lock:
            station = self.known.get(queue)
            if station is not None and station.room.gone:
                self.retire(queue, station)
                station = None
            if station is None:
                check_name(queue)
                allow(len(self.known) + 1)
                if not make and place.disk.shared and self._missed_lately(queue):
                    return None
                room = make_room(place, queue) if make else open_room(place, queue)
                if room is None:
                    self._missing[queue] = self.clock.boot()
                    return None
                self._missing.pop(queue, None)
                bell = Bell(room.folder("bell"), place.file_mode) if self._bell else None
                station = self.known[queue] = Station(room, bell, self._tell)
            return station

    def _missed_lately(self, queue: str) -> bool:
        """Over a network it takes a listing to find that there is no such queue: not for each claim of a worker that asks for it."""
        return self.clock.boot() - self._missing.get(queue, -1e9) < MISSING_FOR

    def sound(self, queue: str) -> Station | None:
        """The station of a queue that is there at this moment."""
        station = self.station(check_name(queue))
        if station is not None:
            station.room.stopped("claim")
            station = self.station(queue)
        return station

    @contextmanager
    def glimpse(self, queue: str) -> Iterator[Station | None]:
        """The station of a queue that is there at this moment, only to look at it. Where no more of them can be kept open, one that is
        closed again."""
        if queue in self.known or allow(len(self.known) + 1):
            yield self.sound(queue)
            return
        room = open_room(self.ready(), check_name(queue))
        if room is None:
            yield None
            return
        station = Station(room, None, self._tell)
        try:
            room.stopped("claim")
            yield station
        finally:
            station.close()

    def retire(self, queue: str, station: Station) -> None:
        """The queue was dropped: whoever asks for it next opens it anew. Its descriptors are closed when no thread has it in hand."""
        with self._lock:
            station.retired = True
            if station.bell is not None:
                station.bell.close()  # here, since nobody can say in which order the parts of what nobody has any more are let go
            if self.known.get(queue) is station:
                del self.known[queue]

    def renewed(self, queues: Iterable[str], error: Exception) -> bool:
        """Whether that went wrong because one of these queues was being dropped under our hands: then it is worth another try."""
        vanished = isinstance(error, FileNotFoundError) or isinstance(error.__cause__, FileNotFoundError)
        return self.renew(queues) or vanished

    def renew(self, queues: Iterable[str]) -> bool:
        """Whether one of these was dropped under our hands, or some of its folders were; what has gone is opened anew at the next step."""
        lost = [(queue, station) for queue in queues if (station := self.known.get(queue)) is not None and station.lost()]
        for queue, station in lost:
            if station.room.gone:
                self.retire(queue, station)
        return bool(lost)

    def made(self, queue: str) -> Station:
        """The station of a queue, made if need be."""
        station = self.station(queue, make=True)
        if station is None:  # make_room raises rather than answer None
            raise StoreError(f"queue {queue} could not be made")
        return station

    def bell_of_ends(self, name: str) -> Bell | None:
        """Where to wait for the ends of a queue's jobs; None without bells."""
        self.ready()
        return self.ends.bell(name) if self._bell else None

    def ring_ends(self, queue: str) -> None:
        if self._bell:
            self.ends.ring(ended(queue))

    def ears(self) -> tuple[int, int]:
        """The folder for the sockets of those who listen to topics, opened, and their mode."""
        place = self.ready()
        place.disk.mkdir(LISTEN, place.fd, place.folder_mode)
        folder = place.disk.open_folder(LISTEN, place.fd)
        if folder is None:
            raise StoreError(f"{self.url}: {LISTEN} vanished as it was made; nothing was done", definite=True)
        return folder, place.file_mode

    def queues(self) -> list[str]:
        names = self.ready().disk.names(self.place.fd)
        return sorted(q for n in names if not n.startswith((".", "+")) and n != "format" and (q := read_queue_folder(n)) is not None)

    def _tell(self, event: Event) -> None:
        tell(self.listeners, event)

    def close(self) -> bool:
        """Let go of everything; False when that was done before, or is the parent's to do."""
        with self._lock:
            if self.closed or self._pid != os.getpid():
                return False
            self.closed = True
            for station in self.known.values():
                station.close()
            self.known.clear()
            self.ends.close()
            self.waiting.close()
            return True
