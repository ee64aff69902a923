"""What a worker says of its tasks is another program's word: taken only in its shape and size."""

from __future__ import annotations

from typing import Any

import pytest

import ropeway
from ropeway.errors import BadValue, Timeout
from ropeway.server.logged import _ask as lines_of
from ropeway.server.offered import LARGEST, _ask
from ropeway.worker.fleet import orders


class Said:
    """A worker that says this, or raises it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def signature(self, task: str, *, timeout: float) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    logged = signature


GOOD = {"task": "mail", "parameters": [{"name": "n", "kind": "either", "required": True, "schema": {"type": "integer"}}]}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"task": "mail"},
        {**GOOD, "task": "another"},
        {**GOOD, "parameters": "all"},
        {**GOOD, "parameters": [{"name": 7, "kind": "either"}]},
        {**GOOD, "defs": []},
        {**GOOD, "says": "x" * LARGEST},
        Timeout("gone"),
        BadValue("this is no order"),
    ],
)
def test_what_is_no_signature_is_none(answer: Any) -> None:
    assert _ask(Said(answer), "mail") is None  # type: ignore[arg-type]


def test_a_signature_is_taken() -> None:
    told = _ask(Said({**GOOD, "new": "field"}), "mail")  # type: ignore[arg-type]
    assert told is not None
    assert told.parameters[0].schema == {"type": "integer"}


def test_lines_are_taken_one_by_one() -> None:
    good = {"attempt": 1, "at": 1.5, "level": "INFO", "logger": "shop", "text": "x" * 5000, "more": 1}
    taken = lines_of(Said([{**good, "at": "now"}, {"text": "x"}, good]), "0" * 32)  # type: ignore[arg-type]
    assert taken is not None
    assert [(line["text"], "more" in line) for line in taken] == [("x" * 1000, False)]


@pytest.mark.parametrize("what", ["", "../x", "a b", "x" * 200])
def test_an_order_for_no_task_is_refused(what: str) -> None:
    with pytest.raises(BadValue):
        orders.check("signature", what=what)


def test_a_worker_of_commands_says_so() -> None:
    from ropeway.worker.fleet.post import _no_tasks

    with pytest.raises(ropeway.BadValue, match="runs commands"):
        _no_tasks("mail")
