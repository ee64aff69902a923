"""The parts of top by themselves: keys out of bytes, what keys do, what is drawn, and how often the store is asked."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ropeway.errors import StoreError
from ropeway.job import State
from ropeway.store import Counts
from ropeway.testing.clock import FakeClock
from ropeway.top.drawing import CURVE, curve, lines, shares
from ropeway.top.keys import Keys
from ropeway.top.looker import Looker, Snapshot, Want
from ropeway.top.model import Model
from ropeway.worker.fleet.notice import Notice
from worker.fakes import faulty_link

SEQUENCES = {b"\x1b[A": "up", b"\x1bOB": "down", b"\x1b[5~": "pageup", b"\x1b[H": "home", b"\r": "enter", b" ": "space", b"q": "q"}


@pytest.mark.parametrize(("data", "key"), SEQUENCES.items())
def test_a_key_in_whatever_pieces_it_comes(data: bytes, key: str) -> None:
    keys = Keys()
    assert [name for byte in data for name in keys.feed(bytes((byte,)))] == [key]
    assert not keys.pending
    assert Keys().feed(data * 3) == [key] * 3


def test_the_escape_key_and_what_means_nothing() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.pending
    assert keys.flush() == ["esc"]
    assert keys.flush() == []
    assert Keys().feed(b"\x1b[99;99Rj") == ["j"], "an answer of the terminal is no key"
    assert Keys().feed(b"\x1bx") == ["esc", "x"]
    assert Keys().feed("ü".encode() + b"\x00\x01k") == ["k"]
    assert Keys().feed(b"\x1b[" + b"1" * 40 + b"j")[-1:] == ["j"]


def model(**queues: int) -> Model:
    made = Model()
    counts = {name: Counts(ready=ready, oldest=100.0 - ready) for name, ready in queues.items()}
    made.see(Snapshot(at=1.0, now=100.0, queues=counts))
    return made


def press(model: Model, *keys: str) -> Model:
    for key in keys:
        model.press(key)
    return model


def test_selecting_and_sorting() -> None:
    one = model(a=3, b=9, c=5)
    press(one, "down", "down")
    assert one.selected == "b"
    press(one, "s")
    assert [row.name for row in one.rows()] == ["b", "c", "a"]
    assert press(one, "down").selected == "c", "the one that is selected stays it, wherever it stands now"
    assert press(one, "end", "down", "down").selected == "a"
    assert press(one, "home", "up").selected == "b"
    assert press(one, "S").sort == "name"
    one.see(Snapshot(at=2.0, queues={"z": Counts()}))
    assert press(one, "down").selected == "z", "it was dropped meanwhile"


def test_pages_and_the_way_back() -> None:
    one = press(model(a=3), "enter")
    assert (one.page, one.want) == ("jobs", Want("a", State.READY))
    assert press(one, "tab").want == Want("a", State.DELAYED)
    assert press(one, "enter").page == "jobs", "there is no job to be looked at"
    assert press(one, "?").page == "help"
    assert one.want == Want("a", State.DELAYED), "what is behind the help stays fresh"
    assert press(one, "esc").page == "jobs"
    assert press(one, "esc", "esc").page == "queues"
    assert press(one, "q").ended


@pytest.mark.parametrize("key", ["n", "q", "enter", "esc", "space", "j"])
def test_only_y_is_yes(key: str) -> None:
    one = press(model(a=3), "down", "space", key)
    assert (one.switch, one.asked, one.ended) == (None, "", False)
    assert press(one, "space", "y").switch == ("a", True)


def test_nothing_is_asked_without_a_selection() -> None:
    assert press(model(a=3), "space").asked == ""
    assert press(model(), "down", "enter", "space", "s").page == "queues"


@pytest.mark.parametrize(
    ("needs", "room", "got"), [([3, 2, 2], 20, [3, 2, 2]), ([50, 2, 0], 20, [18, 2, 0]), ([50, 50, 50], 21, [7, 7, 7])]
)
def test_shares_of_the_room(needs: list[int], room: int, got: list[int]) -> None:
    assert shares(needs, room) == got


def test_shares_are_never_too_much() -> None:
    for room in range(30):
        for needs in ([5, 0, 9], [1, 1, 1], [30, 2, 30], [0, 0, 0]):
            assert sum(shares(needs, room)) <= room


def test_curves() -> None:
    assert curve([0, 0]) == "▁▁"
    assert curve([0, 7, 14])[0] == "▁"
    assert curve([0, 7, 14])[-1] == "█"
    assert len(curve(range(100))) == CURVE


@pytest.mark.parametrize("page", ["queues", "jobs", "why", "help"])
@pytest.mark.parametrize("size", [(80, 24), (20, 3), (1, 1), (300, 80)])
def test_every_page_fits_every_size(page: str, size: tuple[int, int]) -> None:
    one = model(**{f"queue-{n}": n for n in range(40)})
    one.snapshot.workers = [Notice(f"w{n}", "h", n, "x", 1.0, 1.0, slots=4) for n in range(30)]
    one.page, one.queue, one.selected = page, "queue-7", "queue-39"
    made = lines(one, *size, where="memory:")
    assert len(made) == size[1]
    assert all(line.cell_len <= size[0] for line in made)
    if page == "queues" and size == (80, 24):
        assert any("queue-39" in line.plain for line in made), "the selected one is always there"
        assert any("w0" in line.plain for line in made), "many queues leave room for the workers"


# -- the looker


def test_a_store_that_fails_leaves_what_was_seen() -> None:
    link, faulty = faulty_link("memory:", FakeClock())
    looker = Looker(link, (), 1.0, lambda: None)
    assert looker.look().error == ""
    faulty.fail("counts", StoreError("the disk is gone"))
    seen = looker.look()
    assert seen.error == "the disk is gone"
    assert seen.at
    assert looker.look().error == ""
    faulty.fail("counts", KeyError("odd"))  # type: ignore[arg-type]
    assert "KeyError" in looker.look().error
    link.close()


def test_one_look_costs_few_questions() -> None:
    link, faulty = faulty_link("memory:", FakeClock())
    looker = Looker(link, (), 1.0, lambda: None)
    looker.look()
    faulty.calls.clear()
    looker.look()
    assert faulty.calls == ["counts"], "and the notes of workers and of the switch"
    looker.want(Want("q", State.READY))
    faulty.calls.clear()
    looker.look()
    assert faulty.calls == ["counts", "browse"]
    link.close()


def test_it_looks_when_wanted_and_not_while_halted() -> None:
    link, faulty = faulty_link("memory:", FakeClock())
    rung: Any = threading.Semaphore(0)
    looker = Looker(link, (), 0.005, rung.release)
    looker.start()
    for _ in range(3):
        assert rung.acquire(timeout=20)
    looker.halt(halted=True)
    looker.errand(lambda: "done")
    while looker.snapshot.said != "done":
        assert rung.acquire(timeout=20)
    while rung.acquire(timeout=0.2):
        pass
    faulty.calls.clear()
    assert not rung.acquire(timeout=0.3), "nothing is asked while it is halted"
    assert faulty.calls == []
    looker.want(Want("q", State.DEAD))
    assert rung.acquire(timeout=20), "but for what a person asks for now"
    assert looker.snapshot.want == Want("q", State.DEAD)
    assert looker.stop()
    link.close()
