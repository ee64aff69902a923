"""dirq's QueueSimple, used as its manual shows."""

from __future__ import annotations

from time import perf_counter

from dirq.QueueSimple import QueueSimple

from ...work import Item


class DirqSimple:
    """A file a message in a folder a minute; a consumer locks by hard link. Nothing is synced."""

    def __init__(self, place: str, durability: str) -> None:
        self._queue = QueueSimple(f"{place}/dirq")
        self._next = ""

    def put(self, work: list[Item]) -> None:
        add = self._queue.add
        for one in work:
            add(one.body)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        name = self._next or queue.first()  # one pass through what was listed, over all calls
        while name and done < most:
            if queue.lock(name):
                queue.get(name)
                queue.remove(name)
                done += 1
            name = queue.next() or queue.first()
        self._next = name
        return done, perf_counter() - began

    def close(self) -> None:
        pass
