"""A ferry with a post in the fleet, whose pool and clock the test plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropeway.link import Link
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet.members import Member, workers
from ropeway.worker.fleet.post import Post
from ropeway.worker.landing import Landing

from ..fakes import Bench


class Manned(Bench):
    """A bench with a post. `go` is what the worker's loop does once."""

    def __init__(self, link: Link, *patterns: str, slots: int = 4, **options: object) -> None:
        super().__init__(link, *patterns, slots=slots)
        self.landing = Landing(self.ferry, self.pool, self.inbox, self.shift, self.journal, 25.0)  # type: ignore[arg-type]
        self.post = Post(
            *(self.shift, self.ferry, lambda: self.pool, self.landing, self.journal, patterns or ("q",), "thread"),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        assert self.ferry.desk is not None
        self.ferry.desk.aside = lambda what: what()
        self.post.start()

    @property
    def member(self) -> Member:
        """This worker, as others see it."""
        (mine,) = [member for member in workers(self.link) if member.id == self.post.id]
        return mine

    def go(self, laps: int = 6, limit: float = 1.0) -> None:
        """Errands, orders to end, and laps; the keeper's beat between them."""
        for _ in range(laps):
            while self.landing._errands:
                self.landing._errands.popleft()()
            if self.landing._orders or self.landing._quiet:
                self.landing._obey()
            if not self.ferry.finished:
                self.ferry.lap(limit)
            self.post.beat()

    def order(self, do: str, **more: int) -> str:
        """Give an order, let the worker work, and read its answer."""
        handle = self.member.send(do, **more)
        self.go()
        entry = handle.entry()
        assert entry is not None
        assert entry.result is not None
        return entry.result.decode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link(clock: FakeClock) -> Link:
    return Link("memory:", clock)


@pytest.fixture
def manned(link: Link) -> Iterator[Callable[..., Manned]]:
    """Makes them; those that are still there at the end of the test leave."""
    made: list[Manned] = []

    def make(*patterns: str, **options: Any) -> Manned:
        made.append(Manned(link, *patterns, **options))
        return made[-1]

    yield make
    for one in made:
        one.post.leave()
