"""Options and arguments that several commands share: names completed from the store, durations, ids and receipts from stdin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from .session import Session
from .verdict import USAGE, Failure


def pass_session(function: Callable[..., int]) -> Callable[..., int]:
    """Hand the session of this run to the command, in front of its options."""
    hand_over: Callable[..., Any] = click.make_pass_decorator(Session, ensure=True)
    passing: Callable[..., int] = hand_over(function)
    return passing


class DurationType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """Seconds out of "90", "30s", "1h30m"."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from ..durations import seconds
        from ..errors import BadValue

        if isinstance(value, float):
            return value
        try:
            return seconds(value, param.human_readable_name.strip("<>").lower() if param else "duration")
        except BadValue as error:
            return self.fail(str(error).removesuffix("; nothing was done"), param, ctx)


DURATION = DurationType()


class SizeType(click.ParamType):  # type: ignore[type-arg]
    """Bytes out of "1048576", "512M", "1.5G", "64KiB"."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        import re

        found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", str(value).strip().lower(), re.ASCII)
        size = int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " ")) if found else 0
        if size < 1:
            return self.fail(f"{value!r} is no size: write bytes, or 512M, 1.5G", param, ctx)
        return size


SIZE = SizeType()


def default_queue() -> str:
    return os.environ.get("ROPEWAY_QUEUE") or "default"


def complete_queue(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Any]:
    """The names of the queues, for the shell; none when the store cannot say."""
    from .completion import queue_names

    return queue_names(ctx, incomplete)


def queue_argument(*, optional: bool = True, many: bool = False, **more: Any) -> Callable[[Any], Any]:
    """The QUEUE argument: without it, $ROPEWAY_QUEUE or `default`."""
    shown = "QUEUE"
    if many:
        more["nargs"], shown = -1, "QUEUE..."
    elif optional:
        more["default"], shown = default_queue, "[QUEUE]"
    return click.argument("queues" if many else "queue", metavar=shown, required=not optional, shell_complete=complete_queue, **more)


def duration_option(*names: str, **more: Any) -> Callable[[Any], Any]:
    return click.option(*names, type=DURATION, metavar=more.pop("metavar", "DURATION"), **more)


STATES = ("ready", "delayed", "running", "dead", "done")


def state_option(**more: Any) -> Callable[[Any], Any]:
    """The --state option, of which several may be given."""
    more.setdefault("help", "Only jobs in this state; may be given more than once.")
    return click.option("--state", "-s", "states", multiple=True, type=click.Choice(STATES), **more)


def named(words: Sequence[str], field: str) -> list[str]:
    """What the arguments name, doubles left out. `-` reads stdin: one a line, or the JSON lines that another command printed; an
    argument may be such a line as well. `field` is what it is called there."""
    out: dict[str, None] = {}
    for word in words:
        for text in _stdin_lines() if word == "-" else (word,):
            out.update(dict.fromkeys(_names_in(text.strip(), field)))
    if words and not out:
        raise Failure(USAGE, f"no {field} on stdin; nothing was done")
    return list(out)


def _stdin_lines() -> Iterable[str]:
    from .reading import stdin

    return stdin().read().decode("utf-8", "surrogateescape").splitlines()


def _names_in(text: str, field: str) -> list[str]:
    if not text.startswith(("{", "[")):
        return text.split()
    import msgspec

    try:
        value = msgspec.json.decode(text.encode())
        names = [row[field] for row in (value if isinstance(value, list) else [value])]
        if all(isinstance(name, str) and name for name in names):
            return names
    except (msgspec.DecodeError, UnicodeEncodeError, KeyError, TypeError):
        pass
    raise Failure(
        USAGE, f"{text[:80]!r} holds no {field}; nothing was done. Give it plain, or as the JSON line that another command printed"
    )
