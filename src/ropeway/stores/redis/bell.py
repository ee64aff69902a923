"""The bell of one thread that waits, and the ears of the process: one connection to each primary, which hears for all threads."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from random import random

from ...bells.place import readable
from ...errors import StoreError
from .hub import Hub
from .scripts import Request
from .wire import Broken, Wire

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 5.0


class Bell:
    """Rung once or many times, it wakes once. A bare lock, since ringing one is safe inside a signal handler and an Event is not."""

    __slots__ = ("__weakref__", "_lock", "due", "number", "waits", "who", "woken")

    def __init__(self, number: int, name: str) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.number = number
        self.who = f"{name}.{number}"
        self.waits = False  # somebody sleeps on it, or is about to
        self.woken = False  # by `wake`, not by a job
        self.due = False  # by a job that waits: nobody need look

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))

    def ring(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # rung already


class Ears:
    """Subscribed to this process's own channel, in a thread of its own: it listens as long as the store is open, and sends nothing."""

    def __init__(self, hub: Hub, channel: bytes, heard: Callable[[int, str, bool], None], changed: Callable[[], None]) -> None:
        self.up = False  # what is sent to the channel arrives
        self.deaf = ""  # why this user may not listen: then only looking helps
        self._hub = hub
        self._channel = channel
        self._heard = heard
        self._changed = changed
        self._ended = False
        self._pipe = os.pipe()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Listen from now on. Raises StoreError when the server cannot be reached."""
        try:
            wires = self._subscribe()
        except BaseException:
            self._let_go()
            raise
        if wires:
            self._thread = threading.Thread(target=self._run, args=(wires,), name="ropeway-redis-bell", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """From any thread; may be called twice."""
        self._ended, self.up = True, False
        try:
            os.write(self._pipe[1], b"x")
        except OSError:
            pass
        if self._thread is None:
            self._let_go()

    def _subscribe(self) -> list[Wire]:
        """One connection to each primary: what is published where the queue lies arrives without a detour over the bus of a cluster, which
        may lose it. Empty when this user may not listen."""
        wires: list[Wire] = []
        try:
            for place in self._hub.places():
                wires.append(self._hub.dial(place))
                wires[-1].send(Request(None, ("SUBSCRIBE", self._channel)).packed())
                reply = wires[-1].receive()
                if not isinstance(reply, list):
                    self.deaf = str(reply)
                    return _closed(wires)
        except Broken as error:
            _closed(wires)
            raise StoreError(f"the connection broke: {error}; nothing was done", definite=True) from error
        except BaseException:
            _closed(wires)
            raise
        self.up = True
        return wires

    def _run(self, wires: list[Wire]) -> None:
        backoff = FIRST_BACKOFF
        while not self._ended:
            try:
                if not wires:
                    wires = self._subscribe()
                    if not wires:
                        break
                    backoff = FIRST_BACKOFF
                    self._changed()
                self._listen(wires)
            except (StoreError, Broken):
                pass
            self.up = False
            wires = _closed(wires)
            if not self._ended:
                self._changed()  # whoever sleeps looks by itself from now on
                readable([self._pipe[0]], backoff * (0.5 + random() / 2))
                backoff = min(2 * backoff, LONGEST_BACKOFF)
        self._let_go()

    def _listen(self, wires: list[Wire]) -> None:
        poll = select.poll()
        poll.register(self._pipe[0], select.POLLIN)
        by_number = {wire.fileno(): wire for wire in wires}
        for number in by_number:
            poll.register(number, select.POLLIN)
        while not self._ended:
            ready = [wire for wire in wires if wire.buffered()]
            for wire in ready or [by_number[number] for number, _ in poll.poll() if number in by_number]:
                message = wire.receive()
                if isinstance(message, list) and message[0] == b"message":
                    thread, _, key = message[2].decode().partition(" ")
                    self._heard(int(thread.lstrip("?")), key, not thread.startswith("?"))

    def _let_go(self) -> None:
        for end in self._pipe:
            try:
                os.close(end)
            except OSError:
                pass


def _closed(wires: list[Wire]) -> list[Wire]:
    for wire in wires:
        wire.close()
    return []
