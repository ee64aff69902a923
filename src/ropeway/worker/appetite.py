"""How many jobs to claim: free slots, and beyond these what is worth 50 ms of work, so tiny jobs come in batches and long ones singly."""

from __future__ import annotations

from collections.abc import Sequence

from ..store import Lent

WINDOW = 0.05  # seconds of work to hold in the hand
MOST = 500  # jobs in the hand
MOST_BYTES = 16 << 20  # of bodies in the hand
_HALF_LIFE = 4  # jobs after which an old mean counts half
_JUMP = 4.0  # times longer than expected: not the jobs that we thought they were
_SHORT = 0.001  # jumps below this are noise


class Appetite:
    """A moving mean of job seconds (the mean, so that one slow job in a hundred counts) and of body bytes, and a ramp.

    Starts at one job a slot and doubles with each claim that came back full; back to the start when the jobs turn out longer, or
    come from another queue.
    """

    def __init__(self, slots: int) -> None:
        self.mean = WINDOW  # unknown yet: nothing is prefetched
        self.slots = slots
        self._ramp = slots
        self._bytes = 0.0
        self._queue = ""

    def resize(self, slots: int) -> None:
        """There are so many slots from now on."""
        self.slots = slots
        self._ramp = min(self._ramp, slots)

    def want(self, free: int, held: int, *, cautious: bool = False) -> int:
        """How many more, with `free` idle slots and `held` jobs in the hand. `cautious`: no more than can start now."""
        goal = free
        if not cautious and self.mean < WINDOW:
            goal = max(free, min(int(self.slots * WINDOW / max(self.mean, 1e-5)), self._ramp, MOST, self._fitting()))
        return max(0, goal - held)

    def _fitting(self) -> int:
        return int(MOST_BYTES / self._bytes) if self._bytes else MOST

    def claimed(self, asked: int, lents: Sequence[Lent]) -> None:
        """What a claim brought."""
        if not lents:
            return
        size = sum([len(lent.job.body) for lent in lents]) / len(lents)
        self._bytes = max(size, (self._bytes + size) / 2)
        if lents[0].job.queue != self._queue:
            self._queue, self._ramp = lents[0].job.queue, self.slots
        elif len(lents) >= asked:
            self._ramp = min(2 * self._ramp, MOST)

    def ended(self, count: int, seconds: float) -> None:
        """That many runs took so long in all."""
        mean = seconds / count
        if mean > _JUMP * self.mean and mean > _SHORT:
            self._ramp = self.slots
        self.mean += (mean - self.mean) * (1 - 0.5 ** (count / _HALF_LIFE))

    def stuck(self) -> None:
        """Nothing ended for two windows: whatever was expected, these are longer."""
        self.mean = max(self.mean, 2 * WINDOW)
        self._ramp = self.slots
