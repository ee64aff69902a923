"""`run`, `wait`, `log`, `kill`: command lines as jobs."""

from __future__ import annotations

from typing import Any

import click

from .params import complete_queue, duration_option, pass_session
from .root import verb
from .session import Session
from .work import WorkVerb

RUN_EXAMPLE = """\
ropeway run -- make clean
ropeway run -L build -- make -j4
ropeway run --after build -- make install            # only when that one has ended well
ropeway run -f -- ./long-test --all                  # see its output, and end with its exit code
ropeway run -Q nightly --at 03:00 -- ./backup /home"""

WAIT_EXAMPLE = """\
ropeway wait                                         # until nothing of the queue is left to do
id=$(ropeway run -o id -- make) && ropeway wait "$id" && echo made"""

LOG_EXAMPLE = """\
ropeway log                                          # of the last one
ropeway log build -f
ropeway log --all -f                                 # of all that run or wait, each to its end
ropeway log 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f -n 20"""

KILL_EXAMPLE = """\
ropeway kill build
ropeway kill 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f -s INT"""

_queue = click.option("-Q", "--queue", metavar="QUEUE", shell_complete=complete_queue, help="The queue; else $ROPEWAY_QUEUE, or default.")


@verb("run", cls=WorkVerb, example=RUN_EXAMPLE)
@_queue
@click.option("-L", "--label", metavar="TEXT", help="A name for it, by which the other commands find it as well.")
@click.option(
    "--after", multiple=True, metavar="ID", help="Start once this job has ended well; give up when it fails. An id, a label, or last."
)
@click.option("--after-any", multiple=True, metavar="ID", help="Start once this job has ended, however.")
@click.option("-f", "--follow", is_flag=True, help="Stay, print what it prints, and end with its exit code.")
@duration_option("-d", "--delay", help="Due this long from now.")
@click.option("--at", metavar="TIME", help="Due at this moment, as for put.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), metavar="N", help="0 to 99, low first; 50.")
@click.option("-k", "--key", metavar="KEY", help="Refused while a job of the queue with this key lives.")
@click.option("--lane", metavar="LANE", help="One at a time, in order, among the jobs of one lane.")
@click.option("--retries", type=click.IntRange(1), metavar="N", default=1, help="Runs in all, until one ends with 0; 1.")
@duration_option("--timeout", help="Kill it when it runs longer: exit 124.")
@click.option("-E", "--env", multiple=True, metavar="NAME[=VALUE]", help="Give it this variable as well.")
@click.option("--all-env", is_flag=True, help="Give it the whole environment, secrets included: it stands in the job.")
@click.option("-C", "--cwd", metavar="DIR", help="Run it there, not here.")
@click.option("--apart", is_flag=True, help="Keep what it says on standard error apart: ropeway log --stderr.")
@duration_option("--keep", default=7 * 86400.0, help="How long the job stays when it is done, with its exit code; 7d.")
@click.option(
    "-S", "--slots", type=click.IntRange(1), metavar="N", help="From now on N jobs of the queue at once: ropeway limit --running."
)
@click.option(
    "-N",
    "--takes",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    help="Start once N slots of its worker are free, and take them; 1.",
)
@click.pass_context
@pass_session
def run_command(session: Session, ctx: click.Context, **options: Any) -> int:
    """Put a command line as a job, and print its id.

    It runs in this directory, one after the other with those before it, and its exit is its end: 0 done, any other dead, with that code.
    In a folder of your own a worker starts by itself when none runs, and ends when there is nothing to do. On a store that others can
    write to, only a worker with --allow-commands takes it.

    Of the environment it gets PATH, HOME, the language and the like, not what may be secret: see the guide.
    """
    from .running import run

    return run(session, ctx.meta.get("command"), options)


@verb("wait", example=WAIT_EXAMPLE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_queue
@click.option("-t", "--test", is_flag=True, help="Do not wait: exit 1 when one of them has not ended.")
@pass_session
def wait_command(session: Session, ids: tuple[str, ...], queue: str | None, test: bool) -> int:
    """Wait until jobs have ended, and answer how.

    The exit code is that of the first of them, in the order given, which did not end with 0: a command's own; of any other job 10 when it
    is dead; 3 for one that is gone. An ID may be a label, or last; without one: all that the queue holds now.
    """
    from .following import wait

    return wait(session, ids, queue, test=test)


@verb("log", example=LOG_EXAMPLE)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_queue
@click.option("-a", "--all", "every", is_flag=True, help="Of all that run or wait now, one after the other.")
@click.option("-f", "--follow", is_flag=True, help="Go on until it has ended.")
@click.option("-n", "--lines", type=click.IntRange(0), metavar="N", help="Only the last N lines of what is there.")
@click.option("--raw", is_flag=True, help="Also on a terminal as it was printed, colours and all: trust the command.")
@click.option("--stderr", is_flag=True, help="What it said on standard error, where that was kept apart: ropeway run --apart.")
@click.option("--path", is_flag=True, help="Print the name of the file that holds it.")
@pass_session
def log_command(session: Session, ids: tuple[str, ...], **options: Any) -> int:
    """Print what a command has printed: output and errors, unless these were kept apart.

    Without an ID: of the one that runs, else of the last one. Of several, each has a line above it, unless -q is given. In a folder of
    your own all of it is kept, for a week after the job is forgotten; a shared store keeps the last MiB, for a week.
    """
    from .following import log

    return log(session, ids, options)


@verb("kill", example=KILL_EXAMPLE)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_queue
@click.option("-s", "--signal", "name", metavar="SIGNAL", default="TERM", help="Name or number; TERM.")
@pass_session
def kill_command(session: Session, ids: tuple[str, ...], queue: str | None, name: str) -> int:
    """Send a signal to a command and its children, wherever they run; take back one that waits.

    Who waits for it is answered 128 and the signal's number, if it dies of that.
    """
    from .killing import kill

    return kill(session, ids, queue, name)
