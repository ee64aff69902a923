"""What `work` does: makes a worker out of the options, and runs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..log import setup
from ..names import check_patterns
from ..retry import Retry
from .output import is_terminal
from .params import default_queue
from .session import Session
from .verdict import USAGE, Failure

if TYPE_CHECKING:
    from ..broker import Broker
    from ..worker import CommandRunner


def work(session: Session, command: list[str] | None, options: dict[str, Any]) -> int:
    """Run a worker; the exit code is its own."""
    _check(command, options)
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    more: dict[str, Any] = {name: options[name] for name in ("concurrency", "lease", "grace", "max_jobs") if options[name] is not None}
    more |= {"drain": options["drain"], "progress": options["progress"] and is_terminal(sys.stderr) and not session.quiet}
    retry = {name: options[key] for name, key in (("attempts", "retries"), ("base", "backoff")) if options[key] is not None}
    if retry:
        more["retry"] = Retry(**retry)
    patterns = options["queues"] or (default_queue(),)
    if options["app"]:
        return _broker(session, options["app"]).worker(*patterns, **more).run()
    from ..worker import Worker

    settings = {**session.config.worker.options(), **more, "pool": _runner(command or [], options)}
    settings.setdefault("concurrency", 1)
    return Worker(session.link, None, check_patterns(patterns), **settings).run()


def _check(command: list[str] | None, options: dict[str, Any]) -> None:
    if bool(command) == bool(options["app"]):
        raise Failure(
            USAGE,
            "work what? Give a command behind -- or --app MODULE:BROKER, not both; nothing was started"
            if command
            else "work what? Give a command (ropeway work mails -- ./send-mail) or --app MODULE:BROKER; nothing was started",
        )
    own = [name for name in ("feed", "persistent", "timeout") if options[name]]
    if options["app"] and own:
        shown = options["feed"] if own[0] == "feed" else own[0]
        raise Failure(USAGE, f"--{shown} is for commands: a task says so where it is registered; nothing was started")


def _runner(command: list[str], options: dict[str, Any]) -> CommandRunner:
    from ..worker import CommandRunner

    return CommandRunner(command, feed=options["feed"], timeout=options["timeout"], persistent=options["persistent"])


def _broker(session: Session, where: str) -> Broker:
    """The broker that MODULE:NAME names, imported from the current folder as `python -m` does."""
    import os
    from importlib import import_module

    from ..broker import Broker

    module, colon, name = where.partition(":")
    if not module or not colon or not name:
        raise Failure(USAGE, f"{where!r} names no broker; nothing was started. Write --app MODULE:BROKER, such as shop:broker")
    if session.url:
        os.environ["ROPEWAY_URL"] = session.url
    sys.path.insert(0, os.getcwd())
    try:
        broker: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise Failure(USAGE, f"there is no module {module!r} here or on the Python path; nothing was started") from None
    for part in name.split("."):
        broker = getattr(broker, part, None)
    if not isinstance(broker, Broker):
        raise Failure(
            USAGE, f"{where} is no broker but {type(broker).__name__}; nothing was started. It must be what ropeway.connect() answers"
        )
    return broker
