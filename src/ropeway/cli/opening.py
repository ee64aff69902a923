"""`--introspect`: the page of this very process, for commands that run for long."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from .output import say
from .session import Session

if TYPE_CHECKING:
    from ..introspection import Page

HELP = "Show what this process does, at HOST:PORT (port 0: any) or unix:PATH; see ropeway inspect."


def introspect_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option for a command that runs in the process that it was typed for: the page is there until the command ends."""
    made: Callable[..., Any] = click.option("--introspect", metavar="ADDR", expose_value=False, callback=_open, help=HELP)(function)
    return made


def _open(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001 - as click calls it
    if value and not ctx.resilient_parsing:
        session = ctx.find_object(Session)
        ctx.call_on_close(opened(value, quiet=session is not None and session.quiet).close)


def opened(addr: str, *, quiet: bool = False) -> Page:
    """The page. `{pid}` in the address stands for this process."""
    from ..introspection import introspect

    page = introspect(addr.replace("{pid}", str(os.getpid())))
    if not quiet:
        say(f"introspection of {os.getpid()} at {page.address}; its views: ropeway inspect {os.getpid()}")
    return page


def shown_anyway(stack: ExitStack) -> None:
    """What a worker keeps without a page, for those who ask by its orders: what it prints by Python's streams, and what it logs."""
    from ..sight.here import here
    from ..sight.output import Output
    from ..sight.records import Records

    me = here()
    output, me.records = Output("streams"), Records()
    output.start()
    me.printed = output
    me.records.start()
    stack.callback(output.close)
    stack.callback(me.records.stop)


def for_children(addr: str) -> str:
    """The address of a supervised worker: a port of its own, or a socket of its own beside the supervisor's."""
    if addr.startswith("unix:"):
        return f"{addr}.{{pid}}"
    host = addr.rpartition(":")[0] if ":" in addr else addr
    return f"{host}:0"
