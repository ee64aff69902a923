"""Errors of another process, raised here as what they were: a RemoteError that is also an instance of the class, where that is known.

Known are the exceptions of Python itself and the classes that this process has named by `know`. A class is found by its name among
those, never imported, and an error is never unpickled: what comes from elsewhere is text.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import BadValue, RemoteError
from ..failure import clean
from ..names import shown

MOST_TYPES = 8
MOST_TEXT = 2000  # characters of a message
_UNFIT = (StopIteration, StopAsyncIteration, MemoryError, ExceptionGroup)  # these mean something to Python itself, or need more than a text

_known: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception and not issubclass(kind, _UNFIT)
}
_bare: dict[str, type[Exception]] = {}  # named by `know`, without their modules
_made: dict[type[Exception], type[RemoteError]] = {}


def know(*classes: type[Exception]) -> None:
    """From now on an error of one of these classes, raised by a job, is one here too: `except MyError` finds it. It carries the text and
    not the attributes. For the whole process. Raises BadValue for what is no exception class, or cannot be one with RemoteError."""
    for kind in classes:
        if not isinstance(kind, type) or not issubclass(kind, Exception) or issubclass(kind, _UNFIT):
            raise BadValue(f"{shown(kind)} is no exception class whose errors could be raised here; nothing was registered")
        _typed(kind)
    for kind in classes:
        _known[name_of(kind)] = kind
        _bare[kind.__qualname__] = kind


def name_of(kind: type[BaseException]) -> str:
    """A class as errors are told: "ValueError", "app.errors.Missing"; the program's own without its module."""
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def types_of(error: BaseException) -> list[str]:
    """The error's class and those it is derived from that say anything, the nearest first."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, BaseException) and kind not in (Exception, BaseException)]
    return [clean(name_of(kind), 200) for kind in kinds[:MOST_TYPES]]


def message_of(error: BaseException) -> str:
    """What it says, whatever it is."""
    try:
        return str(error)[:MOST_TEXT]
    except Exception:  # noqa: BLE001 - a hostile __str__ must not hide the failure
        return "(its text could not be made)"


def remote_error(text: str, types: Sequence[str], message: str = "", traceback: str = "") -> RemoteError:
    """The error to raise for one that happened elsewhere."""
    kind = _find(types)
    made = RemoteError if kind is None else _typed(kind)
    error = made.__new__(made)
    RemoteError.__init__(error, text, remote_type=types[0] if types else "", message=message, traceback=traceback)
    return error


def _find(types: Iterable[str]) -> type[Exception] | None:
    """The first that is known. A module that is the program itself, on one side, has another name there than it has on the other."""
    for name in types:
        kind = _known.get(name)
        if kind is None and (like := _bare.get(name.rpartition(".")[2])) and (like.__module__ == "__main__" or "." not in name):
            kind = like
        if kind is not None:
            return kind
    return None


def _typed(kind: type[Exception]) -> type[RemoteError]:
    """The class that is both."""
    made = _made.get(kind)
    if made is None:
        if issubclass(kind, RemoteError):
            made = kind
        else:
            try:
                body: dict[str, Any] = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__init__": RemoteError.__init__}
                made = type(kind.__name__, (RemoteError, kind), {**body, "__reduce__": _reduce})
                made.__new__(made)
            except TypeError as error:
                raise BadValue(f"{name_of(kind)} cannot be raised for another process's error: {error}; nothing was registered") from None
        _made[kind] = made
    return made


def _reduce(error: RemoteError) -> tuple[Any, ...]:
    """Pickled by those who carry errors between their own processes: made anew there, by what is known there."""
    return remote_error, (error.args[0] if error.args else "", [error.remote_type], error.message, error.traceback)
