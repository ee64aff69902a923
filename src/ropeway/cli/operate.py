"""`requeue`, `delete`, `cancel`, `move`: the operator's verbs on jobs, by id or by filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .params import complete_queue, duration_option, pass_session, state_option
from .root import verb
from .session import Session

MOVE_EXAMPLE = """\
ropeway move 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f --top            # the next one out
ropeway move --queue mails --grep ada --to slow-mails"""

_OPTIONS = (
    click.argument("ids", metavar="[ID]...", nargs=-1),
    click.option(
        "-Q",
        "--queue",
        "queues",
        multiple=True,
        metavar="QUEUE",
        shell_complete=complete_queue,
        help="Jobs of this queue; a glob means several.",
    ),
    state_option(),
    click.option("--error", metavar="TEXT", default="", help="Only jobs with this text in their last error."),
    click.option("--grep", "text", metavar="TEXT", default="", help="Only jobs with this text in body, key or headers."),
    click.option("--task", metavar="NAME", default="", help="Only jobs that run this task."),
    click.option("--key", metavar="KEY", default="", help="Only jobs with this unique key."),
    click.option("--lane", metavar="LANE", default="", help="Only jobs of this lane."),
    click.option("--dry-run", is_flag=True, help="List what it would be done to; change nothing."),
)


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@verb("requeue", example="ropeway requeue --queue mails --state dead --error 'SMTP 4'\nropeway jobs --grep ada -o id | ropeway requeue -")
@_selection
@pass_session
def requeue_command(session: Session, **which: Any) -> int:
    """Make jobs ready now, with their attempts at zero.

    By filter: the dead ones, unless --state says done or delayed. By id: whichever of these they are. - reads ids from stdin.
    """
    from .operating import requeue

    return requeue(session, which)


@verb("delete", example="ropeway delete 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f\nropeway delete --queue mails --state dead --dry-run")
@_selection
@pass_session
def delete_command(session: Session, **which: Any) -> int:
    """Remove jobs, in any state but running. Exit 6 for one that runs."""
    from .operating import delete

    return delete(session, which)


@verb("cancel", example="ropeway cancel 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f")
@_selection
@pass_session
def cancel_command(session: Session, **which: Any) -> int:
    """Call jobs back, waiting or running.

    One that waits is removed, the worker of one that runs is asked to stop it. Exit 6 for one that has ended.
    """
    from .operating import cancel

    return cancel(session, which)


@verb("move", example=MOVE_EXAMPLE)
@_selection
@click.option("--to", metavar="QUEUE", shell_complete=complete_queue, help="Into this queue; each gets a new id there.")
@click.option("--top", is_flag=True, help="Next one out; of several, in the order given.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), metavar="N", help="To this priority, keeping when it is due.")
@duration_option("-d", "--delay", help="Due this long from now.")
@pass_session
def move_command(session: Session, to: str | None, top: bool, priority: int | None, delay: float | None, **which: Any) -> int:
    """Move waiting jobs: to the top, to another priority or moment, to another queue.

    Dead jobs can be moved to another queue as well, where they are ready again.
    """
    from .operating import move

    return move(session, which, to=to, top=top, priority=priority, delay=delay)
