"""`stats`: what was done lately and how long it took, how the queues stand, and who works."""

from __future__ import annotations

import click

from .params import complete_queue, pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway stats
ropeway stats 'mail*' -o json | jq '.queues[].windows["1h"].wait_p95'"""


@verb("stats", example=EXAMPLE)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1, shell_complete=complete_queue)
@pass_session
def stats_command(session: Session, patterns: tuple[str, ...]) -> int:
    """Show rates and latencies over 5 minutes, an hour and a day, by queue.

    WAIT is how long jobs waited from their due until they began, RUN how long they took: the median, and what 95 of 100 stay below. Workers
    write their numbers down once a minute. As JSON it is one report of everything that is counted, the workers one by one among it.
    """
    from .counting import show_stats

    return show_stats(session, patterns)
