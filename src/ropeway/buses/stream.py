"""The Bus contract over stream sockets, for a store without a bus of its own: who listens says so in a note of the store, with an address
and a secret; who publishes reads these notes and writes to each, and proves by the secret that the store is open to it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import count

from .. import living
from ..bus import MESSAGE_LIMIT, Heard
from ..clock import SYSTEM, Clock
from ..errors import StoreError
from ..message import Message, check_message
from ..notes import Notes
from .ear import Ear
from .frames import Announcement, pack
from .hearers import Hearer, Hearers
from .lines import Lines
from .places import Place

PREFIX = "listen/"
LIFETIME = 120.0  # seconds that a note of one who listens holds
RENEWED = 40.0  # after which it is written anew
SOON = 1.0  # after which it is looked at again when somebody was just at it
REPEATED = 5.0  # after which it is tried again when the store could not be reached
BELIEVED = 5.0  # seconds for which a list of notes is believed at most, where a change of it can be seen,
BLINDLY = 0.25  # and where it cannot, counted from before it was read:
SETTLED = 0.3  # so long does one who listens wait there, until all who publish know
LINGER = 1.0  # seconds that a store which closes waits for what is on its way to those who are slow
SPELLED = 200  # patterns that a note names; with more, the process hears everything and chooses for itself


class StreamBus:
    """One for each store object. Of a forked child nothing is the parent's: it listens and publishes anew, or its store refuses it."""

    def __init__(self, url: str, notes: Notes, place: Place, clock: Clock) -> None:
        self._url = url
        self._notes = notes
        self._place = place
        self._clock = clock
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._hearers = Hearers()
        self._ear: Ear | None = None
        self._lines: Lines | None = None
        self._key = self._address = ""
        self._said: Announcement | None = None
        self._renew = 0.0
        self._known: int | None = None
        self._announced = float("-inf")
        self._tickets = count(1)
        self._newest = 0
        self._until = 0.0
        self._closed = False

    # -- publishing

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            check_message(message, MESSAGE_LIMIT)
        if messages and (lines := self._followed()):
            lines.say([(message.topic, pack(message)) for message in messages])

    def _followed(self) -> Lines:
        """The lines to all who listen now."""
        with self._reading:
            if self._closed:
                raise StoreError(f"{self._url} is closed; nothing was published", definite=True)
            if self._lines is None:
                self._lines = Lines(self._place, self._forget)
            lines = self._lines
            now = SYSTEM.boot()
            version = self._version()
            if now < self._until and (not self._place.tells or (version is not None and version == self._known)):
                return lines
            ticket = next(self._tickets)
        notes = self._notes.notes(PREFIX)  # a round trip, which all threads that publish may make at once
        with self._reading:
            if ticket > self._newest:  # else somebody has followed a look that began later, and saw all that this one has seen
                lines.follow(notes)
                self._newest, self._known = ticket, version
                self._until = now + (BELIEVED if self._place.tells else BLINDLY)
        return lines

    def _version(self) -> int | None:
        """Before the notes are read: what is announced meanwhile shows the next time."""
        try:
            return self._place.version()
        except OSError as error:
            raise StoreError(f"{self._url}: {error.strerror or error}; nothing was published", definite=True) from None

    def _forget(self, key: str) -> None:
        """Whose note this was is gone."""
        try:
            self._notes.forget(key)
        except StoreError:
            return

    # -- listening

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        hearer = Hearer(patterns, heard)
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._url} is closed; nothing was done", definite=True)
            self._hearers.add(hearer)
            try:
                if self._ear is None:
                    self._open()
                self._announce()
            except BaseException:
                self._hearers.remove(hearer)
                ear = None if self._hearers else self._shut()
                if ear is not None:
                    ear.close()
                raise
        hearers = self._hearers
        left = self._announced + SETTLED - SYSTEM.boot()
        if left > 0 and not self._place.tells:
            SYSTEM.sleep(threading.Event(), left)

        def end() -> None:
            hearers.remove(hearer)
            if hearers is self._hearers:  # not in a child, whose listeners these never were
                self._left()

        return end

    def _left(self) -> None:
        """One has ended: the last one closes the ear."""
        ear = None
        with self._lock:
            if not self._hearers:
                ear = self._shut()
            elif self._said is not None:
                try:
                    self._announce()
                except StoreError:
                    pass  # too much comes, and is passed over here
        if ear is not None:
            ear.close()

    def _open(self) -> None:
        name = os.urandom(16).hex()
        sock, self._address = self._place.listen(name)
        self._key, secret = f"{PREFIX}{name}", os.urandom(32)
        ear = Ear(sock, self._address, secret, self._place.greeting, self._hearers.tell, self._tick)
        self._said = Announcement(self._address, secret, [], living.identity())
        self._ear = ear
        ear.open()

    def _announce(self) -> None:
        assert self._said is not None
        patterns = self._hearers.patterns()
        wanted = list(patterns) if len(patterns) <= SPELLED else ["#"]
        if wanted != self._said.patterns or self._clock.boot() >= self._renew:
            self._notes.note(self._key, pack(Announcement(self._said.address, self._said.secret, wanted, self._said.who)), LIFETIME)
            if wanted != self._said.patterns:
                self._announced = SYSTEM.boot()
            self._said.patterns = wanted
            self._renew = self._clock.boot() + RENEWED
            self._place.changed()

    def _tick(self) -> float:
        """By the thread of the ear: say it again before it is forgotten."""
        if not self._lock.acquire(blocking=False):
            return SOON
        try:
            if self._said is not None and self._said.patterns:
                if self._clock.boot() >= self._renew:
                    self._announce()
                return max(SOON, min(RENEWED, self._renew - self._clock.boot()))
        except (StoreError, OSError):
            return REPEATED
        finally:
            self._lock.release()
        return SOON

    def _shut(self) -> Ear | None:
        """Nobody listens any more. The ear is to be closed outside the lock: its thread may want it."""
        ear, self._ear, self._said = self._ear, None, None
        if ear is not None:
            self._forget(self._key)
            try:
                self._place.leave(self._address)
                self._place.changed()
            except OSError:
                pass
        return ear

    # -- the end

    def close(self) -> None:
        """May be called twice, and before the store itself is closed."""
        with self._reading:
            self._closed, lines = True, self._lines
            self._lines = None
        with self._lock:
            ear = self._shut()
        if ear is not None:
            ear.close()
        self._hearers.end()
        if lines is not None:
            lines.flush(LINGER)
            lines.close()
        self._place.close()

    def born(self) -> None:
        """In a forked child: descriptors are let go of, so that the parent's lines end when the parent does."""
        ear, lines = self._ear, self._lines
        self._begin()
        if ear is not None:
            ear.let_go()
        if lines is not None:
            lines.let_go()


_all: weakref.WeakSet[StreamBus] = weakref.WeakSet()


def _born() -> None:
    for bus in list(_all):
        bus.born()


os.register_at_fork(after_in_child=_born)
