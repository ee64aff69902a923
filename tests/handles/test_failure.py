"""An exception as text for the history: as Python would print it, and bounded whatever it holds."""

from __future__ import annotations

import time
import traceback

import pytest

from ropeway.failure import ERROR_LIMIT, TRACEBACK_LIMIT, clean, one_line, traceback_of


class Rude(Exception):
    """One whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def caught(raiser: object) -> BaseException:
    try:
        raiser()  # type: ignore[operator]
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def boom() -> None:
    raise ValueError("boom")


def wrapped() -> None:
    try:
        boom()
    except ValueError as error:
        raise KeyError("outer") from error


def in_handling() -> None:
    try:
        boom()
    except ValueError:
        int("x")


def silenced() -> None:
    try:
        boom()
    except ValueError:
        raise KeyError("outer") from None


def test_one_line() -> None:
    assert one_line(ValueError("a\nb\x1b[0m")) == "ValueError: a\\nb\\x1b[0m"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(Rude()).endswith("Rude: (its text could not be made)")
    assert one_line(Rude()).startswith(__name__)
    assert len(one_line(ValueError("x" * 10_000))) == ERROR_LIMIT
    assert one_line(ValueError("\ud800")) == "ValueError: \\ud800"
    assert clean("ü 漢") == "ü 漢"


@pytest.mark.parametrize("raiser", [boom, wrapped, in_handling, silenced])
def test_it_reads_as_pythons_own(raiser: object) -> None:
    error = caught(raiser)
    ours = traceback_of(error)
    theirs = [line for line in traceback.format_exception(error) if line]
    plain = "\n".join(line for line in "".join(theirs).splitlines() if set(line.strip()) - set("^~ ") or not line.strip())
    assert ours.rstrip("\n") == plain.rstrip("\n")


def test_a_recursion_is_bounded() -> None:
    def deeper(n: int) -> int:
        return deeper(n + 1)

    text = traceback_of(caught(lambda: deeper(0)))
    assert "frames left out" in text
    assert text.count("in deeper") <= 20 + text.count("test_failure")
    assert len(text) < 8000
    assert text.rstrip().splitlines()[-1].startswith("RecursionError")


def test_a_chain_and_a_text_are_bounded() -> None:
    error: BaseException = ValueError("first")
    for n in range(50):
        outer = ValueError(f"{n} " + "x" * 5000)
        outer.__cause__ = error
        error = outer
    text = traceback_of(error)
    assert len(text) <= TRACEBACK_LIMIT
    assert text.count("direct cause") == 4
    loop = ValueError("loop")
    loop.__cause__ = loop
    assert traceback_of(loop).count("loop") <= 5


def test_it_is_much_cheaper_than_the_standard_way() -> None:
    error = caught(wrapped)
    traceback_of(error)

    def cost(function: object) -> float:
        best = 1.0
        for _ in range(5):
            before = time.process_time()
            for _ in range(200):
                function(error)  # type: ignore[operator]
            best = min(best, time.process_time() - before)
        return best

    assert cost(traceback_of) * 4 < cost(lambda error: "".join(traceback.format_exception(error)))
