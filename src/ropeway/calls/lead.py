"""Many wait for one thing: one of them sleeps in the store for all, and hands on. Whoever waits leads; nobody who waits, no thread.

A thread that waits alone sleeps in the store itself, without a hop. One that comes while another leads sleeps on a bell of its own.
When the leader has what it came for, it wakes one of the others to lead in its place. Those who await in an event loop cannot lead:
for them there is a thread, which leads when nobody else does, and sleeps while none of them waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..clock import Clock

LONGEST = 3600.0
_ENDINGS = 100  # times that a leader is asked to come back


class Slip:
    """What one waiting thread sleeps on: rung once or many times, it wakes once."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=min(max(timeout, 0.0), LONGEST))

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # rung already


class Lead:
    """Who leads. `lap` is what leading is: one sleep in the store of at most so many seconds, and handing out what it brought. `awaited`
    answers whether somebody waits who cannot lead. `wake` ends the sleep of a lap."""

    def __init__(
        self, clock: Clock, lap: Callable[[float], None], awaited: Callable[[], bool], wake: Callable[[], None], name: str
    ) -> None:
        self.closing = False
        self._clock = clock
        self._lap = lap
        self._awaited = awaited
        self._wake = wake
        self._name = name
        self._free = threading.Condition(threading.Lock())
        self._leading = False
        self._followers: list[Slip] = []
        self._bell = Slip()  # the thread's
        self._thread: threading.Thread | None = None

    def wait(self, slip: Slip, done: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until `done`, at the latest until the deadline (boot clock); whether it is. Whoever makes it true rings the slip. What a
        lap raises is raised here, to the one who led."""
        boot, leads = self._clock.boot, False
        try:
            while not done():
                left = LONGEST if deadline is None else deadline - boot()
                if left <= 0 or self.closing:
                    return False
                leads = leads or self._take(slip)
                if leads:
                    self._lap(left)
                else:
                    self._clock.sleep(slip, left)
            return True
        finally:
            self._leave(slip, leads=leads)

    def help(self) -> None:
        """Somebody waits who cannot lead: have the thread do it. Blocks for nothing, so an event loop may call it."""
        if self._thread is None:
            with self._free:
                if self._thread is None and not self.closing:
                    self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                    self._thread.start()
        self._bell.ring()

    def called_back(self) -> None:
        """The leader, if there is one, should begin its lap anew: what it sleeps on has changed."""
        if self._leading:
            self._wake()

    def close(self) -> None:
        """Nobody leads any more: all who wait come back."""
        with self._free:
            self.closing = True
            for slip in self._followers:
                slip.ring()
            thread = self._thread
        self._bell.ring()
        for _ in range(_ENDINGS):
            if not self._leading:
                break
            self._wake()  # again and again: it may have been about to sleep, and another may have taken the call for its own
            with self._free:
                self._free.wait_for(lambda: not self._leading, 0.05)
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def _take(self, slip: Slip) -> bool:
        with self._free:
            if self.closing:  # said after this one had looked: it must not begin a lap in a store that is about to go
                slip.ring()
                return False
            if not self._leading:
                self._leading = True
                if slip in self._followers:
                    self._followers.remove(slip)
                return True
            if slip not in self._followers:
                self._followers.append(slip)
            return False

    def _leave(self, slip: Slip, *, leads: bool) -> None:
        """The slip waits no more. If nobody leads now, whoever waits is woken to do it: also when it was this one that had been woken."""
        if not leads and not self._followers:
            return
        with self._free:
            if slip in self._followers:
                self._followers.remove(slip)
            if leads:
                self._leading = False
                if self.closing:
                    self._free.notify_all()
            if self._leading:
                return
            if self._followers:
                self._followers[0].ring()
            elif self._thread is not None and self._awaited():
                self._bell.ring()

    def _serve(self) -> None:
        while not self.closing:
            if not self._awaited():
                self._bell.wait(LONGEST)
            elif not self._take(self._bell):
                self._bell.wait(LONGEST)
                self._leave(self._bell, leads=False)
            else:
                try:
                    while self._awaited() and not self.closing:
                        self._lap(LONGEST)
                except Exception:  # noqa: BLE001, S110 - told by the lap to those who wait
                    pass
                finally:
                    self._leave(self._bell, leads=True)
