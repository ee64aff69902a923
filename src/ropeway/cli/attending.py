"""The worker that comes by itself: it runs the commands of one queue of the user's own, and ends when there is nothing to do for a while.

It holds the queue's watch (own.Watch) for as long as it works. Who puts a command looks for the watch after the put; who ends lets go of
the watch and looks for commands after that. So one of the two always sees the other, and no command is left without a worker.
"""

from __future__ import annotations

import os
import threading
import time

from ..errors import RopewayError
from ..shell.output import ERRORS, KEPT
from ..store import Query
from ..worker import Worker
from ..worker.shell import ShellRunner
from .own import Watch, outputs, own_key
from .session import Session

IDLE = 30.0  # seconds without anything to do, after which it ends
LOOK = 1.0
TRIES = 10  # to take the watch: somebody may only be looking whether it is taken


def attend(session: Session, queue: str) -> int:
    """Work until there is nothing to do; at once done where another does."""
    watch = Watch(session, queue)
    if not _taken(watch):
        return 0
    watch.sign()
    _tidy(session)
    while True:
        attendant = Attendant(session, queue)
        code = attendant.run()
        watch.leave()
        if not attendant.left or not _waits(session, queue) or not watch.take():
            return code
        watch.sign()


class Attendant:
    """One worker, and a thread that looks how many slots there should be, and whether it is still needed. `left`: it ended of itself."""

    def __init__(self, session: Session, queue: str) -> None:
        self.left = False
        self._session = session
        self._queue = queue
        self._end = threading.Event()
        runner = ShellRunner(outputs(session, make=True), own_key())
        self._worker = Worker(session.link, None, (queue,), pool=runner, commands=runner, concurrency=self._slots())

    def run(self) -> int:
        thread = threading.Thread(target=self._look, name="ropeway-attend", daemon=True)
        thread.start()
        try:
            return self._worker.run()
        finally:
            self._end.set()
            thread.join(5.0)

    def _slots(self) -> int:
        return self._session.store.counts([self._queue])[self._queue].limits.running or 1

    def _look(self) -> None:
        boot = self._session.link.clock.boot
        busy, slots = boot(), self._worker.post.slots()
        while not self._end.wait(LOOK):
            try:
                counts = self._session.store.counts([self._queue])[self._queue]
            except RopewayError:
                continue
            if (wanted := counts.limits.running or 1) != slots:
                slots = wanted
                self._worker.resize(slots)
            if counts.ready or counts.delayed or counts.running or self._worker.running:
                busy = boot()
            elif boot() - busy >= IDLE:
                self.left = True
                self._worker.quiet()
                return


def _taken(watch: Watch) -> bool:
    for _ in range(TRIES):
        if watch.take():
            return True
        time.sleep(0.02)
    return False


def _waits(session: Session, queue: str) -> bool:
    counts = session.store.counts([queue])[queue]
    return bool(counts.ready or counts.delayed or counts.running)


def _tidy(session: Session) -> None:
    """Output whose job is forgotten goes after a while."""
    folder = outputs(session, make=True)
    if folder is None:
        return
    now = time.time()
    old = [entry.name for entry in os.scandir(folder) if now - entry.stat(follow_symlinks=False).st_mtime > KEPT]
    try:
        ids = {name.removesuffix(ERRORS) for name in old}
        there = {entry.job.id for entry in session.store.browse(Query(ids=tuple(ids), limit=None))} if old else set()
    except RopewayError:
        return
    for name in (name for name in old if name.removesuffix(ERRORS) not in there):
        try:
            os.unlink(f"{folder}/{name}")
        except OSError:
            continue
