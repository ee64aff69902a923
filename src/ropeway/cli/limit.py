"""`limit`: how many jobs of a queue, and of each of its lanes, run at once over the whole fleet."""

from __future__ import annotations

import click

from .params import pass_session, queue_argument
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway limit thumbs --running 10            # ten at once, however many workers there are
ropeway limit thumbs --running 0             # any number again
ropeway limit mails --lane 2                 # two at once of each lane, and no order within it
ropeway limit mails --config                 # what ropeway.toml says"""


@verb("limit", example=EXAMPLE)
@queue_argument(optional=False, many=True)
@click.option("--running", type=click.IntRange(min=0), metavar="N", help="So many jobs of the queue at once; 0: any number.")
@click.option("--lane", type=click.IntRange(min=1), metavar="N", help="So many jobs of each lane at once; 1: strictly in order.")
@click.option("--config", is_flag=True, help="What the configuration says of each queue.")
@pass_session
def limit_command(session: Session, queues: tuple[str, ...], running: int | None, lane: int | None, config: bool) -> int:
    """Limit how many jobs of a queue run at once, over all workers together.

    What is not named stays as it is; with no option nothing is changed, and what holds is shown. What runs already runs on.
    """
    from .limiting import limit

    return limit(session, queues, running=running, lane=lane, config=config)
