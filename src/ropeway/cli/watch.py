"""`watch`: files that come into a folder become jobs."""

from __future__ import annotations

from typing import Any

import click

from .opening import introspect_option
from .params import complete_queue, duration_option, pass_session
from .root import verb
from .session import Session
from .work import WorkVerb

EXAMPLE = """\
ropeway watch inbox films                              # a job for each file that is finished; its body is the file's path
ropeway watch inbox films -g '*.mkv' -r --move-to taken
ropeway watch /mnt/share/in films --poll --settle 30s  # a network folder, of whose changes the kernel tells nothing
ropeway watch inbox -- convert {} {}.png               # run a command for each file, here"""


@verb("watch", cls=WorkVerb, example=EXAMPLE)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.argument("queue", metavar="[QUEUE]", required=False, shell_complete=complete_queue)
@click.option("-g", "--glob", "globs", multiple=True, metavar="GLOB", help="Only files that fit; with a slash, held against the path.")
@click.option("-r", "--recursive", is_flag=True, help="Also what lies in folders inside.")
@duration_option("--settle", default="2s", show_default=True, help="How long a file must stay as it is, unless it came by a rename.")
@click.option("--existing", is_flag=True, help="At the very first start, also the files that lie there already.")
@click.option("--move-to", metavar="DIR", default="", help="Move each file there first; its job has the new path.")
@click.option("--poll", is_flag=True, help="Look through the folder each second: for network folders.")
@click.option("--content", is_flag=True, help="The body is what is in the file, and not its path.")
@click.option("--once", is_flag=True, help="End when all that lies there has its job.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), help="Of the jobs: 0 (first) to 99; 50.")
@click.option("--task", metavar="NAME", help="The registered function that the jobs run.")
@duration_option("--keep", help="How long done jobs stay.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="With a command: so many at once; 1.")
@introspect_option
@click.pass_context
@pass_session
def watch_command(session: Session, ctx: click.Context, **options: Any) -> int:
    """Put a job for each file that comes into a folder, once it is finished, and exactly one.

    A file is finished when it came in by a rename, or when it has not changed for a while and nobody has it open for writing. Names that
    begin with a dot are passed over. What came while nobody watched is found at the next start; what has had its job is remembered, over
    restarts and kills. Each file's job is printed.
    """
    from .watching import watch

    return watch(session, ctx.meta.get("command"), options)
