"""The error tree: drawn at the head of its file, every error explained, none forgotten."""

from __future__ import annotations

import inspect
import re

import pytest

from ropeway import errors
from ropeway.codec import Damaged, FutureFormat
from ropeway.errors import Discard, RetryLater, RopewayError, StoreError

CLASSES = [thing for thing in vars(errors).values() if inspect.isclass(thing) and thing.__module__ == errors.__name__]
DRAWN = re.findall(r"^ [|`]- (\w+)", errors.__doc__ or "", re.MULTILINE)


def test_the_tree_at_the_head_is_the_tree() -> None:
    assert set(DRAWN) == {one.__name__ for one in CLASSES if issubclass(one, RopewayError) and one is not RopewayError}
    assert len(DRAWN) == len(set(DRAWN)) >= 12


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_explained(error: type) -> None:
    assert error.__doc__
    assert len(error.__doc__.split()) >= 5


@pytest.mark.parametrize("error", [one for one in CLASSES if issubclass(one, RopewayError)])
def test_every_error_hangs_directly_on_the_root(error: type[RopewayError]) -> None:
    assert error is RopewayError or RopewayError in error.__bases__
    assert str(error("what failed")) == "what failed"


def test_errors_of_pythons_own_kind_are_also_those() -> None:
    assert issubclass(errors.Timeout, TimeoutError)
    assert all(issubclass(one, ValueError) for one in (errors.BadName, errors.BadBody, errors.BadValue))


def test_what_steers_a_job_is_no_error_of_ours() -> None:
    """A task that catches RopewayError must not catch these by it."""
    for steering in (RetryLater, Discard):
        assert not issubclass(steering, RopewayError)
    assert RetryLater("2m").delay == "2m"
    assert "2m" in str(RetryLater("2m"))
    assert str(RetryLater(1, "busy")) == "busy"
    assert Discard("no such user").reason == "no such user"


def test_errors_carry_what_they_know() -> None:
    assert StoreError("x").definite is False
    assert StoreError("x", definite=True).definite is True
    assert errors.Conflict("x", key="k", job_id="j").key == "k"
    assert errors.Stopped("x", queue="q", reason="r").reason == "r"
    assert errors.RemoteError("x", remote_type="KeyError", traceback="t").remote_type == "KeyError"
    assert issubclass(Damaged, StoreError)
    assert issubclass(FutureFormat, StoreError)
