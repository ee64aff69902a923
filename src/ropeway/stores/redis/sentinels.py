"""Who is the primary now: asked of the sentinels, one after the other."""

from __future__ import annotations

from typing import Any

from hiredis import ReplyError
from msgspec.structs import replace

from .address import Address
from .scripts import Request
from .wire import Broken, Unreached, Wire


def primary(address: Address, timeout: float) -> tuple[str, int]:
    """Host and port of the service's primary. Raises Unreached when no sentinel knows it."""
    own = address.options
    door = replace(address, username=own.get("sentinel_username"), password=own.get("sentinel_password"), db=0)
    said: list[str] = []
    for host, port in address.hosts:
        try:
            wire = Wire(door, host, port, timeout)
        except Unreached as error:
            said.append(str(error))
            continue
        try:
            reply = _ask(wire, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service)
        except Broken as error:
            said.append(f"{host}:{port}: {error}")
            continue
        finally:
            wire.close()
        if isinstance(reply, list) and len(reply) == 2:
            return reply[0].decode(), int(reply[1])
        said.append(f"{host}:{port}: {reply if isinstance(reply, ReplyError) else f'no service {address.service!r}'}")
    raise Unreached("no sentinel names the primary: " + "; ".join(said))


def _ask(wire: Wire, *words: str) -> Any:
    wire.send(Request(None, words).packed())
    return wire.receive()
