"""The hand: claims taken and not yet started, shared by all slots, so that nothing waits behind one long job."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from .run import Run

_LOOK, _END = "look", "end"


class Hand:
    """A deque that slots take from, and a token for each sleeping slot that should look again. No lock: each step is one atomic call."""

    def __init__(self, hungry: Callable[[], None]) -> None:
        self._runs: deque[Run] = deque()
        self._asleep: deque[None] = deque()  # one for each slot that sleeps, or is about to
        self._tokens: SimpleQueue[str] = SimpleQueue()
        self._hungry = hungry
        self.take = self._runs.popleft  # raises IndexError when it is empty

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def idle(self) -> int:
        """How many slots sleep."""
        return len(self._asleep)

    def give(self, runs: Sequence[Run]) -> None:
        """Into the hand, and wake as many slots as there is work for."""
        self._runs.extend(runs)
        self.nudge(len(runs))

    def nudge(self, count: int) -> None:
        """Wake up to so many slots, to look again."""
        for _ in range(min(count, len(self._asleep))):
            try:
                self._asleep.pop()
            except IndexError:
                return  # they woke by themselves
            self._tokens.put(_LOOK)

    def recall(self) -> list[Run]:
        """Empty it from its far end: what has not started."""
        back: list[Run] = []
        while True:
            try:
                back.append(self._runs.pop())
            except IndexError:
                return back

    def wait(self) -> bool:
        """For a slot that found the hand empty: sleep until there may be something; False when the slot should end.

        It says so before it looks once more: whoever gives after that look finds its mark and leaves a token. A mark of a slot
        that did not sleep after all costs another one a needless look, nothing else.
        """
        self._asleep.append(None)
        if self._runs:
            try:
                self._asleep.pop()
            except IndexError:
                pass
            return True
        self._hungry()
        return self._tokens.get() is _LOOK

    def close(self, slots: int) -> None:
        """Let that many slots end."""
        for _ in range(slots):
            self._tokens.put(_END)
