"""What the old routes remember, on a clock of the test's own: who left without a word is forgotten, and asking fills nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.server.classic import depends, facts
from ropeway.server.classic.facts import DAY, Facts, Tally
from ropeway.server.classic.streams import Feeds
from ropeway.server.stopping import Stopping
from ropeway.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    monkeypatch.setattr(facts, "FLUSH", 0.0)
    made = Broker(Link("memory:", clock), config=False)
    yield made
    made.close()


async def written(known: Facts) -> None:
    """All that was counted is in the notes."""
    while known._flushing is not None and not known._flushing.done():
        await known._flushing


def run(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(what())


def test_a_worker_that_left_without_a_word_is_struck_off(broker: Broker, clock: FakeClock) -> None:
    async def story() -> None:
        known = Facts(broker)
        for name in ("stays", "leaves"):
            await known.tally("worker", name)
            known.touch("worker", name)
        await written(known)
        assert await known.names("worker") == ["leaves", "stays"]
        for _ in range(6):
            clock.advance(DAY / 3)
            await known.alive("stays")  # it asks for jobs, and gets none
            await known.alive("never registered")
            await written(known)
        assert await known.names("worker") == ["stays"]

    run(story)


def test_what_is_counted_while_counters_are_written_is_written_too(broker: Broker) -> None:
    async def story() -> None:
        known = Facts(broker)
        await known.count("q", processed=1)
        write = known._write

        async def slow(key: str) -> None:
            await write(key)
            if (await known.tally("counts", "q")).processed == 1:
                await known.count("q", processed=1)

        known._write = slow  # type: ignore[method-assign]
        await written(known)
        assert (await Facts(broker).look("counts", "q")).processed == 2

    run(story)


def test_looking_at_many_names_fills_nothing(broker: Broker) -> None:
    async def story() -> None:
        known = Facts(broker)
        for number in range(50):
            assert await known.look("counts", f"q{number}") == Tally()
            await known.alive(f"w{number}")
        assert not known._known

    run(story)


def test_a_stream_that_ended_leaves_nothing(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        feeds = Feeds(broker, Stopping(), Facts(broker))
        await broker.queue("q").aput(1)
        lines: AsyncIterator[bytes] = feeds.lines("q", lambda: True)
        assert b'"value":1' in await anext(lines)
        pump = feeds._pumps["q"]
        await lines.aclose()  # type: ignore[attr-defined]
        await broker.queue("q").aput(2)  # it wakes the pump, which sees that nobody reads, and gives it back
        await pump
        assert (feeds._streams, feeds._pumps, feeds._turn) == ({}, {}, {})
        assert broker.queue("q").counts().ready == 2, "the first was not written to the end, so it is back as well"

    run(story)


def test_a_note_that_is_none_keeps_nobody_waiting(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depends, "LOOK", 0.0)

    async def story() -> None:
        waiting = depends.Waiting(broker, Stopping())
        for note in (b"{", b"[]", b'{"queue": 1}', b"\xff"):
            broker.notes.note(f"classic/after/{note.hex()}", note, DAY)
        await waiting.put("q", b"1", "k,other:k", {})
        assert waiting._watch is not None
        await waiting._watch  # nobody holds these keys
        assert broker.queue("q").counts().ready == 1

    run(story)
