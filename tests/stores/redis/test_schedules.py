"""Schedules through the death of the server: it is killed and started again under workers, and each tick has one job all the same."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest

import ropeway

from .conftest import Serve


def until(done: object, limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.timeout(200)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_ticks_of_an_outage_are_caught_up_once_each(serve: Serve) -> None:
    server = serve(appendonly="yes", appendfsync="always")
    broker = ropeway.connect(server.url, config=False)
    ran: dict[str, set[str]] = {}

    @broker.cron("every 1s", catch_up="all")
    @broker.task(queue="q")
    def beat() -> None:
        claim = ropeway.current_claim()
        assert claim is not None
        ran.setdefault(claim.headers["ropeway-tick"], set()).add(claim.id)

    workers = [broker.worker("q", grace=1) for _ in range(3)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(ran) >= 2)
        for _ in range(2):
            seen = len(ran)
            server.kill()
            gone = datetime.now().astimezone()
            until(lambda: datetime.now().astimezone() - gone > timedelta(seconds=3))  # noqa: B023 - asked at once
            server.start()
            until(lambda: len(ran) >= seen + 5)  # noqa: B023
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(60)
        broker.close()
    assert all(len(ids) == 1 for ids in ran.values()), ran
    moments = sorted(datetime.fromisoformat(tick) for tick in ran)[:-3]  # of the last ones, one may have come before the other
    assert moments[-1] - moments[0] == timedelta(seconds=len(moments) - 1), "each tick of the outage was caught up"
