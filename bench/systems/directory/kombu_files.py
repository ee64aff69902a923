"""kombu's filesystem transport through its SimpleQueue: put, get, ack, as JSON."""

from __future__ import annotations

import os
from time import perf_counter

from kombu import Connection

from ...work import Item


class KombuFiles:
    """A file a message in one folder, which is listed and sorted for each get. Nothing is synced."""

    def __init__(self, place: str, durability: str) -> None:
        messages, control = f"{place}/kombu", f"{place}/kombu-control"
        for path in (messages, control):
            os.makedirs(path, exist_ok=True)
        options = {"data_folder_in": messages, "data_folder_out": messages, "control_folder": control}
        self._connection = Connection("filesystem://", transport_options=options)
        self._queue = self._connection.SimpleQueue("mails", serializer="json")

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._queue.put(one.value)

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        queue, done = self._queue, 0
        began = perf_counter()
        while done < most:
            try:
                message = queue.get(block=False)
            except queue.Empty:
                break
            message.ack()
            done += 1
        return done, perf_counter() - began

    def close(self) -> None:
        self._queue.close()
        self._connection.close()
