"""The ends of jobs that no worker of ours runs: claimed and settled over HTTP, they are counted here, in the server's own name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..aio import facade
from ..broker import Broker
from ..history.tally import EACH, LATE, Now, Tally
from ..store import Lent
from ..worker.fleet.notice import new_id

MOST = 100_000  # claims that are remembered; beyond that, the oldest are settled uncounted


class Out(NamedTuple):
    """A job that was lent out: of which task, when it began (boot clock), and how long it had waited; its id, and which attempt it is."""

    queue: str
    task: str
    begun: float
    waited: float
    id: str
    attempt: int


class Till:
    """Watches what is lent and settled through the awaitable side of one connection. The engine http: claims beside it, and its workers
    count for themselves."""

    def __init__(self, broker: Broker) -> None:
        link = broker.link
        self.tally = Tally(link, f"{new_id()}-http")
        self._clock = link.clock
        self._out: dict[str, tuple[str, str, float, float, str, int]] = {}  # by receipt, as Out has it: named, it costs four times as much
        self._timer: asyncio.TimerHandle | None = None
        facade(link).watch = self
        link.at_close.append(self.close)

    def lent(self, lents: Sequence[Lent]) -> None:
        """These go out."""
        now, wall, out = self._clock.boot(), self._clock.now(), self._out
        for lent in lents:
            job = lent.job
            waited = wall - job.due
            out[lent.receipt] = (job.queue, job.task, now, waited if waited > 0.0 else 0.0, job.id, lent.attempt)
        while len(out) > MOST:
            del out[next(iter(out))]

    def settled(self, verb: str, what: Sequence[Any], answers: Sequence[bool]) -> None:
        """The store has answered. `verb`: ack (of Ack), nack and bury (of Handback), or another that settles nothing."""
        if verb not in ("ack", "nack", "bury") or not self._out:
            return
        boot, tally, known = self._clock.boot(), self.tally, self._out.pop
        now: Now | None = None
        queue = task = ""
        with tally.lock:
            for one, answer in zip(what, answers, strict=True):
                out = known(one.receipt, None)
                if out is None:
                    continue
                if now is None:
                    tally.turn()
                if now is None or out[0] != queue or out[1] != task:
                    queue, task = out[0], out[1]
                    now = tally.cell(queue, task)
                if not answer:
                    now.lost += 1
                elif verb == "ack":
                    now.done += 1
                elif verb == "bury":
                    now.dead += 1
                elif one.restore or one.attempt is None:
                    now.returned += 1
                    continue
                else:
                    now.failed += 1
                now.runs.append(boot - out[2])
                now.waits.append(out[3])
        if now is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EACH + LATE, self._beat)

    def known(self, receipt: str) -> Out | None:
        """Whose claim this is, while it is out. From any thread."""
        found = self._out.get(receipt)
        return None if found is None else Out(*found)

    def _beat(self) -> None:
        self._timer = None
        asyncio.get_running_loop().run_in_executor(None, self.tally.write)

    def close(self) -> None:
        """The connection ends: what was counted is written."""
        self.tally.close()
