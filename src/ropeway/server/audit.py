"""The audit record: who has changed what, and when. Every change is a line in the log: those of operators as information, since there are
few; the going in and out of jobs for who asks for it (debug). What operators did last can be read here as well."""

from __future__ import annotations

import logging
from collections import deque

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Scope

from ..clock import Clock
from ..names import shown
from . import asking
from .answers import said
from .doors import Call, Door
from .grants import Grant, Role

log = logging.getLogger("ropeway.audit")

KEPT = 1000  # acts of operators that can be read; the log has all
LONGEST = 300  # characters of a path


class Act(Struct, frozen=True):
    """One change, or one that was refused by its handler."""

    at: float  # seconds since 1970
    who: str  # the name of the token
    method: str
    path: str
    status: int
    which: dict[str, object]  # what the body has named
    address: str


class Record:
    """What was done since the server began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._acts: deque[Act] = deque(maxlen=KEPT)

    def __call__(self, door: Door, scope: Scope, status: int) -> None:
        operator = door.role is Role.OPERATE or "ropeway.operates" in scope
        level = logging.INFO if operator else logging.DEBUG
        told = log.isEnabledFor(level)
        if not (told or operator):
            return
        grant: Grant = scope["ropeway.grant"]
        client = scope.get("client")
        act = Act(
            self._clock.now(),
            grant.name,
            door.method,
            scope["path"][:LONGEST],
            status,
            scope.get("ropeway.which", {}),
            client[0] if client else "",
        )
        if operator:
            self._acts.append(act)
        if told:
            which = "".join(f" {name}={shown(str(value), LONGEST)}" for name, value in act.which.items())
            log.log(
                level, "%s %s%s by %s at %s: %d", act.method, shown(act.path, LONGEST), which, shown(act.who), act.address or "-", status
            )

    def doors(self) -> list[Door]:
        """The doors of this family."""

        async def show(call: Call) -> Response:
            given = asking.query(call, {"limit"})
            limit = asking.number(given.get("limit", "100"), "limit", 1, KEPT)
            return said({"acts": list(reversed(self._acts))[:limit]})

        return [Door("GET", "/v1/audit", Role.OPERATE, show, says="What operators have done, the latest first", changes=False)]
