"""persist-queue's file Queue: put, get, task_done."""

from __future__ import annotations

from time import perf_counter

from persistqueue import Empty, Queue

from ...work import Item


class PersistFile:
    """Chunk files, and an info file rewritten and synced for each put and task_done. Two objects do not see each other's jobs."""

    alone = True

    def __init__(self, place: str, durability: str) -> None:
        self._queue = Queue(f"{place}/persist")

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._queue.put(one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most:
            try:
                queue.get(block=False)
            except Empty:
                break
            queue.task_done()
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        pass
