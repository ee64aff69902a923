"""How a mailroom hears letters and its store at once.

Whoever leads listens for letters alone at first, for some times as long as answers took: on the same host most come so, and the store is
asked nothing. Then it sleeps in the store, and a thread listens beside it and wakes it: a hop, for calls that take longer anyway. Where
answers come by the store, from workers elsewhere, the first moment shrinks to nothing, and it grows again with the letters that come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ..errors import RopewayError
from ..link import Link
from .lead import LONGEST, Slip
from .letters import Ear

SHORTEST, LONGEST_PATIENCE = 0.002, 0.1  # seconds to listen for letters alone
FIRST = 0.01  # until it is known how long answers take
TIMES = 4.0  # as long as they take
DISTRUST = 0.02  # below it, not at all


class Hearing:
    """`hand_out` gives the letters that lie in the ear to their calls. Raises OSError when the system has no socket for the ear."""

    def __init__(self, link: Link, hand_out: Callable[[], object]) -> None:
        self.ear = Ear()
        self._trust = 1.0  # that answers come by letter
        self._usual = FIRST / TIMES  # seconds until a letter comes
        self._link = link
        self._hand_out = hand_out
        self._in_ear = threading.Lock()  # who sleeps there
        self._beside = False  # whether the thread should
        self._bell = Slip()  # the thread's
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def patience(self) -> float:
        """Seconds for which it listens for letters alone."""
        if self._trust < DISTRUST:
            return 0.0
        return self._trust * min(max(TIMES * self._usual, SHORTEST), LONGEST_PATIENCE)

    def alone(self, left: float) -> bool:
        """Listen for letters, at most so many seconds and only while that promises something. True: some came, or somebody rang."""
        patience = self.patience
        if not patience:
            return False
        with self._in_ear:
            return self._link.clock.sleep(self.ear, min(left, patience))

    @contextmanager
    def beside(self) -> Generator[None, None, None]:
        """Meanwhile the thread listens, hands out, and wakes whoever sleeps in the store."""
        self._beside = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="ropeway-letters", daemon=True)
            self._thread.start()
        self._bell.ring()
        try:
            yield
        finally:
            self._beside = False
            self.ear.wake()

    def came(self, lasted: float, *, by_letter: bool) -> None:
        """An answer that was waited for: how many seconds after its put, and how it came."""
        if by_letter:
            self._trust = min(1.0, 2 * max(self._trust, DISTRUST))
            self._usual += (lasted - self._usual) / 8
        else:
            self._trust /= 4

    def close(self) -> None:
        """Nobody listens any more. The ear goes with the last who holds it: the thread may still be on its way out."""
        self._closed = True
        self._bell.ring()
        self.ear.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _listen(self) -> None:
        while not self._closed:
            self._bell.wait(LONGEST)
            with self._in_ear:
                while self._beside and not self._closed:
                    if self.ear.wait(LONGEST) and len(self.ear):
                        self._hand_out()
                        self._wake()

    def _wake(self) -> None:
        try:
            self._link.store.wake()
        except RopewayError:
            pass  # it was closed, and nobody sleeps there
