"""`pause`, `resume`, `purge`: the operator's verbs on whole queues."""

from __future__ import annotations

import click

from .params import pass_session, queue_argument, state_option
from .root import verb
from .session import Session

PAUSE_EXAMPLE = """\
ropeway pause mails --reason 'smtp is down'            # jobs are taken in, none is handed out
ropeway pause '*' --put --reason 'moving house'        # none is taken in, the rest drains"""

_put = click.option("--put", is_flag=True, help="The switch of taking new jobs in.")
_claim = click.option("--claim", is_flag=True, help="The switch of handing jobs out.")


@verb("pause", example=PAUSE_EXAMPLE)
@queue_argument(optional=False, many=True)
@_put
@_claim
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever something is refused, and by ls.")
@pass_session
def pause_command(session: Session, queues: tuple[str, ...], put: bool, claim: bool, reason: str) -> int:
    """Switch queues off: nothing is handed out, or nothing taken in.

    --claim stops handing out (this is meant when neither is given), --put refuses new jobs. What runs, goes on.
    """
    return _switch(session, queues, put=put or None, claim=claim or not put or None, reason=reason)


@verb("resume", example="ropeway resume mails\nropeway resume '*' --put")
@queue_argument(optional=False, many=True)
@_put
@_claim
@pass_session
def resume_command(session: Session, queues: tuple[str, ...], put: bool, claim: bool) -> int:
    """Switch queues on again, by the switch that is named, or by both."""
    both = put == claim
    return _switch(session, queues, put=False if both or put else None, claim=False if both or claim else None, reason="")


def _switch(session: Session, patterns: tuple[str, ...], *, put: bool | None, claim: bool | None, reason: str) -> int:
    from .looking import named_queues
    from .rows import queue_row, queue_table
    from .verdict import NOTHING, Failure

    names = named_queues(session, patterns)
    if not names:
        raise Failure(NOTHING, f"no queue fits {' '.join(patterns)}; nothing was switched. See: ropeway ls")
    session.store.pause(names, put=put, claim=claim, reason=reason)
    if not session.quiet:
        queues = list(session.store.counts(names).items())
        now = session.link.clock.now()
        session.out.rows((queue_row(*queue) for queue in queues), lambda _: queue_table(queues, now), name="queue")
    return 0


@verb("purge", example="ropeway purge mails\nropeway purge mails --state dead -y")
@queue_argument(optional=False)
@state_option(help="Only jobs in this state; may be given more than once. Else all but the running ones.")
@pass_session
def purge_command(session: Session, queue: str, states: tuple[str, ...]) -> int:
    """Remove all jobs of a queue but the running ones. Asks for the name; -y says yes beforehand, and is needed without a terminal."""
    from ..names import check_name
    from ..store import Query
    from .looking import states_of
    from .verdict import FAILED, USAGE, Failure

    check_name(queue)
    if "running" in states:
        raise Failure(USAGE, "running jobs cannot be purged; nothing was removed. cancel asks their workers to stop them")
    if not session.yes:
        if not session.can_ask():
            raise Failure(USAGE, f"purge removes the jobs of {queue} for good: add -y to say so; nothing was removed")
        counts = session.store.counts([queue])[queue]
        count = sum(getattr(counts, state) for state in states or ("ready", "delayed", "dead", "done"))
        if session.ask(f"this removes {count:,} jobs for good. Type the name of the queue to go on:") != queue:
            raise Failure(FAILED, f"that is not {queue}; nothing was removed")
    removed = session.store.delete(Query(queues=(queue,), states=states_of(states), limit=None))
    if not session.quiet:
        session.out.one({"queue": queue, "purged": removed}, [f"removed {removed:,} jobs of {queue}"], name="queue")
    return 0
