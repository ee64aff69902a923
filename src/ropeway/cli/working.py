"""What `work` does: makes a worker out of the options, and runs it."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..errors import BadValue
from ..log import setup
from ..retry import Retry
from .opening import opened, shown_anyway
from .output import is_terminal
from .params import default_queue
from .session import Session
from .verdict import USAGE, Failure

if TYPE_CHECKING:
    from ..broker import Broker
    from ..link import Link
    from ..worker import CommandRunner, Worker
    from ..worker.shell import ShellRunner


def work(session: Session, command: list[str] | None, options: dict[str, Any]) -> int:
    """Run a worker, or several under a supervisor; the exit code is its own."""
    _check(command, options)
    if options["poll"] == 0:
        options |= {"poll": None, "drain": True}
    if options["attend"]:
        from .attending import attend

        setup()
        return attend(session, options["queues"][0])
    from .manning import detached, run_one, supervise, wants_supervisor

    supervised = wants_supervisor(session, options)
    with detached(options) as started, ExitStack() as stack:
        if options["introspect"]:
            stack.callback(opened(options["introspect"], quiet=bool(session.quiet)).close)
        elif not supervised:
            shown_anyway(stack)
        setup(level="error" if session.quiet else "debug" if session.verbose else None)
        if supervised:
            return supervise(session, options, started)
        worker, link = _worker(session, command, options)
        try:
            return run_one(worker, link, options, started)
        finally:
            link.close()


def _worker(session: Session, command: list[str] | None, options: dict[str, Any]) -> tuple[Worker, Link]:
    """What is to run, and the connection that it runs on."""
    more: dict[str, Any] = {
        name: options[name] for name in ("lease", "grace", "max_jobs", "max_memory", "max_jobs_per_child") if options[name] is not None
    }
    more |= {"drain": options["drain"], "progress": options["progress"] and is_terminal(sys.stderr) and not session.quiet}
    retry = {name: options[key] for name, key in (("attempts", "retries"), ("base", "backoff")) if options[key] is not None}
    if retry:
        more["retry"] = Retry(**retry)
    patterns = options["queues"] or (default_queue(),)
    if options["lifeline"] is not None:
        more["supervisor"] = os.getppid()
    if options["app"]:
        broker = _broker(session, options["app"])
        broker.link.url = _polled(broker.link.url, options["poll"])
        pool = options["pool"] or broker.config.worker.options().get("pool")
        at_once = options["concurrency"] or (options["jobs"] if pool == "process" else None)
        if options["allow_commands"]:
            more["commands"] = _shell(session)
        more |= {name: value for name, value in (("pool", options["pool"]), ("concurrency", at_once)) if value}
        return broker.worker(*patterns, **more), broker.link
    from ..worker import Worker
    from ..worker.fleet.weights import split

    split(patterns)
    if options["jobs"] is not None:
        more["concurrency"] = options["jobs"]
    shell = _shell(session) if options["allow_commands"] else None
    settings = {**session.config.worker.options(), **more, "pool": _runner(command, options) if command else shell}
    if shell is not None:
        settings["commands"] = shell
    settings.setdefault("concurrency", 1)
    session.link.url = _polled(session.link.url, options["poll"])
    return Worker(session.link, None, patterns, **settings), session.link


def _polled(url: str, poll: float | None) -> str:
    """The URL with this poll, and not with another."""
    if poll is None:
        return url
    where, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("poll=")]
    return f"{where}?{'&'.join([*kept, f'poll={poll:g}s'])}"


def _check(command: list[str] | None, options: dict[str, Any]) -> None:
    if command and options["app"]:
        raise Failure(USAGE, "work what? Give a command behind -- or --app MODULE:BROKER, not both; nothing was started")
    if not command and not options["app"] and not options["allow_commands"]:
        raise Failure(
            USAGE,
            "work what? Give a command (ropeway work mails -- ./send-mail), --app MODULE:BROKER, or --allow-commands; nothing was started",
        )
    if not options["app"] and (
        wrong := [name for name in ("pool", "concurrency", "reload", "max_memory", "max_jobs_per_child") if options[name]]
    ):
        raise Failure(USAGE, f"--{wrong[0].replace('_', '-')} is for tasks, and so for --app; nothing was started")
    own = [name for name in ("feed", "persistent", "timeout") if options[name]]
    if own and not command:
        shown = options["feed"] if own[0] == "feed" else own[0]
        if not options["app"]:
            raise Failure(USAGE, f"--{shown} is for a command behind --: each command line has its own; nothing was started")
        raise Failure(USAGE, f"--{shown} is for commands: a task says so where it is registered; nothing was started")


def _runner(command: list[str], options: dict[str, Any]) -> CommandRunner:
    from ..worker import CommandRunner

    return CommandRunner(command, feed=options["feed"], timeout=options["timeout"], persistent=options["persistent"])


def _shell(session: Session) -> ShellRunner:
    from ..worker.shell import ShellRunner
    from .own import outputs

    session.store.queues()  # the folder is there from now on, if it is one
    return ShellRunner(outputs(session, make=True))


def _broker(session: Session, where: str) -> Broker:
    """The broker that MODULE:NAME names, imported from the current folder as `python -m` does."""
    from ..broker import Broker
    from ..worker.app import load

    if session.url:
        os.environ["ROPEWAY_URL"] = session.url
    try:
        broker = load(where)
    except BadValue as error:
        raise Failure(USAGE, str(error)) from None
    if not isinstance(broker, Broker):
        raise Failure(
            USAGE, f"{where} is no broker but {type(broker).__name__}; nothing was started. It must be what ropeway.connect() answers"
        )
    return broker
