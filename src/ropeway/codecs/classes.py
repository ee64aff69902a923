"""Whether an object is of the class that a type hint names: for codecs that carry objects as they are."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin


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
