"""The supervisor: keeps a number of worker processes running, and is nothing else. It never opens the store.

Each worker is started by exec and says by its lifeline that it lives. One that dies or falls silent is started anew, after a pause that
grows. One that ends well was told to, and is not. Signals are passed on; to reload is to start the successor first and to let the old one
finish what it holds once the new one is ready, so code that does not start changes nothing.
"""

from __future__ import annotations

import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence

from ...clock import SYSTEM, Clock
from ..signals import Terminal
from .child import Child

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # between a worker's death and its next start; the first time there is none
SOUND = 30.0  # seconds that a worker must live for its death to be the first one again
SILENCE = 60.0  # a worker that is not heard for so long hangs; a job may hold the interpreter for a while
STARTING = 300.0  # seconds to become ready
DYING = 3.0  # between asking a worker to say where it stands, and the end
LATE = 10.0  # beyond the grace, until a worker that was told to stop is ended
TICK = 1.0
KILLED = 143
SOME_DEAD = 10

PASSED_ON = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)


class Place:
    """One of the places that are to be filled."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.successor: Child | None = None
        self.due = 0.0  # when to start the next one
        self.deaths = 0  # in a row
        self.proven = False  # a worker was ready here once

    @property
    def children(self) -> list[Child]:
        return [child for child in (self.child, self.successor) if child is not None]


class Supervisor:
    """Runs `count` processes of `command`. `say` is told what happens, in words; `on_ready` once all of the first ones run.

    `drain`: workers that end are not replaced, whatever they say. `grace`: seconds that they take to stop.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        *,
        drain: bool = False,
        grace: float = 25.0,
        silence: float = SILENCE,
        say: Callable[[str], None] = lambda _: None,
        on_ready: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.places = [Place() for _ in range(count)]
        self._command = list(command)
        self._drain = drain
        self._grace = grace
        self._silence = silence
        self._say = say
        self._on_ready: Callable[[], None] | None = on_ready
        self._boot = clock.boot
        self._leaving: list[Child] = []  # told to end, and replaced already
        self._signals: deque[int] = deque()
        self._bell, self._rope = socket.socketpair()
        self._bell.settimeout(0.0)
        self._rope.settimeout(0.0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._terminal = Terminal()
        self._stops = 0
        self._stopped_at = 0.0
        self._ending = False  # nothing is started any more
        self._code = 0

    def run(self) -> int:
        """Until all have ended. The exit code: 0; 10 when a drain left dead jobs; 143 when one had to be killed; or that of a first
        worker that could not start. To be called in the main thread."""
        before = {number: signal.signal(number, self._got) for number in (*PASSED_ON, *_OWN)}
        waker = signal.set_wakeup_fd(self._rope.fileno(), warn_on_full_buffer=False)
        try:
            while self._turn():
                for key, _ in self._selector.select(self._pause()):
                    self._heard(key)
            if self._on_ready and self._code in (0, SOME_DEAD):
                self._on_ready()  # they were done before all of them were seen to run
            return self._code
        finally:
            signal.set_wakeup_fd(waker)
            for number, handler in before.items():
                signal.signal(number, handler)
            for child in self._all():
                child.send(signal.SIGKILL)
                child.close()
            self._selector.close()
            self._bell.close()
            self._rope.close()

    def reload(self) -> None:
        """Start everything anew. From any thread."""
        self._tell(signal.SIGHUP)

    def _tell(self, number: int) -> None:
        self._signals.append(number)
        try:
            self._rope.send(b"!")
        except OSError:
            pass  # it is full, so it rings; or closed, and all is over

    def _got(self, number: int, _: object) -> None:
        self._signals.append(number)  # the wake-up descriptor has rung already

    # One look at everything

    def _turn(self) -> bool:
        """Do what is due. False when all is over."""
        while self._signals:
            self._obey(self._signals.popleft())
        now = self._boot()
        for place in self.places:
            self._look_at(place, now)
        for child in list(self._leaving):
            if child.code is not None:
                self._leaving.remove(child)
                self._drop(child)
        self.places = [place for place in self.places if place.children or place.due < _NEVER]
        if self._stops and now > self._stopped_at + self._grace + LATE:
            for child in self._all():
                if now > child.killed_at + DYING:
                    child.kill(now)
        if self._on_ready and self.places and all(place.proven for place in self.places):
            self._on_ready()
            self._on_ready = None
        return bool(self._all() or (self.places and not self._ending))

    def _look_at(self, place: Place, now: float) -> None:
        child, successor = place.child, place.successor
        if child is not None:
            place.proven = place.proven or child.ready
            if child.code is not None:
                self._ended(place, child, now)
            else:
                self._listen(child, now)
        if successor is not None and successor.code is not None:
            self._say(f"the new worker {successor.pid} did not start ({_told(successor.code)}); the old one goes on")
            place.successor = None
            self._drop(successor)
        elif successor is not None and (successor.ready or place.child is None):
            if place.child is not None:
                self._retire(place.child)
            place.child, place.successor = successor, None
        if place.child is None and place.due <= now and not self._ending:
            place.child = self._start()

    def _listen(self, child: Child, now: float) -> None:
        """A worker that is silent for too long is ended."""
        if now <= max(child.heard + self._silence, 0.0 if child.ready else child.born + STARTING):
            return
        if not child.killed_at:
            self._say(f"worker {child.pid} has not been heard for {now - child.heard:.0f} s and is ended; its jobs go elsewhere")
        if now > child.killed_at + DYING:
            child.kill(now)

    def _ended(self, place: Place, child: Child, now: float) -> None:
        """A worker has ended: is another to take its place, and when?"""
        code = child.code or 0
        while child.hear():  # its last words
            if not self._more(child):
                break
        place.child, place.proven = None, place.proven or child.ready
        self._drop(child)
        if self._ending or child.leaving or place.successor is not None:
            place.due = now if place.successor is not None else _NEVER
            self._count(code, child)
        elif child.again:
            place.due, place.deaths = now, 0
        elif self._drain and code in (0, SOME_DEAD):
            place.due = _NEVER
            self._count(code, child)
        elif code == 0:
            self._say(f"worker {child.pid} was told to end, and is not replaced")
            place.due = _NEVER
        elif not child.ready and not place.proven and 0 < code < SOME_DEAD:
            self._say(f"worker {child.pid} could not start ({_told(code)}); nothing is tried again")
            place.due, self._code = _NEVER, code
            self._end_all(signal.SIGTERM)
        else:
            place.deaths = 1 if now - child.born >= SOUND else place.deaths + 1
            pause = 0.0 if place.deaths == 1 else min(FIRST_PAUSE * 2 ** (place.deaths - 2), LONGEST_PAUSE)
            place.due = now + pause
            self._say(f"worker {child.pid} ended ({_told(code)}); another starts{f' in {pause:.0f} s' if pause else ''}")

    @staticmethod
    def _more(child: Child) -> bool:
        try:
            return bool(child.line.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _count(self, code: int, child: Child) -> None:
        if code < 0 or child.killed_at:
            self._code = self._code or KILLED
        elif code and not self._code:
            self._code = code

    # What is done to workers

    def _start(self) -> Child:
        child = Child(self._command, self._boot)
        self._selector.register(child.line, selectors.EVENT_READ, child)
        return child

    def _drop(self, child: Child) -> None:
        try:
            self._selector.unregister(child.line)
        except KeyError:
            pass  # it had hung up before
        child.close()

    def _retire(self, child: Child) -> None:
        """Another has taken its place: it finishes what it holds."""
        child.leaving = True
        child.send(signal.SIGQUIT)
        self._leaving.append(child)

    def _end_all(self, number: int) -> None:
        self._ending = True
        for child in self._all():
            child.leaving = True
            child.send(number)

    def _all(self) -> list[Child]:
        return [*(child for place in self.places for child in place.children), *self._leaving]

    # Signals

    def _obey(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stops += 1
            if self._stops == 1:
                self._stopped_at = self._boot()
            self._end_all(signal.SIGTERM if self._stops <= 2 else signal.SIGKILL)
        elif number == signal.SIGQUIT:
            self._end_all(number)
        elif number in PASSED_ON:
            for child in self._all():
                child.send(number)
        elif number == signal.SIGHUP and self._terminal.gone:
            self._obey(signal.SIGTERM)  # it was closed: nobody asks for anything to be loaded anew
        elif number == signal.SIGHUP and not self._ending:
            for place in self.places:
                place.due = 0.0  # one that failed before gets its chance at once
                if place.child is not None and place.successor is None:
                    place.successor = self._start()
        elif number == signal.SIGTTIN and not self._ending:
            self.places.append(Place())
        elif number == signal.SIGTTOU and not self._ending and len(self.places) > 1:
            for child in self.places.pop().children:
                self._retire(child)

    def _pause(self) -> float:
        """Until when nothing can be due."""
        now = self._boot()
        waits = [place.due - now for place in self.places if place.child is None and not self._ending]
        return max(0.0, min([TICK, *waits]))

    def _heard(self, key: selectors.SelectorKey) -> None:
        if key.data is None:
            try:
                self._bell.recv(4096)
            except BlockingIOError:
                pass
        elif isinstance(key.data, Child) and not key.data.hear():
            self._selector.unregister(key.fileobj)  # it has hung up: it ends, or has ended


_NEVER = float("inf")
_OWN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)


def _told(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
