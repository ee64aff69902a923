"""Serving: the socket, the event loop, and the end by a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from ..door import Address, listen
from .bridge import Bridge
from .hub import Hub, Rules

BACKLOG = 4096
LINGER = 5.0  # seconds for what was told to go out at the end


def serve(at: Address, rules: Rules, bridge: Bridge | None, ready: Callable[[str], None]) -> Hub:
    """Serve until SIGTERM or SIGINT; what was counted. `ready` is told the address once it is open. ConfigError when it cannot be."""
    _more_descriptors()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(at, rules, bridge, ready))


async def _serve(at: Address, rules: Rules, bridge: Bridge | None, ready: Callable[[str], None]) -> Hub:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    hub = Hub(rules, bridge.said if bridge is not None else None)
    door = listen(at, BACKLOG)
    server = await loop.create_server(hub.client, sock=door, backlog=BACKLOG)
    try:
        if bridge is not None:
            bridge.start(hub)
        ready(str(at if at.path else Address(at.host, door.getsockname()[1])))
        await stopped.wait()
    finally:
        server.close()
        if bridge is not None:
            await asyncio.to_thread(bridge.close)
        hub.close()
        end = loop.time() + LINGER
        while hub.anybody and loop.time() < end:
            await asyncio.sleep(0.01)
    return hub


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


def _more_descriptors() -> None:
    """As many connections as this process may have at all."""
    try:
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ImportError, OSError, ValueError):
        return
