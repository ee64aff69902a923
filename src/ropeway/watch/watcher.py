"""The watcher: what has come into the folder, what of it is finished, and when to look again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ..bells.place import SleepingPlace
from ..errors import BadValue, RopewayError, Stopped, StoreError, Unsupported
from ..link import Link
from ..options import PutOptions
from ..queue import Queue
from .eyes import Blind, Change, Eyes, What
from .files import Scope, Version, is_written, look
from .handing import AT_ONCE, NEEDS, Handing, Told
from .record import Record, Row, mark_of

POLL = 1.0  # seconds between two looks where the kernel tells nothing
RESCAN = 10.0  # where it does: what it has missed is found so late
EASE = 20.0  # a look at everything may take one part in so many of the time
AGAIN = 0.5  # until one is asked for again that could not be released
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0

log = logging.getLogger("ropeway.watch")


class Waiting(Struct):
    """A file that is not known to be finished."""

    version: Version
    since: float  # boot clock: unchanged since then
    what: What | None = None  # the last that the kernel told of it


class Watcher:
    """Puts a job into the queue for each file in the folder that is finished, once.

    A file is finished when it came in by a rename; or when it was not changed for `settle` seconds and nobody has it open for writing.
    `existing`: also those that lie there at the very first start; later starts always take what came in between. `poll`: look
    through the folder each second, for network folders, of whose changes the kernel tells nothing. `told` hears of each file.
    Raises BadValue for a folder that cannot be watched, Unsupported for an engine that lacks what this needs; nothing is done then.
    """

    def __init__(
        self,
        link: Link,
        queue: Queue[Any],
        folder: str,
        record: Record,
        *,
        globs: Sequence[str] = (),
        recursive: bool = False,
        settle: float = 2.0,
        existing: bool = False,
        move_to: str = "",
        content: bool = False,
        poll: bool = False,
        options: PutOptions | None = None,
        told: Callable[[Told], None] = lambda _: None,
    ) -> None:
        if missing := NEEDS - link.store.features:
            raise Unsupported(f"{link.store.url} cannot take files: it lacks {', '.join(sorted(missing))}; nothing was watched")
        move_to = _folder_to_move_to(folder, move_to) if move_to else ""
        self._scope = Scope(_folder(folder), tuple(globs), recursive, move_to)
        self._clock = link.clock
        self._record = record
        self._settle = settle
        self._existing = existing
        self._handing = Handing(link, queue, self._scope, record, options or {}, content=content, move_to=move_to, told=self._tell)
        self._listener = told
        self._seen: dict[str, Version] = {}
        self._waiting: dict[str, Waiting] = {}
        self._eyes: SleepingPlace = SleepingPlace() if poll else self._opened()
        self._blind = ""
        self._narrow = False  # the kernel does not watch every folder: it is asked for that with each look
        self._next_look = 0.0
        self._backoff = 0.0
        self._failed = ""
        self._stopped = False
        self._begin()

    def _begin(self) -> None:
        rows = self._record.rows()
        self._seen = {row.path: row.version for row in rows}
        self._handing.take_up(rows)
        if self._record.new and not self._existing:
            there = [Row(path, found) for path, found in self._scope.walk()]
            self._record.write(there)  # at once: a start that is killed in here is the first start again
            self._seen = {row.path: row.version for row in there}
        self._record.new = False

    # Running

    def run(self, *, once: bool = False) -> None:
        """Watch until `stop`; with `once` until all that lies there is handed over or refused."""
        while not self._stopped:
            pause = self.step()
            if once and not self._waiting and not self._handing.open:
                return
            self._clock.sleep(self._eyes, pause)

    def step(self) -> float:
        """Do all that can be done now; in how many seconds there may be more to do, unless the kernel tells earlier."""
        now = self._clock.boot()
        try:
            self._notice(now)
            self._hand_over(now)
            self._backoff, self._failed = 0.0, ""
        except (RopewayError, OSError) as error:
            if not isinstance(error, StoreError | Stopped | OSError):
                raise
            self._trouble(str(error), POLL if isinstance(error, OSError) else LONGEST_BACKOFF)
            return self._backoff
        settled = min((one.since + self._settle for one in self._waiting.values()), default=self._next_look)
        again = now + AGAIN if self._handing.open else self._next_look
        return max(0.0, min(self._next_look, settled, again) - self._clock.boot())

    def stop(self) -> None:
        """End `run` soon; from any thread or a signal handler."""
        self._stopped = True
        self._eyes.wake()

    def close(self) -> None:
        """Let go of folder and record. May be called twice."""
        self._eyes.close()
        self._record.close()

    def _trouble(self, text: str, longest: float) -> None:
        """What cannot be done now is tried again, later each time, up to the longest pause; said once for each reason."""
        self._backoff = min(max(FIRST_BACKOFF, 2 * self._backoff), longest)
        if text != self._failed:
            log.warning("%s; the files wait, and it is tried again", text)
        self._failed = text

    # Noticing

    def _notice(self, now: float) -> None:
        eyes = self._eyes
        if isinstance(eyes, Eyes):
            changes = eyes.changes()
            if eyes.lost:
                eyes.lost, self._narrow = False, True
                self._next_look = 0.0
            if self._narrow and now >= self._next_look:
                self._widen(eyes)
            for change in changes:
                self._hear(change, now)
        if now >= self._next_look:
            self._look(now)

    def _look(self, now: float) -> None:
        """Through all of the folder."""
        found = set()
        for path, version in self._scope.walk():
            found.add(path)
            self._meet(path, version, now, None)
        on_their_way = self._handing.open
        if self._is_ours(empty=not found):
            gone = [path for path in self._seen if path not in found and path not in on_their_way]
            self._record.forget(gone)
            for path in gone:
                del self._seen[path]
        for path in [path for path in self._waiting if path not in found]:
            del self._waiting[path]
        each = RESCAN if isinstance(self._eyes, Eyes) else POLL
        self._next_look = now + max(each, EASE * (self._clock.boot() - now))

    def _is_ours(self, *, empty: bool) -> bool:
        """Whether what is not there is gone. An empty folder that is another one than before may be the place where a share is not mounted
        just now."""
        folder = mark_of(os.stat(self._scope.folder))
        if self._record.folder != folder and (not empty or not self._record.folder):
            self._record.folder = folder
        return self._record.folder == folder

    def _hear(self, change: Change, now: float) -> None:
        version = look(self._scope.at(change.path))
        if version is None:
            self._waiting.pop(change.path, None)
        else:
            self._meet(change.path, version, now, change.what)

    def _meet(self, path: str, version: Version, now: float, what: What | None) -> None:
        if self._seen.get(path) == version:
            self._waiting.pop(path, None)
            return
        waiting = self._waiting.get(path)
        if waiting is None:
            self._waiting[path] = Waiting(version, now, what)
            return
        if waiting.version != version or what is not None:
            waiting.version, waiting.since = version, now
        waiting.what = what or waiting.what

    # Handing over

    def _hand_over(self, now: float) -> None:
        self._handing.finish()
        ready = [(path, one.version) for path, one in list(self._waiting.items()) if self._is_finished(path, one, now)]
        for at in range(0, len(ready), AT_ONCE):
            some = ready[at : at + AT_ONCE]
            self._handing.begin(some)
            for path, version in some:
                self._seen[path] = version
                del self._waiting[path]
            self._handing.finish()
            if self._stopped:
                return

    def _is_finished(self, path: str, one: Waiting, now: float) -> bool:
        if one.what is not What.CAME:
            if now - one.since < self._settle:
                return False
            if one.what is not What.CLOSED:
                written = is_written(self._scope.at(path))
                if written or (written is None and one.what is What.WRITTEN):
                    one.since = now  # its writer pauses: the kernel tells when it is closed
                    return False
        version = look(self._scope.at(path))
        if version == one.version:
            return True
        if version is None:
            del self._waiting[path]
        else:
            self._waiting[path] = Waiting(version, now)
        return False

    def _tell(self, told: Told) -> None:
        if told.refused:
            log.error("%r has no job: %s", told.path, told.refused)
        self._listener(told)

    # The kernel

    def _opened(self) -> SleepingPlace:
        try:
            return Eyes(self._scope)
        except Blind as blind:
            log.warning("the kernel tells nothing of this folder (%s): it is looked through each second instead", blind)
            return SleepingPlace()

    def _widen(self, eyes: Eyes) -> None:
        """Watch all that is there now. When that cannot be it is said once, unless there is no folder, which whoever looks will say."""
        try:
            eyes.widen()
            self._narrow, self._blind = False, ""
        except Blind as blind:
            if str(blind) != self._blind and os.path.isdir(self._scope.folder):
                log.warning("some folders are only looked through now and then: %s", blind)
                self._blind = str(blind)


def _folder(folder: str) -> str:
    found = os.path.realpath(folder)
    if not os.path.isdir(found):
        raise BadValue(f"{folder}: there is no such folder; nothing was watched. Make it first")
    return found.rstrip("/")


def _folder_to_move_to(folder: str, move_to: str) -> str:
    found = os.path.realpath(move_to)
    try:
        os.makedirs(found, exist_ok=True)
        same = os.stat(found).st_dev == os.stat(folder).st_dev
    except OSError as error:
        raise BadValue(f"{move_to}: nothing can be moved there ({os.strerror(error.errno or 0)}); nothing was watched") from None
    if not same or found == os.path.realpath(folder):
        why = "it is the watched folder itself" if same else "it lies on another file system, where a rename cannot go"
        raise BadValue(f"{move_to}: {why}; nothing was watched. Give another folder")
    return found
