"""`copy`, `export` and `import`: jobs out of one store and into another, at once or as JSON lines."""

from __future__ import annotations

import click

from .params import complete_queue, pass_session, state_option
from .root import verb
from .session import Session

COPY_EXAMPLE = """\
ropeway copy dir:/var/spool/jobs sqlite:/var/lib/jobs.db
ropeway copy dir:old dir:new -Q mails -Q 'report-*'"""


@verb("copy", example=COPY_EXAMPLE)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option(
    "-Q", "--queue", "patterns", multiple=True, metavar="QUEUE", help="Only this queue; a glob means several, '!name' leaves one out."
)
@click.option("--running", is_flag=True, help="Also the jobs that run now: they wait in DST, with the attempt counted.")
@pass_session
def copy_command(session: Session, source: str, target: str, patterns: tuple[str, ...], running: bool) -> int:
    """Copy the jobs of the store SRC into the store DST, as they stand. Both are URLs.

    Ids, order, priority, moments, attempts with their errors, deaths, headers, results and states are kept, and the switches with their
    reasons. What DST cannot keep is named before anything is done. SRC is left as it is: pause its queues first, or jobs that workers take
    meanwhile run in both. Jobs that are in DST already stay as they are there, so it can be run again when it was broken off. Exit 6 for
    a queue with running jobs, without --running, and when live jobs in DST hold the keys of some: these are left out.
    """
    from .copying import copy_store

    return copy_store(session, source, target, patterns, running=running)


@verb("export", example="ropeway export mails > mails.jsonl\nropeway -u dir:old export | ropeway -u dir:new import")
@click.argument("patterns", metavar="[QUEUE]...", nargs=-1, shell_complete=complete_queue)
@state_option()
@pass_session
def export_command(session: Session, patterns: tuple[str, ...], states: tuple[str, ...]) -> int:
    """Write jobs to stdout as JSON lines; all queues if none is named. Changes nothing.

    With ids, state, attempts, priority, due, headers, body (base64 where it is not UTF-8) and result. The first line names the
    format, the last one counts the jobs: by these import sees whether something is missing.
    """
    from .exporting import export

    return export(session, patterns, states)


@verb("import", example="ropeway import mails.jsonl\nropeway -u dir:old export | ropeway -u dir:new import")
@click.argument("file", metavar="[FILE|-]", default="-")
@click.option("--partial", is_flag=True, help="Take it without its last line: filtered, or cut off on purpose.")
@pass_session
def import_command(session: Session, file: str, partial: bool) -> int:
    """Bring the jobs of an export into this store, as they stood.

    Ids, place, priority, attempts with their errors, deaths, and whether a job is dead or done are kept; one that was running waits, with
    the attempt counted. A queue that refuses new jobs takes these. Jobs that are here already are passed over, so it can be run again. At
    the first line that is wrong it stops and names it; the jobs before it are imported. Exit 6 when keys are taken by other jobs: these are
    left out, the rest is imported.
    """
    from .importing import Importing
    from .reading import stdin

    if file == "-":
        return Importing(session, stdin(), partial=partial).run()
    with open(file, "rb") as opened:
        return Importing(session, opened, partial=partial).run()
