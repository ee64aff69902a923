"""`workers`: who works on this store, and orders to them."""

from __future__ import annotations

from typing import Any

import click

from .params import duration_option, pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway workers
ropeway workers --resize web-1-7203-9f2c11=8
ropeway workers --stacks web-1-7203            # the beginning of an id will do
ropeway workers --quiet all                    # before a deploy: each ends when its jobs have"""

_ONE = {
    "quiet": "Claim nothing more, run what is held, then end.",
    "stop": "End: running jobs have the grace, then they go back.",
    "stop-now": "End: running jobs go back at once.",
    "pause": "Claim nothing until --resume.",
    "resume": "Claim again.",
    "kill": "End its running jobs, as tries that failed; it goes on.",
    "stacks": "Show where every thread and asyncio task stands.",
    "ping": "Ask whether it answers.",
}


def _orders(function: Any) -> Any:
    for name in reversed(_ONE):
        function = click.option(f"--{name}", name.replace("-", "_"), multiple=True, metavar="ID", help=_ONE[name])(function)
    return function


@verb("workers", example=EXAMPLE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_orders
@click.option("--resize", multiple=True, metavar="ID=N", help="Run N jobs at once.")
@duration_option("--wait", default=10.0, help="How long to wait for an answer; 10s.")
@pass_session
def workers_command(session: Session, ids: tuple[str, ...], wait: float, **orders: tuple[str, ...]) -> int:
    """List the workers, or give them orders.

    An ID may be cut short as long as it means one worker; in an order, 'all' means them all. A worker follows an order within a second or
    so. Exit 3 when there is no such worker, 124 when one does not answer.
    """
    from .manage import give_orders, list_workers

    if any(orders.values()):
        return give_orders(session, ids, orders, wait)
    return list_workers(session, ids)
