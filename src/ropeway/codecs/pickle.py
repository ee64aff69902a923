"""Pickled bodies: for queues whose both ends name pickle, and for no other. Loading one runs whatever code its sender chose."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from .classes import fits

PROTOCOL = 5


def encode(data: object) -> bytes:
    return pickle.dumps(data, PROTOCOL)


def decoder(into: Any) -> Callable[[bytes], Any]:
    """Loads, and checks the class of what came: not that of what lies in it."""

    def decode(body: bytes) -> Any:
        value = pickle.loads(body)  # noqa: S301 - both ends have named pickle
        if not fits(value, into):
            raise TypeError(f"expected {getattr(into, '__name__', into)}, got {type(value).__name__}")
        return value

    return decode
