"""The pytest plugin: a broker in memory, a clock that the test moves, and `drain`. Loaded by pytest wherever ropeway is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..broker import Broker
    from .clock import FakeClock
    from .draining import Drained


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it: `clock.advance(60)`."""
    from .clock import FakeClock

    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Iterator[Broker]:
    """A connection of the test's own, in memory, on the `clock`; without any configuration file."""
    from ..broker import connect

    with connect("memory:", clock=clock, name="test", config=False) as made:
        yield made


@pytest.fixture
def drain(broker: Broker) -> Callable[..., Drained]:
    """Run all that is due now in this thread, and tell what became of it: `drain()`, `drain("mails")`, `drain(until="1h")`."""
    from .draining import drain

    return lambda *queues, until=None: drain(broker, *queues, until=until)
