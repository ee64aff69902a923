"""Numbers for those who watch: Prometheus, health, plain lines of text, and one report of everything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from ..broker import Broker
from ..errors import RopewayError
from ..failure import one_line
from ..metrics import CONTENT_TYPE, STATES
from ..report import report
from ..store import Counts
from ..worker.fleet.members import present
from . import asking
from .answers import said
from .counting import Till
from .doors import Call, Door
from .exposing import Seen, exposition
from .fleetwide import Fleetwide
from .grants import Role

log = logging.getLogger("ropeway.server")

PATIENCE = 5.0  # seconds for the store to answer one who asks whether it does


def doors(broker: Broker) -> list[Door]:
    """The doors of this family."""
    seen, fleet, probe = Seen(broker), Fleetwide(broker.link), Probe(broker)
    Till(broker)

    async def healthz(_: Call) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Call) -> Response:
        why = await probe.ask()
        return Response(f"not ready: {why}\n" if why else "ready\n", 503 if why else 200, media_type="text/plain")

    async def metrics(call: Call) -> Response:
        asking.query(call, ())
        text = await asyncio.to_thread(exposition, broker.link, seen, fleet, lambda queue: call.grant.may(Role.OBSERVE, queue))
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def lines(call: Call) -> Response:
        asking.query(call, ())
        counts = await _counts(broker, call)
        totals = {state: sum(getattr(one, state) for one in counts.values()) for state in STATES}
        rows = [f"{state} {number}" for state, number in totals.items()]
        rows += [f"{name}.{state} {getattr(one, state)}" for name, one in counts.items() for state in STATES]
        rows += await asyncio.to_thread(_as_resque, broker, counts, fleet, lambda queue: call.grant.may(Role.OBSERVE, queue))
        return Response("\n".join(rows) + "\n", media_type="text/plain")

    async def stats(call: Call) -> Response:
        asking.query(call, ())
        told: dict[str, Any] = {"url": broker.url, "uptime": seen.uptime()}
        told |= await asyncio.to_thread(report, broker.link, lambda queue: call.grant.may(Role.OBSERVE, queue))
        told |= {"totals": told["jobs"], "since_start": seen.since_start()}
        return said(told)

    return [
        Door("GET", "/healthz", None, healthz, open=True, says="Whether the server lives", changes=False),
        Door("GET", "/readyz", None, readyz, open=True, says="Whether its store answers, and if not, why", changes=False),
        Door("GET", "/metrics", Role.OBSERVE, metrics, says="Numbers for Prometheus", changes=False),
        Door("GET", "/stats.txt", Role.OBSERVE, lines, says="Depths, for those who grep", changes=False),
        Door(
            "GET", "/v1/stats", Role.OBSERVE, stats, says="One report: jobs, fleet, workers, queues, rates and percentiles", changes=False
        ),
    ]


class Probe:
    """Asks whether the store answers: one question at a time, however many want to know. Anybody may ask, so what exactly the store has
    said stands in the log, and not in the answer."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._asked: asyncio.Task[list[str]] | None = None
        self._why = ""

    async def ask(self) -> str:
        """Why the store is of no use at the moment; nothing when it is."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._broker.aqueues())
            self._asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())  # perhaps nobody waits any more
        why, more = "", ""
        try:
            await asyncio.wait_for(asyncio.shield(self._asked), PATIENCE)
        except TimeoutError:
            why = f"the store has not answered for {PATIENCE:g} s"
        except RopewayError as error:
            why, more = f"the store failed ({type(error).__name__}); the log of the server says how", f": {one_line(error)}"
        if why != self._why:
            self._why = why
            if why:
                log.warning("not ready: %s%s", why, more)
            else:
                log.info("ready again")
        return why


def _as_resque(broker: Broker, counts: dict[str, Counts], fleet: Fleetwide, may_see: Callable[[str], bool]) -> list[str]:
    """The lines of Resque's stats.txt, so that what reads those goes on; a + says that the number is a counter."""
    ends = [sums for (queue, _), sums in fleet.totals().items() if may_see(queue)]
    waiting = {name: one.ready + one.delayed for name, one in counts.items()}
    there = present(broker.store)
    return [
        f"resque.pending={sum(waiting.values())}",
        f"resque.processed+={sum(sums.done + sums.failed + sums.dead for sums in ends)}",
        f"resque.failed+={sum(sums.failed + sums.dead for sums in ends)}",
        f"resque.workers={len(there)}",
        f"resque.working={len([one for one in there if one.running])}",
        *(f"queues.{name}={number}" for name, number in waiting.items()),
    ]


async def _counts(broker: Broker, call: Call) -> dict[str, Counts]:
    counts = await broker.acounts()
    return {name: counts[name] for name in call.grant.seen(list(counts)) if not name.startswith("_")}
