"""What `bridge` does: checks the address, listens, and puts until it is stopped."""

from __future__ import annotations

import signal
from typing import Any

from ..bridges.intake import Intake, place
from ..door import is_loopback
from ..errors import ConfigError
from ..log import setup
from ..names import check_name
from ..options import PutOptions
from ..queue import Queue
from ..url import hidden
from .output import say
from .session import Session
from .verdict import DONE


def bridge(session: Session, source: str, queue: str, options: dict[str, Any]) -> int:
    """Run until stopped; the exit code."""
    host, port = place(source)
    if port >= 0 and not is_loopback(host) and not options["anyone"]:
        raise ConfigError(f"whoever reaches {host} could put lines; nothing was started. Say --open if that is meant")
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    put: PutOptions = {name: options[name] for name in ("priority", "task", "ttl", "keep") if options[name] is not None}  # type: ignore[assignment]
    intake = Intake(session.link, Queue(session.link, check_name(queue)), host, port, put)
    before = [(number, signal.signal(number, lambda *_: intake.stop())) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        if not session.quiet:
            say(f"syslog at {intake.address} into {queue} of {hidden(session.link.url)}")
        intake.run()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        intake.close()
    if not session.quiet:
        say(f"{intake.put} lines put")
    return DONE
