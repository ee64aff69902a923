"""Errors of another process: raised as what they were, made of text alone."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

from ropeway.calls.failures import _UNFIT, know, message_of, remote_error, types_of
from ropeway.errors import BadValue, RemoteError, RopewayError, Timeout

from .functions import Missing, Odd

ORDINARY = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception]


@pytest.mark.parametrize("kind", ORDINARY, ids=lambda kind: kind.__name__)
def test_every_error_of_python_comes_back_as_itself(kind: type[Exception]) -> None:
    error = remote_error("it failed: because", [kind.__name__], "because", "the traceback")
    assert isinstance(error, RemoteError)
    assert isinstance(error, RopewayError)
    assert isinstance(error, kind) or issubclass(kind, _UNFIT)
    assert str(error) == "it failed: because"
    assert (error.remote_type, error.message, error.traceback) == (kind.__name__, "because", "the traceback")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert (str(twin), twin.remote_type, twin.traceback) == (str(error), kind.__name__, "the traceback")


@pytest.mark.parametrize(
    "name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException", "Exception", "print", "", "os.system"]
)
def test_what_is_no_ordinary_error_stays_a_remote_error(name: str) -> None:
    assert type(remote_error("it failed", [name])) is RemoteError
    assert type(remote_error("it failed", [])) is RemoteError


def test_the_nearest_known_class_counts() -> None:
    assert types_of(Missing("a", "b"))[1:] == ["LookupError"]
    assert isinstance(remote_error("x", ["some.where.Error", "some.Other", "OSError"]), OSError)
    assert not isinstance(remote_error("x", ["some.where.Error"]), OSError)


def test_a_class_is_known_once_it_is_named() -> None:
    assert not isinstance(remote_error("x", types_of(Odd("y"))), Odd)
    know(Odd)
    error = remote_error("x", types_of(Odd("y")), "y")
    assert isinstance(error, Odd)
    assert error.message == "y"  # type: ignore[unreachable]


def test_the_program_itself_has_another_name_elsewhere() -> None:
    class Own(Exception):
        pass

    Own.__module__, Own.__qualname__ = "__main__", "Own"
    know(Own)
    assert isinstance(remote_error("x", ["application.errors.Own"]), Own)  # __main__ here, imported there

    class Theirs(Exception):
        pass

    Theirs.__module__, Theirs.__qualname__ = "application.errors", "Theirs"
    know(Theirs)
    assert isinstance(remote_error("x", ["Theirs"]), Theirs)  # imported here, __main__ there
    assert not isinstance(remote_error("x", ["other.Theirs"]), Theirs)  # another's class of that name


@pytest.mark.parametrize("kind", [int, Exception("x"), KeyboardInterrupt, StopIteration, ExceptionGroup, "Missing", None], ids=repr)
def test_what_cannot_be_named(kind: object) -> None:
    with pytest.raises(BadValue, match="nothing was registered"):
        know(kind)  # type: ignore[arg-type]


def test_errors_of_ours_are_told_apart() -> None:
    """A TimeoutError of the task is no `no answer`."""
    assert not isinstance(remote_error("x", ["TimeoutError"]), Timeout)


def test_a_hostile_text() -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "could not be made" in message_of(Hostile())
    assert len(message_of(ValueError("x" * 10_000))) < 3000
