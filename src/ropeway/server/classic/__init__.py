"""The routes of the HTTP queues of old, presque and RestMQ, so that workers written for those run unchanged: a job model older than leases.

Here a job is taken and gone in one request. It is lent out all the same, and acked once its answer has been written to a connection that is
still open, so what a client hangs up on comes back. "Closed" and "empty" are both 404, as ever; the header Ropeway-State tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable

from ...broker import Broker
from ..doors import Door
from ..stopping import Stopping
from . import commands, depends, facts, streams, taking, telling, workers

__all__ = ["doors"]


def doors(broker: Broker, stopping: Stopping, begins: list[Callable[[], None]]) -> list[Door]:
    """The doors of all families; they share what is counted and what streams. `begins`: what is called when the server starts is added."""
    known = facts.Facts(broker)
    waiting = depends.Waiting(broker, stopping)
    begins.append(waiting.begin)
    feeds = streams.Feeds(broker, stopping, known)
    return [
        *taking.doors(broker, known, waiting, feeds),
        *telling.doors(broker, known, waiting),
        *workers.doors(known),
        *streams.doors(feeds, known),
        *commands.doors(broker, known),
    ]
