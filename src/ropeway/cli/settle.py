"""`ack`, `nack`, `bury`, `extend`: what becomes of a job that `get --lease` took, from any process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .output import no_lines
from .params import DURATION, duration_option, named, pass_session
from .root import verb
from .session import Session

RECEIPTS = "As `get --lease` printed them, bare or as whole JSON lines; - reads them from stdin."


def _receipts(function: Any) -> Any:
    return click.argument("receipts", metavar="RECEIPT...", nargs=-1, required=True)(function)


@verb("ack", example="ropeway get mails --lease 5m | tee job.json\nropeway ack - < job.json", epilog=RECEIPTS)
@_receipts
@click.option("--result", metavar="TEXT", help="Kept with the job if it is kept; - is stdin.")
@duration_option("--keep", help="Keep it as done for this long, instead of what its put asked for.")
@pass_session
def ack_command(session: Session, receipts: tuple[str, ...], result: str | None, keep: float | None) -> int:
    """Say that jobs are done: they leave, or stay as done for as long as they are kept."""
    import os

    from ..job import BYTES, TEXT
    from ..store import Ack
    from .reading import stdin
    from .verdict import USAGE, Failure

    if result == "-" and "-" in receipts:
        raise Failure(USAGE, "stdin cannot be both the receipts and the result; nothing was acked")
    names = named(receipts, "receipt")
    body = None if result is None else stdin().read() if result == "-" else os.fsencode(result)
    kind = "" if body is None else BYTES if result == "-" else TEXT
    return _tell(session, names, "acked", session.store.ack([Ack(name, body, kind, keep) for name in names]))


@verb("nack", example="ropeway nack RECEIPT --delay 10m --error 'smtp is busy'", epilog=RECEIPTS)
@_receipts
@duration_option("-d", "--delay", help="Due again after this; at once.")
@click.option("--error", metavar="TEXT", default="", help="Goes into the job's history.")
@click.option("--restore", is_flag=True, help="This run does not count as an attempt.")
@pass_session
def nack_command(session: Session, receipts: tuple[str, ...], delay: float | None, error: str, restore: bool) -> int:
    """Give jobs back: they are due again, now or after a delay."""
    from ..store import Handback

    names = named(receipts, "receipt")
    outcome = "failed" if error else "returned"
    backs = [Handback(name, delay or 0.0, _attempt(session, outcome, error), restore) for name in names]
    return _tell(session, names, "nacked", session.store.nack(backs))


@verb("bury", example="ropeway bury RECEIPT --reason 'no such address'", epilog=RECEIPTS)
@_receipts
@click.option("--reason", "--error", "reason", metavar="TEXT", default="", help="Why; shown by jobs and show.")
@pass_session
def bury_command(session: Session, receipts: tuple[str, ...], reason: str) -> int:
    """Give jobs up: they stay as dead until somebody requeues or deletes them."""
    from ..store import Handback

    names = named(receipts, "receipt")
    backs = [Handback(name, 0.0, _attempt(session, "discarded", reason or "buried by hand")) for name in names]
    return _tell(session, names, "buried", session.store.bury(backs))


@verb("extend", example="ropeway extend RECEIPT --lease 10m", epilog=RECEIPTS)
@_receipts
@click.option("--lease", type=DURATION, metavar="DURATION", default="30s", show_default=True, help="The lease ends this long from now.")
@pass_session
def extend_command(session: Session, receipts: tuple[str, ...], lease: float) -> int:
    """Renew leases, for a holder that needs more time."""
    names = named(receipts, "receipt")
    return _tell(session, names, "extended", session.store.extend(names, lease))


def _attempt(session: Session, outcome: str, error: str) -> Any:
    from ..failure import clean
    from ..job import Attempt

    now = session.link.clock.now()
    return Attempt(0, now, now, session.link.holder(bound=False).name, outcome, clean(error))


def _tell(session: Session, receipts: Sequence[str], what: str, answers: Sequence[bool]) -> int:
    """Say what was settled; Failure when a lease was lost."""
    from .verdict import CONFLICT, Failure

    rows = [{"receipt": receipt, what: answer} for receipt, answer in zip(receipts, answers, strict=True)]
    if not session.quiet and session.out.mode != "table":
        session.out.rows(rows, no_lines, name="receipt")
    lost = [receipt for receipt, answer in zip(receipts, answers, strict=True) if not answer]
    done = len(receipts) - len(lost)
    if lost:
        more = f" ({done} others were {what})" if done else ""
        raise Failure(
            CONFLICT,
            f"the lease of {lost[0] if len(lost) == 1 else f'{len(lost)} receipts'} is lost: it ended, or the job is settled or held by "
            f"another. Nothing was {what}{' for it' if done else ''}{more}",
        )
    session.note(f"{what} {done} job{'' if done == 1 else 's'}")
    return 0
