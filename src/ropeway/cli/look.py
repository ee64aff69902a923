"""`ls` and `jobs`: how the queues stand, and what is in them. Looking changes nothing."""

from __future__ import annotations

import click

from .params import complete_queue, pass_session, state_option
from .root import verb
from .session import Session


@verb("ls", example="ropeway ls\nropeway ls 'mail*' -o json")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1, shell_complete=complete_queue)
@click.option("-a", "--all", "own", is_flag=True, help="Also ropeway's own queues, whose names start with _.")
@pass_session
def ls_command(session: Session, patterns: tuple[str, ...], own: bool) -> int:
    """List the queues: how many jobs stand where, and what is switched off.

    A PATTERN is a name, or a glob such as 'mail*', or '!name' to leave one out. OLDEST is how long the first job has waited.
    """
    from .looking import list_queues

    return list_queues(session, patterns, own=own)


@verb("jobs", example="ropeway jobs mails --state dead --error 'SMTP 4'\nropeway jobs --grep ada -o id | ropeway requeue -")
@click.argument("patterns", metavar="[QUEUE]...", nargs=-1, shell_complete=complete_queue)
@state_option()
@click.option("--grep", "text", metavar="TEXT", default="", help="Only jobs with this text in body, key or headers.")
@click.option("--error", metavar="TEXT", default="", help="Only jobs with this text in their last error.")
@click.option("--task", metavar="NAME", default="", help="Only jobs that run this task.")
@click.option("--key", metavar="KEY", default="", help="Only jobs with this unique key.")
@click.option("--lane", metavar="LANE", default="", help="Only jobs of this lane.")
@click.option("-n", "--limit", type=click.IntRange(min=0), metavar="N", default=100, show_default=True, help="At most so many; 0: all.")
@click.option("--after", metavar="CURSOR", default="", help="Go on behind the job with this cursor (-o jsonl prints them).")
@pass_session
def jobs_command(session: Session, patterns: tuple[str, ...], **which: object) -> int:
    """List jobs, by queue, state, priority, and when they are due."""
    from .looking import list_jobs

    return list_jobs(session, patterns, which)
