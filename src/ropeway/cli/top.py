"""`top`: the queues, the workers and the failures, live on the whole terminal."""

from __future__ import annotations

import click

from .params import complete_queue, duration_option, pass_session
from .root import verb
from .session import Session


@verb(
    "top",
    example="ropeway top\nropeway top 'mail*' --interval 5s\nropeway top | head                  # not a terminal: one table, and the end",
)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1, shell_complete=complete_queue)
@click.option("-a", "--all", "own", is_flag=True, help="Also ropeway's own queues, whose names start with _.")
@duration_option("-i", "--interval", default=1.0, help="How long between two looks at the store; 1s, at least 0.2s.")
@pass_session
def top_command(session: Session, patterns: tuple[str, ...], own: bool, interval: float) -> int:
    """Watch the queues, the workers and the failures, live on the whole terminal.

    q quits, p stops looking, s sorts, Enter shows the jobs of a queue and why one does not run, Space pauses a queue or resumes it, ? tells
    all keys. The store is looked at once an interval, by one look at a time. Not on a terminal it prints one table.
    """
    from .live import top

    return top(session, patterns, interval, own=own)
