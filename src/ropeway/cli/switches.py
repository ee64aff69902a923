"""`pause`, `resume`, `purge`: the operator's verbs on whole queues."""

from __future__ import annotations

import click

from .params import pass_session, queue_argument, state_option
from .root import verb
from .session import Session

PAUSE_EXAMPLE = """\
ropeway pause mails --reason 'smtp is down'            # jobs are taken in, none is handed out
ropeway pause '*' --put --reason 'moving house'        # none is taken in, the rest drains
ropeway pause --all --reason 'migration'               # no worker of this store starts a job, of new queues either"""

_put = click.option("--put", is_flag=True, help="The switch of taking new jobs in.")
_claim = click.option("--claim", is_flag=True, help="The switch of handing jobs out.")
_queues = queue_argument(optional=True, many=True)
_all = click.option("--all", "everything", is_flag=True, help="One switch for all of the store, and all its workers.")


@verb("pause", example=PAUSE_EXAMPLE)
@_queues
@_put
@_claim
@_all
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever something is refused, and by ls.")
@pass_session
def pause_command(session: Session, queues: tuple[str, ...], put: bool, claim: bool, everything: bool, reason: str) -> int:
    """Switch queues off: nothing is handed out, or nothing taken in.

    --claim stops handing out (this is meant when neither is given), --put refuses new jobs. What runs, goes on. With --all the workers
    claim nothing, within a second; put, and get, go on as before.
    """
    if _everything(queues, everything, put or claim):
        from ..worker.fleet import switch

        return _tell(session, "paused", switch.pause(session.link, reason))
    return _switch(session, queues, put=put or None, claim=claim or not put or None, reason=reason)


@verb("resume", example="ropeway resume mails\nropeway resume '*' --put\nropeway resume --all")
@_queues
@_put
@_claim
@_all
@pass_session
def resume_command(session: Session, queues: tuple[str, ...], put: bool, claim: bool, everything: bool) -> int:
    """Switch queues on again, by the switch that is named, or by both. --all undoes `pause --all`."""
    if _everything(queues, everything, put or claim):
        from ..worker.fleet import switch

        return _tell(session, "resumed", switch.resume(session.link))
    both = put == claim
    return _switch(session, queues, put=False if both or put else None, claim=False if both or claim else None, reason="")


def _everything(queues: tuple[str, ...], everything: bool, switches: bool) -> bool:
    """Whether all of the store is meant; Failure when it is not clear."""
    from .verdict import USAGE, Failure

    if everything and (queues or switches):
        raise Failure(USAGE, "--all is for the whole store: leave queues, --put and --claim out; nothing was switched")
    if not everything and not queues:
        raise Failure(USAGE, "which queues? Name them, or say --all; nothing was switched")
    return everything


def _tell(session: Session, what: str, told: int) -> int:
    if not session.quiet:
        text = f"{what} everything; {told} worker{'' if told == 1 else 's'} told"
        session.out.one({"all": what, "workers": told}, [text], name="all")
    return 0


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
