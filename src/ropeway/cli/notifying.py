"""What `notifier` does: an address that is allowed, a bridge if one is asked for, and serving."""

from __future__ import annotations

from typing import Any

from ..broker import Broker
from ..door import address
from ..errors import ConfigError
from ..log import setup
from ..notifier import Rules, serve
from ..notifier.bridge import Bridge
from ..topics import check_patterns, check_topic
from .output import say
from .session import Session
from .verdict import DONE, USAGE, Failure

PORT = 12345
SHORTEST = 16  # characters of a token


def notifier(session: Session, options: dict[str, Any]) -> int:
    """Serve until stopped; the exit code."""
    at, token = address(options["bind"], PORT), _token(options["token_file"])
    if not at.loopback and not token:
        raise ConfigError(
            f"anyone who reaches {at} could say and hear everything; nothing was started. Give --token-file, or bind to 127.0.0.1"
        )
    if options["patterns"] and not options["topic"]:
        raise Failure(USAGE, "--hear goes with --topic; nothing was started")
    bridge = None
    if options["topic"]:
        patterns = check_patterns(options["patterns"]) if options["patterns"] else ()
        bridge = Bridge(Broker(session.link), check_topic(options["topic"]), patterns)
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    told = f", joined with topic {options['topic']} of {bridge.url}" if bridge is not None else ""
    hub = serve(at, Rules(token=token, clients=options["connections"]), bridge, lambda where: say(f"lines at {where}{told}"))
    if not session.quiet:
        say(f"{hub.lines} lines passed on; {hub.missed} missed by slow readers, {hub.cut} of whom were cut")
    return DONE


def _token(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {path} cannot be read: {error}; nothing was started") from None
    if len(token) < SHORTEST or not token.isprintable():
        raise ConfigError(f"{path} holds no token: one line of {SHORTEST} characters or more; nothing was started")
    return token
