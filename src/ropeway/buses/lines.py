"""All lines of a publishing process, and the one thread that sends what could not be sent at once; it ends when nothing is left."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ..bells.place import SleepingPlace, milliseconds
from .frames import read_announcement
from .line import Line, Packed
from .places import Place

IDLE = 1.0  # seconds that the thread stays when there is nothing to do


class Lines(SleepingPlace):
    """The lines by the notes of those who listen. `forget` removes the note of one who is gone."""

    def __init__(self, place: Place, forget: Callable[[str], None]) -> None:
        super().__init__()
        self._reach = place
        self._forget = forget
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._behind: set[Line] = set()
        self._all_sent = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = False

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._lines)

    def follow(self, notes: Mapping[str, bytes]) -> None:
        """These are the notes of all who listen now."""
        with self._lock:
            for key in [key for key in self._lines if key not in notes]:
                self._drop(self._lines.pop(key))
            for key, value in notes.items():
                line = self._lines.get(key)
                if line is not None and line.value == value:
                    continue
                said = read_announcement(value)
                if line is not None and said is not None and line.listens_anew(value, said):
                    continue
                if line is not None:
                    self._drop(self._lines.pop(key))
                if said is not None:
                    self._lines[key] = Line(self._reach, key, value, said)

    def say(self, packed: Sequence[Packed]) -> None:
        """To everybody who listens for that. Waits for nobody."""
        for line in list(self._lines.values()):
            meant = packed if len(packed) == 1 else [one for one in packed if line.means(one[0])]
            if meant and (len(packed) > 1 or line.means(packed[0][0])):
                if line.say(meant):
                    self._look_after(line)
                if line.gone:
                    self._remove(line)

    def flush(self, seconds: float) -> None:
        """Wait until all is sent, so long at most."""
        with self._all_sent:
            self._all_sent.wait_for(lambda: not any(line.pending for line in self._lines.values()), seconds)

    def close(self) -> None:
        self._closed = True
        self.wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        for line in list(self._lines.values()):
            line.close()
        super().close()

    def let_go(self) -> None:
        """In a forked child."""
        for line in list(self._lines.values()):
            line.let_go()

    def _drop(self, line: Line) -> None:
        self._behind.discard(line)
        line.close()

    def _remove(self, line: Line) -> None:
        with self._lock:
            if self._lines.get(line.key) is line:
                del self._lines[line.key]
            self._drop(line)
            self._all_sent.notify_all()
        self._forget(line.key)

    def _look_after(self, line: Line) -> None:
        with self._lock:
            if self._closed:
                return
            if self._lines.get(line.key) is line:
                self._behind.add(line)
            if self._thread is threading.current_thread():
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ropeway-bus-out", daemon=True)
                self._thread.start()
        self.wake()

    # -- the thread

    def _run(self) -> None:
        idle_since = time.monotonic()
        while not self._closed:
            with self._lock:
                behind = list(self._behind)
                if not behind and time.monotonic() - idle_since >= IDLE:
                    self._thread = None
                    return
            if behind:
                idle_since = time.monotonic()
            self._sleep(behind)
            for line in behind:
                with self._lock:
                    self._behind.discard(line)  # before: who adds to it meanwhile puts it back
                if line.push():
                    self._look_after(line)
                if line.gone:
                    self._remove(line)
            with self._lock:
                self._all_sent.notify_all()

    def _sleep(self, behind: Sequence[Line]) -> None:
        poll = select.poll()
        poll.register(self._event, select.POLLIN)
        end = time.monotonic() + IDLE
        for line in behind:
            watched = line.watched()
            if watched is not None and watched[0] >= 0:
                poll.register(*watched)
            end = min(end, line.deadline)
        for fd, _ in poll.poll(milliseconds(end - time.monotonic())):
            if fd == self._event:
                self._wakened()
