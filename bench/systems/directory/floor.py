"""The floor: the system calls that a store of files cannot do without, in plain Python. No order, no lease, no check."""

from __future__ import annotations

import os
from time import perf_counter, perf_counter_ns

from ...work import Item, number_of
from ..bell import Bell

PART = 256  # records a file in bulk, as ropeway packs them


class Floor:
    """put: create, write, close, rename; full: file and folder synced. drain: rename, open, read, close, unlink."""

    def __init__(self, place: str, durability: str) -> None:
        self._new, self._queue, self._mine = (f"{place}/{name}" for name in ("new", "queue", "mine"))
        for path in (self._new, self._queue, self._mine):
            os.makedirs(path, exist_ok=True)
        self._full = durability == "full"
        self._number = 0
        self._bell = Bell(place)
        self._back: Bell | None = None
        self._place = place

    def put(self, work: list[Item]) -> None:
        for one in work:
            self._write(one.body)

    def bulk(self, work: list[Item], size: int) -> None:
        bodies = [one.body for one in work]
        for start in range(0, len(bodies), size):
            for part in range(start, min(start + size, len(bodies)), PART):
                self._write(b"\n".join(bodies[part : min(part + PART, start + size)]))

    def _write(self, data: bytes) -> str:
        self._number += 1
        name = f"{self._number:032x}"
        temporary = f"{self._new}/{name}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, data)
        if self._full:
            os.fsync(fd)
        os.close(fd)
        os.rename(temporary, f"{self._queue}/{name}")
        if self._full:
            folder = os.open(self._queue, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        return name

    def drain(self, limit: int, most: int) -> tuple[int, float]:
        names = sorted(os.listdir(self._queue))[:most]
        began, done = perf_counter(), 0
        for name in names:
            done += len(self.take(name).split(b"\n"))
        return done, perf_counter() - began

    def take(self, name: str) -> bytes:
        mine = f"{self._mine}/{name}"
        os.rename(f"{self._queue}/{name}", mine)
        fd = os.open(mine, os.O_RDONLY)
        data = os.read(fd, 1 << 20)
        os.close(fd)
        os.unlink(mine)
        return data

    def tell(self, one: Item) -> None:
        """Put, and send a datagram with the name."""
        self._bell.ring(self._write(one.body).encode())

    def starts(self, count: int) -> list[int]:
        self._bell.listen()
        print("waiting", flush=True)
        out = []
        for _ in range(count):
            data = self.take(self._bell.wait().decode())
            out.append(perf_counter_ns() - number_of(data))
        return out

    def ask(self, one: Item) -> None:
        if self._back is None:
            self._back = Bell(f"{self._place}/back")
            self._back.listen()
        self._full = False  # as a call is put
        self.tell(one)
        if number_of(self.take(self._back.wait().decode())) != number_of(one.body):
            raise AssertionError("the answer is another's")

    def answers(self) -> None:
        self._bell.listen()
        self._full, back = False, Bell(f"{self._place}/back")
        self._number = 1 << 64  # names of its own
        print("waiting", flush=True)
        while True:
            back.ring(self._write(self.take(self._bell.wait().decode())).encode())

    def close(self) -> None:
        self._bell.close()
