"""Publishing to a durable group, beside a put of the same body into a plain queue and beside what the engine has bare, in turn.

    ./dev bench --groups dir: sqlite: redis://127.0.0.1/0 postgresql://postgres@127.0.0.1/postgres mysql://root@127.0.0.1/test

The floor is the put: a message for a group is a job. Bare: Redis XADD to a stream, PostgreSQL NOTIFY (which keeps nothing). One by one
and 100 at a time from one thread; and from 100 tasks of an event loop, each of which awaits one message at a time. Ratios are medians of
those of each round.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .topics import BODY, SECONDS, TOPIC

TASKS = 100
WAYS = ("one by one", "100 at a time", f"{TASKS} tasks")

Way = Callable[[], int]  # does some, and says how many


def main(urls: list[str], above: str, rounds: int) -> int:
    """Print a row for each engine and way."""
    print(f"{'to one durable group, messages/s':34} {'publish':>9} {'put':>9} {'ratio':>6} {'bare':>9} {'ratio':>6}")
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=above) as folder:
        for url in urls or ["dir:", "sqlite:"]:
            scheme, _, rest = url.partition(":")
            with ways(url if rest else f"{scheme}:{folder}/{scheme}") as (publishing, putting), BARE.get(scheme, nothing)(url) as bare:
                for way in WAYS:
                    row([publishing[way], putting[way], bare.get(way)], f"{scheme}, {way}", rounds)
    return 0


def row(measured: list[Way | None], what: str, rounds: int) -> None:
    rates: list[list[float]] = [[rate(way) for way in measured if way is not None] for _ in range(rounds)]
    columns = list(zip(*rates, strict=True))
    own = columns[0]
    text = f"{what:34} {statistics.median(own):>9,.0f}"
    for other in columns[1:]:
        ratio = statistics.median(one / two for one, two in zip(own, other, strict=True))
        text += f" {statistics.median(other):>9,.0f} {ratio:>6.2f}"
    print(text, flush=True)


def rate(way: Way) -> float:
    """So many a second."""
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        count += way()
    return count / (time.perf_counter() - begun)


@contextmanager
def ways(url: str) -> Iterator[tuple[dict[str, Way], dict[str, Way]]]:
    """Publishing and putting, each in every way."""
    from ropeway.broker import Broker
    from ropeway.link import Link

    broker = Broker(Link(url), config=False)
    queue, topic = broker.queue("bench-plain"), broker.topic(TOPIC)
    broker.groups.put("bench", [TOPIC])
    some = [BODY] * 100
    with asyncio.Runner() as runner:

        def awaited(one: Callable[[bytes], Any]) -> Way:
            async def all_of_them() -> None:
                async def several() -> None:
                    for _ in range(10):
                        await one(BODY)

                await asyncio.gather(*(several() for _ in range(TASKS)))

            def go() -> int:
                runner.run(all_of_them())
                return 10 * TASKS

            return go

        publishing = ways_of(lambda: topic.publish(BODY), lambda: topic.publish_many(some), awaited(topic.apublish))
        putting = ways_of(lambda: queue.put(BODY), lambda: queue.put_many(some), awaited(queue.aput))
        try:
            yield publishing, putting
        finally:
            broker.groups.delete("bench")
            queue.purge()
            broker.close()


def ways_of(one: Callable[[], object], hundred: Callable[[], object], awaited: Way | None = None) -> dict[str, Way]:
    def single() -> int:
        one()
        return 1

    def many() -> int:
        hundred()
        return 100

    made: dict[str, Way] = {WAYS[0]: single, WAYS[1]: many}
    return made if awaited is None else {**made, WAYS[2]: awaited}


# -- bare


@contextmanager
def nothing(_: str) -> Iterator[dict[str, Way]]:
    yield {}


@contextmanager
def stream(url: str) -> Iterator[dict[str, Way]]:
    import redis

    client = redis.Redis.from_url(url.partition("?")[0])

    def many() -> None:
        pipe = client.pipeline(transaction=False)
        for _ in range(100):
            pipe.xadd("bench-stream", {"body": BODY})
        pipe.execute()

    try:
        yield ways_of(lambda: client.xadd("bench-stream", {"body": BODY}), many)
    finally:
        client.delete("bench-stream")
        client.close()


@contextmanager
def notify(url: str) -> Iterator[dict[str, Way]]:
    import psycopg

    connection, text = psycopg.connect(url.partition("?")[0], autocommit=True), BODY.decode()

    def one() -> None:
        connection.execute("select pg_notify('bench_bare', %s)", (text,))

    def many() -> None:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany("select pg_notify('bench_bare', %s)", [(f"{text}{number}",) for number in range(100)])

    try:
        yield ways_of(one, many)
    finally:
        connection.close()


BARE = {"redis": stream, "postgresql": notify}
