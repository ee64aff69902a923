"""A sleeping place: one sleeps there until a socket has something, or until somebody calls `wake`, on one poll."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import Protocol, TypeVar


class _Open(Protocol):
    def fileno(self) -> int: ...


F = TypeVar("F", bound="int | _Open")

_ONE = (1).to_bytes(8, sys.byteorder)  # what an eventfd adds; a pipe takes it as any bytes


class SleepingPlace:
    """What all sleeping places share: an event, for `wake`. Those with a bell put their socket beside it (`_watch`, `_heard`).

    Slept in by one thread at a time; woken from any.
    """

    _listening = -1  # the socket's descriptor

    def __init__(self) -> None:
        self._event, self._waker = _event()
        self._woken = False
        self._quiet = select.poll()  # for `wake` alone
        self._quiet.register(self._event, select.POLLIN)
        self._poll = self._quiet

    def _watch(self, fd: int) -> None:
        self._listening = fd
        self._poll = select.poll()
        self._poll.register(self._event, select.POLLIN)
        self._poll.register(fd, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        """True when rung or woken within the time; drains what came."""
        ready = self._poll.poll(milliseconds(timeout))
        for fd, _ in ready:
            if fd == self._event:
                self._wakened()
            else:
                self._heard()
        return bool(ready)

    def _wakened(self) -> None:
        self._woken = True
        try:
            os.read(self._event, 512)
        except BlockingIOError:
            return

    def _heard(self) -> bool:
        """Drain the socket; whether what came is a ring."""
        raise NotImplementedError

    def was_woken(self) -> bool:
        """Whether `wake` was called since this was asked last."""
        woken, self._woken = self._woken, False
        return woken

    def wake(self) -> None:
        """From any thread or a signal handler."""
        try:
            os.write(self._waker, _ONE)
        except OSError:
            return  # closed meanwhile, so nobody sleeps here; or woken so often that it is full

    def close(self) -> None:
        ends = {getattr(self, "_event", -1), getattr(self, "_waker", -1)} - {-1}
        self._event = self._waker = -1
        for end in ends:
            os.close(end)

    def __del__(self) -> None:
        self.close()


def _event() -> tuple[int, int]:
    """Where one reads, and where one writes, that somebody called `wake`."""
    if hasattr(os, "eventfd"):
        event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return event, event
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def readable(files: Sequence[F], seconds: float | None) -> list[F]:
    """Which of these, descriptors or what has one, can be read within the time (None: however long it takes). By poll: select takes no
    descriptor above 1,023, and a busy server has more."""
    by_number = {file if isinstance(file, int) else file.fileno(): file for file in files}
    poll = select.poll()
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(None if seconds is None else milliseconds(seconds))]


def milliseconds(seconds: float) -> int:
    """As poll wants them: rounded up, so that nobody wakes a moment early and spins."""
    return max(0, min(int(seconds * 1000 + 0.999), 2**31 - 1))
