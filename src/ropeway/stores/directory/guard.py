"""The file system's errors told as ours, at the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ...errors import RopewayError, Stopped, StoreError
from .descriptors import HINT, SPENT

P = ParamSpec("P")
T = TypeVar("T")


def guarded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The file system's errors as ours: what is not ours to explain is unknown, and may be repeated."""
    try:
        return call(*args, **kwargs)
    except RopewayError:
        raise
    except OSError as error:
        raise StoreError(
            f"the store failed: {error.strerror or error}; it is unknown whether it was done, the same call may be repeated. "
            + (HINT[0].upper() + HINT[1:] if error.errno in SPENT else "Look with `ropeway check`")
        ) from error


def stopped(queue: str, what: str, reason: str) -> Stopped:
    return Stopped(
        f"queue {queue} is switched off for {what}{f': {reason}' if reason else ''}; nothing was done", queue=queue, reason=reason
    )
