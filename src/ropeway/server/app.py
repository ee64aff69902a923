"""The application: all doors of one broker behind one gate."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

from ..broker import Broker
from . import (
    about,
    attention,
    calling,
    classic,
    engine,
    explaining,
    failures,
    inspecting,
    lending,
    live,
    logged,
    looking,
    numbers,
    offered,
    openapi,
    operating,
    pages,
    past,
    putting,
    steering,
    talking,
    topics,
)
from .audit import Record
from .doors import Door, Handler, Table
from .gate import Gate
from .grants import EVERYTHING, LOOKING, Grant
from .news import News
from .stopping import Stopping


def make_app(
    broker: Broker,
    judge: Callable[[str], Grant | None],
    hosts: Collection[str] = (),
    *,
    no_auth: bool = False,
    read_only: bool = False,
    stopping: Stopping | None = None,
    gate: type[Gate] = Gate,
) -> Gate:
    """The ASGI application. `judge`, `hosts`: see Gate. `no_auth`: who brings no known token may do everything. `read_only`: nobody may
    change anything, whatever the token says. `stopping`: begun when the server ends, so that nobody waits in it any longer. `gate`: one
    that knows the bearers from elsewhere."""
    record = Record(broker.link.clock)
    begins: list[Callable[[], None]] = []
    all_doors = _doors(broker, stopping or Stopping(), record, begins, read_only=read_only)
    if read_only:
        begins.clear()
        all_doors = [door for door in all_doors if not door.changes]
    anyone = Grant("anyone", LOOKING if read_only else EVERYTHING) if no_auth else None
    return gate(Table(all_doors), judge, hosts, anyone=anyone, audit=record, begins=begins)


def _doors(broker: Broker, stopping: Stopping, record: Record, begins: list[Callable[[], None]], *, read_only: bool) -> list[Door]:
    known = [
        *putting.doors(broker),
        *calling.doors(broker, stopping),
        *lending.doors(broker, stopping),
        *operating.doors(broker),
        *steering.doors(broker),
        *looking.doors(broker),
        *logged.doors(broker),
        *offered.doors(broker),
        *inspecting.doors(broker),
        *failures.doors(broker),
        *attention.doors(broker),
        *explaining.doors(broker),
        *about.doors(broker, read_only=read_only),
        *numbers.doors(broker),
        *past.doors(broker),
        *record.doors(),
    ]
    known += live.doors(broker, stopping)
    news = News(broker, stopping)
    known += topics.doors(broker, news)
    known += openapi.doors(known)
    old = classic.doors(broker, stopping, begins)
    root = next(door for door in old if (door.method, door.path) == ("GET", "/"))  # the page stands there too
    others = [door for door in old if door is not root]
    page = pages.doors(None if read_only else cast("Handler", root.handler))
    return [*page, *known, *engine.doors(broker, stopping), *others, *talking.doors(broker, stopping, news)]
