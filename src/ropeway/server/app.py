"""The application: all doors of one broker behind one gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import cast

from ..broker import Broker
from ..names import shown
from . import calling, classic, engine, lending, live, looking, numbers, openapi, operating, pages, putting, talking
from .doors import Door, Handler, Table
from .gate import Gate
from .grants import EVERYTHING, LOOKING, Grant
from .stopping import Stopping

audit_log = logging.getLogger("ropeway.audit")


def make_app(
    broker: Broker,
    judge: Callable[[str], Grant | None],
    hosts: Collection[str] = (),
    *,
    no_auth: bool = False,
    read_only: bool = False,
    stopping: Stopping | None = None,
) -> Gate:
    """The ASGI application. `judge`, `hosts`: see Gate. `no_auth`: who brings no token may do everything. `read_only`: nobody may change
    anything, whatever the token says. `stopping`: begun when the server ends, so that nobody waits in it any longer."""
    all_doors = _doors(broker, stopping or Stopping())
    if read_only:
        all_doors = [door for door in all_doors if not door.changes]
    anyone = Grant("anyone", LOOKING if read_only else EVERYTHING) if no_auth else None
    return Gate(Table(all_doors), judge, hosts, anyone=anyone, audit=_audit)


def _doors(broker: Broker, stopping: Stopping) -> list[Door]:
    known = [
        *putting.doors(broker),
        *calling.doors(broker),
        *lending.doors(broker, stopping),
        *operating.doors(broker),
        *looking.doors(broker),
        *numbers.doors(broker),
    ]
    known += live.doors(broker, stopping)
    known += openapi.doors(known)
    old = classic.doors(broker, stopping)
    root = next(door for door in old if (door.method, door.path) == ("GET", "/"))  # the page stands there too
    others = [door for door in old if door is not root]
    return [*pages.doors(cast("Handler", root.handler)), *known, *engine.doors(broker, stopping), *others, *talking.doors(broker, stopping)]


def _audit(grant: Grant, method: str, path: str, status: int) -> None:
    audit_log.info("%s %s by %s: %d", method, shown(path, 300), shown(grant.name), status)
