"""The loop of `top`: waits for a key, a signal or a look, and draws. Whatever ends it, the terminal is given back first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ..bells.place import readable
from ..link import Link
from ..url import hidden
from .drawing import LOST, lines
from .keys import Keys
from .looker import Looker
from .model import Model
from .screen import Screen

ESCAPE = 0.05  # seconds after which an escape with nothing behind it was the key
REASON = "from ropeway top"
_ENDS = frozenset({signal.SIGHUP, signal.SIGQUIT})  # those that a command dies of by default: not before the terminal is as it was
_HEARD = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT, *sorted(_ENDS))


class Live:
    """One run. `keyboard` and `display` are descriptors of a terminal."""

    def __init__(
        self, link: Link, patterns: Sequence[str], interval: float, *, own: bool = False, keyboard: int = 0, display: int = 1
    ) -> None:
        self._link = link
        self._where = hidden(link.url)
        self._interval = interval
        self._keyboard = keyboard
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)
        self.model = Model()
        self._looker = Looker(link, patterns, interval, self._ring, own=own)
        self._screen = Screen(keyboard, display)
        self._keys = Keys()
        self._heard: set[int] = set()
        self.died = 0  # the signal that ended it

    def run(self) -> bool:
        """Until somebody quits. False: a look still goes on, since the store does not answer."""
        try:
            with _signals(self._hear, self._waker):
                try:
                    self._screen.enter()
                    self._looker.start()
                    while not self.model.ended:
                        self._turn()
                finally:
                    self._screen.leave()
        finally:
            ended = self._looker.stop()
        return ended

    def _turn(self) -> None:
        """Draw, wait for something to happen, and take it in."""
        columns, rows = self._screen.size()
        waits = self._waits()
        self._screen.draw(lines(self.model, columns, rows, waits, self._where))
        timeout = ESCAPE if self._keys.pending else self._interval if waits > LOST or self.model.snapshot.error else None
        timeout = LOST if timeout is None and not self.model.frozen else timeout
        ready = readable([self._keyboard, self._woken], timeout)
        keys = self._keys.flush() if not ready and self._keys.pending else []
        if self._woken in ready:
            self._drain()
        if self._keyboard in ready:
            keys += self._read()
        self.model.see(self._looker.snapshot)
        for key in keys:
            frozen = self.model.frozen
            self.model.press(key)
            if self.model.frozen != frozen:
                self._looker.halt(halted=self.model.frozen)
            if self.model.redraw:
                self.model.redraw = False
                self._screen.forget()
            self._switch()
        self._looker.want(self.model.want)
        self._obey()

    def _waits(self) -> float:
        """How long ago the store last answered, where that is longer than it should be."""
        seen, now = self.model.snapshot, self._link.clock.boot()
        if seen.error:
            return now - seen.at if seen.at else 0.0
        return self._looker.waits(now)

    def _read(self) -> list[str]:
        try:
            data = os.read(self._keyboard, 1024)
        except OSError:
            data = b""
        if not data:  # nobody is there any more
            self.model.ended = True
        return self._keys.feed(data)

    def _switch(self) -> None:
        """Have done what was said yes to."""
        if self.model.switch is None:
            return
        (queue, halt), self.model.switch = self.model.switch, None

        def do() -> str:
            self._link.store.pause([queue], claim=halt, reason=REASON if halt else "")
            return f"{queue} is paused; Space resumes it" if halt else f"{queue} is resumed"

        self._looker.errand(do)

    # Signals: handled between two turns, never in the middle of a write

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._heard.add(number)

    def _obey(self) -> None:
        heard, self._heard = self._heard, set()
        if died := heard & _ENDS:
            self.died = min(died)
            self.model.ended = True
            return
        if signal.SIGTSTP in heard:
            self._screen.leave()
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)  # here it stops, and goes on when somebody says so
            signal.signal(signal.SIGTSTP, before)
            heard.add(signal.SIGCONT)
        if signal.SIGCONT in heard:
            self._screen.enter()

    def _ring(self) -> None:
        try:
            os.write(self._waker, b"\0")
        except BlockingIOError:
            pass  # it rings already

    def _drain(self) -> None:
        try:
            os.read(self._woken, 65536)
        except BlockingIOError:
            pass


@contextmanager
def _signals(hear: Callable[[int, FrameType | None], None], waker: int) -> Iterator[None]:
    """While inside: the window's size, stops and goings-on are heard, and any signal ends the wait."""
    before = {number: signal.signal(number, hear) for number in _HEARD}
    bell = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(bell)
        for number, handler in before.items():
            signal.signal(number, handler)
