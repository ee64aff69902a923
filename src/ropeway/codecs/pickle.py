"""Pickled bodies: for queues whose both ends name pickle, and for no other. Loading one runs whatever code its sender chose."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

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


def fits(value: object, hint: Any) -> bool:
    """Whether an object is of the class that a type hint names; True where the hint names none."""
    origin = get_origin(hint)
    if origin is Annotated:
        return fits(value, get_args(hint)[0])
    if origin is Union or origin is UnionType:
        return any(fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(hint))
    if hint is None:
        return value is None
    if hint is float:
        return isinstance(value, float | int)
    kind = origin if isinstance(origin, type) else hint
    if isinstance(hint, TypeVar) or not isinstance(kind, type):
        return True
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that cannot be asked
        return True
