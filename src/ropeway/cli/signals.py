"""SIGTERM, SIGINT and the time limit end a command by an exception, so that what was taken is given back on the way out.

A command that has nothing to give back leaves SIGTERM alone: it then dies of it, which the shell reports as 143 all the same.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .verdict import TERMINATED, TIMED_OUT, Ended

_late = "the time of --timeout is up; what was under way may be done or not, the same command may be repeated"
_held = False
_waiting: list[BaseException] = []


def _end(error: BaseException) -> None:
    """End the command, or wait until it may be."""
    if _held:
        _waiting.append(error)
    else:
        raise error


def _terminated(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: a second one must not break the way out
    _end(Ended(TERMINATED))


@contextmanager
def termination() -> Iterator[None]:
    """Turn SIGTERM into Ended while inside, and let `undisturbed` hold it and SIGINT back."""
    before = _handle(signal.SIGTERM, _terminated), _handle(signal.SIGINT, lambda *_: _end(KeyboardInterrupt()))
    try:
        yield
    finally:
        _handle(signal.SIGTERM, before[0])
        _handle(signal.SIGINT, before[1])


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Ended inside, that long from now."""
    before = _handle(signal.SIGALRM, lambda *_: _end(Ended(TIMED_OUT, _late)))
    timer = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _handle(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What ends the command waits until this is left: steps that belong together, and never take long."""
    yield from _holding(held=True)


@contextmanager
def disturbed() -> Iterator[None]:
    """Inside `undisturbed`, a step that may take long: it may be ended."""
    yield from _holding(held=False)


def _holding(*, held: bool) -> Iterator[None]:
    global _held
    before, _held = _held, held
    try:
        if not held and _waiting:
            raise _waiting.pop()
        yield
    finally:
        _held = before
        if not before and _waiting:
            raise _waiting.pop()


def _handle(number: int, handler: Callable[..., Any] | int | None) -> Any:
    """Set a handler and answer the one before. Outside the main thread signals belong to somebody else: nothing is set."""
    try:
        return signal.signal(number, signal.SIG_DFL if handler is None else handler)
    except ValueError:
        return None
