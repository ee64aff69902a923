"""`why`: what holds a job or a queue up, and what will unblock it."""

from __future__ import annotations

import click

from .params import complete_queue, pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway why 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f
ropeway jobs mails --state ready -o id | ropeway why -
ropeway why --queue mails                      # the bottleneck of a slow queue"""


@verb("why", example=EXAMPLE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "-Q",
    "--queue",
    metavar="QUEUE",
    shell_complete=complete_queue,
    help="Without an ID: what holds this queue up. With one: where it should be.",
)
@pass_session
def why_command(session: Session, ids: tuple[str, ...], queue: str | None) -> int:
    """Say why a job is not running, and what will unblock it.

    The causes come in the order of what decides; each has a code that never changes its meaning. Looking changes nothing. Exit 3 when one
    of the jobs is not in the store, 5 when the store cannot be reached.
    """
    from .explaining import explain

    return explain(session, ids, queue)
