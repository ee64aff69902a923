"""Job ids in the order of their moments: the one structure that the memory engine keeps jobs in."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush


class Agenda:
    """A heap of (moment, id) that forgets lazily: `drop` costs nothing now, `first` passes over what was dropped.

    An id is in an agenda once. The heap is rebuilt when more than half of it is forgotten, so it never outgrows what it holds.
    """

    __slots__ = ("_heap", "_moments")

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._moments: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._moments)

    def __iter__(self) -> Iterator[str]:
        return iter(self._moments)

    def add(self, job_id: str, moment: float) -> None:
        self._moments[job_id] = moment
        heappush(self._heap, (moment, job_id))

    def drop(self, job_id: str) -> None:
        del self._moments[job_id]
        if len(self._heap) > 64 + 2 * len(self._moments):
            self._heap = [(moment, job_id) for job_id, moment in self._moments.items()]
            heapify(self._heap)

    def first(self) -> tuple[float, str] | None:
        """The earliest moment and whose it is."""
        heap, moments = self._heap, self._moments
        while heap:
            moment, job_id = heap[0]
            if moments.get(job_id) == moment:
                return heap[0]
            heappop(heap)
        return None

    def past(self, now: float) -> Iterator[str]:
        """The ids whose moment has come, earliest first; the caller drops each before it asks for the next."""
        while (first := self.first()) is not None and first[0] <= now:
            yield first[1]
