"""For what really sleeps in a thread: a clock that stands still unless the test moves it, and a store with a queue."""

from __future__ import annotations

import pytest

from ...store import Store
from ..clock import FakeClock
from .harness import Harness, MakeJob, Open, done, put_one, take_one

PATIENCE = 60.0  # seconds of real time that only what hangs would need


class Still(Harness):
    """Time stands still."""

    @pytest.fixture
    def still(self) -> FakeClock:
        return FakeClock(autojump=False)

    @pytest.fixture
    def here(self, opener: Open, still: FakeClock, job: MakeJob) -> Store:
        """A store whose queue is there already: of one that is not yet, engines may learn by looking now and then."""
        store = opener(still)
        put_one(store, job())
        done(store, take_one(store))
        return store
