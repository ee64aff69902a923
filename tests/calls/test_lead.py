"""One sleeps for all: who leads, who takes over, and how it ends."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from ropeway.calls.lead import Lead, Slip
from ropeway.clock import SYSTEM

from .conftest import LONG, until


class Post:
    """A place where letters come in, and one sleeper."""

    def __init__(self) -> None:
        self.bell = threading.Event()
        self.letters: deque[tuple[str, str]] = deque()
        self.waiting: dict[str, tuple[Slip, list[str]]] = {}
        self.sleepers = self.most = self.laps = 0
        self.awaited = 0
        self.lead = Lead(SYSTEM, self.lap, lambda: self.awaited > 0, self.bell.set, "test-lead")

    def lap(self, left: float) -> None:
        self.sleepers += 1
        self.laps += 1
        self.most = max(self.most, self.sleepers)
        self.bell.wait(min(left, 20))
        self.bell.clear()
        self.sleepers -= 1
        while self.letters:
            who, letter = self.letters.popleft()
            slip, box = self.waiting[who]
            box.append(letter)
            slip.ring()

    def send(self, who: str, letter: str) -> None:
        self.letters.append((who, letter))
        self.bell.set()

    def wait(self, who: str, timeout: float = LONG) -> list[str]:
        slip, box = self.waiting.setdefault(who, (Slip(), []))
        self.lead.wait(slip, lambda: bool(box), SYSTEM.boot() + timeout)
        return box


def test_one_sleeps_and_all_hear() -> None:
    post, got = Post(), {}
    names = [f"n{n}" for n in range(8)]
    threads = [threading.Thread(target=lambda who=who: got.update({who: post.wait(who)})) for who in names]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    until(lambda: len(post.waiting) == 8 and post.lead._leading)
    for who in names:
        post.send(who, f"to {who}")
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert got == {who: [f"to {who}"] for who in names}
    assert post.most == 1


def test_many_rounds_lose_nobody() -> None:
    post, wrong = Post(), []

    def caller(who: str) -> None:
        for n in range(300):
            _, box = post.waiting.setdefault(who, (Slip(), []))
            post.send(who, str(n))
            if post.wait(who, 20) != [str(n)]:
                wrong.append((who, n))
                return
            box.clear()

    threads = [threading.Thread(target=caller, args=(f"c{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert not wrong
    assert post.most == 1


def test_those_who_cannot_lead_are_led_for() -> None:
    post = Post()
    slip, box = post.waiting.setdefault("loop", (Slip(), []))
    post.awaited = 1
    post.lead.help()
    until(lambda: post.sleepers)
    thread = threading.Thread(target=post.wait, args=("thread",))
    thread.start()
    until(lambda: post.lead._followers)
    post.send("loop", "one")
    assert slip.wait(LONG)
    assert box == ["one"]
    post.awaited = 0
    post.send("thread", "two")
    thread.join(LONG)
    assert not thread.is_alive()
    until(lambda: not post.lead._leading)
    post.lead.close()


def test_the_thread_takes_over_from_one_who_leaves() -> None:
    post = Post()
    leader = threading.Thread(target=post.wait, args=("first",))
    leader.start()
    until(lambda: post.sleepers)
    slip, _ = post.waiting.setdefault("loop", (Slip(), []))
    post.awaited = 1
    post.lead.help()
    post.send("first", "done")
    leader.join(LONG)
    post.send("loop", "late")
    assert slip.wait(LONG)
    post.awaited = 0
    post.lead.close()


def test_closing_sends_everybody_home() -> None:
    post, got = Post(), []
    threads = [threading.Thread(target=lambda who=who: got.append(post.wait(who))) for who in "abc"]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    until(lambda: len(post.waiting) == 3 and post.sleepers)
    post.lead.close()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert got == [[], [], []]
    assert post.wait("d") == []


def test_what_leading_raises_is_raised_to_the_leader_and_the_next_one_leads() -> None:
    post = Post()
    lap, failed = post.lap, threading.Event()

    def broken(left: float) -> None:
        if not failed.is_set():
            until(lambda: post.lead._followers)
            failed.set()
            raise RuntimeError("the floor gave way")
        lap(left)

    post.lead._lap = broken
    got: list[Any] = []

    def first() -> None:
        with pytest.raises(RuntimeError, match="floor"):
            post.wait("first")
        got.append("raised")

    one = threading.Thread(target=first)
    one.start()
    until(lambda: post.lead._leading)
    two = threading.Thread(target=lambda: got.append(post.wait("second")))
    two.start()
    one.join(LONG)
    until(lambda: post.sleepers)
    post.send("second", "well")
    two.join(LONG)
    assert got == ["raised", ["well"]]
