"""What `call` and `reply` do: ask and print the answer; answer with what a command prints."""

from __future__ import annotations

from typing import Any

import msgspec

from ..calls.asking import NamedOptions, begin, named
from ..errors import RopewayError
from ..failure import one_line
from ..names import check_name
from ..queue import Queue
from .clean import clean
from .output import say
from .putting import headers
from .session import Session
from .verdict import DONE, FAILED, USAGE, Failure

Options = dict[str, Any]


def call(session: Session, options: Options) -> int:
    """Call, wait, print."""
    args, kwargs = _arguments(options["arguments"])
    asked: NamedOptions = {}
    if options["timeout"] is not None:
        asked["timeout"] = options["timeout"]
    if options["priority"] is not None:
        asked["priority"] = options["priority"]
    if options["headers"]:
        asked["headers"] = headers(options["headers"])
    link = session.link
    job, target, what = named(lambda name: Queue(link, name), options["queue"], options["name"], args, kwargs, asked)
    try:
        value = begin(link, job, lambda job: target.put_jobs((job,)), what).result()
    except RopewayError:
        raise
    except Exception as error:  # noqa: BLE001 - the task's own error, as the class that it was
        _traceback(session, error)
        raise Failure(FAILED, one_line(error)) from None
    _print(session, value, raw=options["raw"])
    return DONE


def _arguments(text: str | None) -> tuple[list[Any], dict[str, Any]]:
    if text is None:
        return [], {}
    if text == "-":
        from .reading import stdin

        given = stdin().read()
    else:
        given = text.encode("utf-8", "surrogateescape")
    try:
        value = msgspec.json.decode(given)
    except msgspec.DecodeError as error:
        raise Failure(USAGE, f"the arguments are no JSON: {error}; nothing was called. A text needs its quotes: '\"text\"'") from None
    if isinstance(value, dict):
        return [], value
    return (value if isinstance(value, list) else [value]), {}


def _print(session: Session, value: Any, *, raw: bool) -> None:
    out = session.out
    if raw and isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        if out.terminal:
            out.line(clean(data.decode("utf-8", "backslashreplace")))
        else:
            out.stream.write(data)
        return
    from .output import to_json

    try:
        line = to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure(FAILED, f"it was answered, but JSON cannot carry that: {error}") from None
    out.stream.write(line + b"\n")


def _traceback(session: Session, error: Exception) -> None:
    """Where it was raised, over there, if that was asked for."""
    if session.verbose:
        for line in str(getattr(error, "traceback", "")).splitlines():
            say(line)


def reply(session: Session, command: list[str] | None, options: Options) -> int:
    """Work as the server of a task."""
    from ..log import setup
    from ..retry import Retry
    from ..worker import Worker
    from ..worker.answering import ReplyRunner

    name = check_name(options["name"], "task")
    if not command:
        raise Failure(USAGE, f"reply with what? Give a command: ropeway reply {name} -- ./{name}; nothing was started")
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    more: Options = {key: options[option] for key, option in (("max_jobs", "count"), ("grace", "grace")) if options[option] is not None}
    runner = ReplyRunner(command, name, timeout=options["timeout"])
    worker = Worker(session.link, None, [options["queue"]], pool=runner, concurrency=options["jobs"] or 1, retry=Retry(1), **more)
    return worker.run()
