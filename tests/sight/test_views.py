"""The views as JSON: bounded where they have to fit, whole otherwise, and whatever text is in them."""

from __future__ import annotations

import json
import threading

import pytest

from ropeway.errors import BadValue
from ropeway.sight import views
from ropeway.sight.here import here
from ropeway.sight.tail import Tail


class Printed:
    """Output that the test has made."""

    kind = "streams"

    def __init__(self, data: bytes) -> None:
        self._tail = Tail()
        self._tail.feed(data)

    def look(self, stream: str, since: int = 0) -> tuple[int, bytes]:
        if stream == "stderr":
            raise OSError("it does not answer")
        return self._tail.look(since)

    def passed(self, fd: int, data: bytes) -> None: ...


@pytest.mark.parametrize("what", views.VIEWS)
def test_each_view_is_json(what: str) -> None:
    value = json.loads(views.as_json(what))
    assert value["pid"] > 0
    assert value["at"] > 1e9


def test_a_view_that_has_to_fit_loses_its_oldest_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here(), "printed", Printed(b"".join(b"%06d %s\n" % (number, b"x" * 2000) for number in range(1000))))
    whole = views.view("output")
    assert (len(whole["stdout"]["lines"]), whole["stdout"]["first"], whole["stdout"]["next"]) == (1000, 0, 1000)
    assert "does not answer" in whole["why"]
    data = views.as_json("output", 400_000)
    assert len(data) <= 400_000
    cut = json.loads(data)
    assert cut["shortened"]
    assert cut["stdout"]["lines"][-1] == whole["stdout"]["lines"][-1]
    assert 100 < len(cut["stdout"]["lines"]) < 250
    with pytest.raises(BadValue, match="only 10 can be sent"):
        views.as_json("metrics", 10)


def test_stacks_that_have_to_fit() -> None:
    gate = threading.Event()
    threads = [threading.Thread(target=gate.wait, name=f"it-{number}" + "n" * 100, daemon=True) for number in range(100)]
    for thread in threads:
        thread.start()
    try:
        assert len(views.as_json("stacks", 20_000)) <= 20_000
        assert len(views.stacks_text(5000)) < 5100
    finally:
        gate.set()
        for thread in threads:
            thread.join(30)


def test_halves_of_characters_and_odd_values_are_shown_somehow(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {
        "half \udcff": "\udcff",
        "nan": float("nan"),
        "inf": float("inf"),
        "large": 10**40,
        "bytes": b"\xff",
        "deep": [[[[[[[[1]]]]]]]],
        5: object,
    }
    monkeypatch.setattr(here().board, "state", state)
    value = json.loads(views.as_json("state"))["state"]
    assert value["nan"] == "nan"
    assert value["large"] == str(10**40)
    assert value["bytes"] == "b'\\xff'"


def test_one_that_does_not_exist() -> None:
    with pytest.raises(BadValue, match="is no view; there are: state jobs"):
        views.view("everything")
