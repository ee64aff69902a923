"""Numbers for those who watch: Prometheus, health, and plain lines of text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from threading import Lock
from typing import Any

from starlette.responses import Response

from ..broker import Broker
from ..errors import RopewayError
from ..events import Event
from ..store import Counts
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Grant, Role

STATES = ("ready", "delayed", "running", "dead", "done")


class Tally:
    """What this server has seen happen since it started: one counter for each queue and verb, fed by the events of its connection."""

    def __init__(self, broker: Broker) -> None:
        self._lock = Lock()
        self.events: dict[tuple[str, str], int] = {}
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        broker.on(self.see)

    def see(self, event: Event) -> None:
        with self._lock:
            key = (event.name, event.queue)
            self.events[key] = self.events.get(key, 0) + (0 if event.error else event.count)
            self.seconds[event.name] = self.seconds.get(event.name, 0.0) + event.seconds
            self.calls[event.name] = self.calls.get(event.name, 0) + 1
            if event.error:
                self.failed[event.name] = self.failed.get(event.name, 0) + 1


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    tally = Tally(broker)
    started = broker.link.clock.boot()

    async def healthz(_: Call) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Call) -> Response:
        try:
            await asyncio.wait_for(broker.aqueues(), 5.0)
        except (RopewayError, TimeoutError):
            return Response("the store does not answer\n", 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    async def metrics(call: Call) -> Response:
        asking.query(call, ())
        counts = await _seen(broker, call)
        now = broker.link.clock.now()
        lines = [*_depths(counts, now), *_tallied(tally, call.grant)]
        return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def lines(call: Call) -> Response:
        asking.query(call, ())
        counts = await _seen(broker, call)
        totals = {state: sum(getattr(one, state) for one in counts.values()) for state in STATES}
        rows = [f"{state} {number}" for state, number in totals.items()]
        rows += [f"{name}.{state} {getattr(one, state)}" for name, one in counts.items() for state in STATES]
        return Response("\n".join(rows) + "\n", media_type="text/plain")

    async def stats(call: Call) -> Response:
        asking.query(call, ())
        counts = await _seen(broker, call)
        totals = {state: sum(getattr(one, state) for one in counts.values()) for state in STATES}
        seen = {
            name: sum(count for (verb, _), count in tally.events.items() if verb == name)
            for name in ("put", "claim", "ack", "nack", "bury")
        }
        row: dict[str, Any] = {"url": broker.url, "uptime": broker.link.clock.boot() - started, "totals": totals, "since_start": seen}
        return said(row)

    return [
        Door("GET", "/healthz", None, healthz, open=True, says="Whether the server lives", changes=False),
        Door("GET", "/readyz", None, readyz, open=True, says="Whether its store answers", changes=False),
        Door("GET", "/metrics", Role.OBSERVE, metrics, says="Numbers for Prometheus", changes=False),
        Door("GET", "/stats.txt", Role.OBSERVE, lines, says="The same for those who grep", changes=False),
        Door("GET", "/v1/stats", Role.OBSERVE, stats, says="Totals, and what happened since the start", changes=False),
    ]


async def _seen(broker: Broker, call: Call) -> dict[str, Counts]:
    counts = await broker.acounts()
    return {name: counts[name] for name in call.grant.seen(list(counts)) if not name.startswith("_")}


def _depths(counts: dict[str, Counts], now: float) -> Iterable[str]:
    yield "# HELP ropeway_jobs Jobs by queue and state."
    yield "# TYPE ropeway_jobs gauge"
    for name, one in counts.items():
        for state in STATES:
            yield f'ropeway_jobs{{queue="{name}",state="{state}"}} {getattr(one, state)}'
    yield "# HELP ropeway_oldest_seconds How long the job that is due first has waited."
    yield "# TYPE ropeway_oldest_seconds gauge"
    for name, one in counts.items():
        yield f'ropeway_oldest_seconds{{queue="{name}"}} {max(0.0, now - one.oldest) if one.oldest is not None else 0:.3f}'
    yield "# HELP ropeway_stopped Whether a switch of the queue is off."
    yield "# TYPE ropeway_stopped gauge"
    for name, one in counts.items():
        yield f'ropeway_stopped{{queue="{name}",switch="put"}} {int(one.put_stopped is not None)}'
        yield f'ropeway_stopped{{queue="{name}",switch="claim"}} {int(one.claim_stopped is not None)}'


def _tallied(tally: Tally, grant: Grant) -> Iterable[str]:
    yield "# HELP ropeway_events_total Jobs that went through this server, by verb and queue."
    yield "# TYPE ropeway_events_total counter"
    for (verb, queue), count in sorted(tally.events.items()):
        if queue and not grant.may(Role.OBSERVE, queue):
            continue
        yield f'ropeway_events_total{{verb="{verb}",queue="{queue}"}} {count}'
    yield "# HELP ropeway_store_seconds Time spent in calls of the store."
    yield "# TYPE ropeway_store_seconds summary"
    for verb in sorted(tally.calls):
        yield f'ropeway_store_seconds_sum{{verb="{verb}"}} {tally.seconds[verb]:.6f}'
        yield f'ropeway_store_seconds_count{{verb="{verb}"}} {tally.calls[verb]}'
    yield "# HELP ropeway_store_failures_total Calls of the store that failed."
    yield "# TYPE ropeway_store_failures_total counter"
    for verb, count in sorted(tally.failed.items()):
        yield f'ropeway_store_failures_total{{verb="{verb}"}} {count}'
