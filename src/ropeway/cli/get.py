"""`get` and `peek`: jobs out of a queue, into the shell."""

from __future__ import annotations

import click

from .params import duration_option, pass_session, queue_argument, state_option
from .root import verb
from .session import Session

GET_EXAMPLE = """\
ropeway get mails --raw                             # the body of the next job, byte for byte
ropeway get mails --lease 1m -o json -t 10s         # with a receipt: settle it with ack, nack or bury
ropeway get mails --follow --lines | while read -r line; do ...; done"""

_FORMS = (
    click.option("--raw", "form", flag_value="raw", help="Bodies only, byte for byte, nothing between them."),
    click.option("--lines", "form", flag_value="lines", help="Bodies only, a line end after each."),
    click.option("-0", "--null", "form", flag_value="null", help="Bodies only, a NUL byte after each."),
)


def _forms(function: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(_FORMS):
        function = option(function)
    return function


@verb("get", example=GET_EXAMPLE)
@queue_argument()
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", help="How many at most; 1.")
@duration_option(
    "--lease", help="Lend them for this long and print receipts (-o id: only these). Without it, each is acked once it is written out."
)
@duration_option("-t", "--wait", help="Wait this long for the first one.")
@click.option("--follow", is_flag=True, help="Go on with each that comes, until interrupted (or -n are taken).")
@_forms
@click.option(
    "--to-dir",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Each body into a file of its own there, named by the job's id; prints the paths.",
)
@click.option("--id", "ids", multiple=True, metavar="ID", help="This job, whatever its moment; more than once for more.")
@pass_session
def get_command(session: Session, **options: object) -> int:
    """Take jobs out of a queue and print them.

    Without --lease a job is done once it is written out: if the reader goes away before that, it is given back. With --lease the
    receipts work from any process, until the lease ends, whatever becomes of this one. Exit 3 when there is nothing, 4 when the
    queue is switched off. Without a QUEUE, $ROPEWAY_QUEUE is meant, else `default`.
    """
    from .getting import Getting
    from .signals import termination

    with termination():
        return Getting(session, options).run()


@verb("peek", example="ropeway peek mails -n 3\nropeway peek mails --state dead --raw")
@queue_argument()
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", default=1, help="How many at most; 1.")
@state_option(help="Look at jobs in this state; ready.")
@_forms
@pass_session
def peek_command(session: Session, queue: str, count: int, states: tuple[str, ...], form: str | None) -> int:
    """Look at the next jobs of a queue, and change nothing."""
    from ..store import Query
    from .looking import states_of
    from .verdict import DONE, NOTHING
    from .writer import Writer

    entries = session.store.browse(Query(queues=(queue,), states=states_of(states or ("ready",)), limit=count))
    writer = Writer(session, form)
    with writer.listing():
        for entry in entries:
            writer.write(entry.job, entry.attempts)
    if not entries:
        session.note(f"no {' or '.join(states) or 'ready'} job in {queue}")
    return DONE if entries else NOTHING
