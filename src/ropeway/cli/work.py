"""`work`: run a command, or the tasks of a program, for each job."""

from __future__ import annotations

from typing import Any

import click

from .opening import HELP
from .params import DURATION, SIZE, complete_queue, duration_option, pass_session
from .root import Verb, verb
from .session import Session

EXAMPLE = """\
ropeway work thumbs -j 4 -- convert {} -resize 200x200 thumbs.png
ropeway work mails --drain -- ./send-mail                     # the body on stdin; end when nothing is left
ropeway work builds --allow-commands -j 4                     # the command lines that ropeway run puts
ropeway work --app shop:broker critical '*' '!low' -j 8       # the tasks that shop.py registers"""


class WorkVerb(Verb):
    """A command in which all that follows `--` is the command line to run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- CMD...]"]


@verb("work", cls=WorkVerb, example=EXAMPLE)
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=complete_queue)
@click.option("--app", metavar="MODULE:BROKER", help="Import this and run its tasks.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="So many commands at once; 1. With --app: so many worker processes under a supervisor; of --pool process, so many children.",
)
@click.option("--pool", type=click.Choice(("thread", "process", "async", "uvloop")), help="What runs tasks; thread.")
@click.option("-c", "--concurrency", type=click.IntRange(min=1), metavar="N", help="Tasks at once in each process; 4, async 100.")
@click.option("--stdin", "feed", flag_value="stdin", help="The body goes to the command's stdin. So it is when no argument has {}.")
@click.option("--arg", "feed", flag_value="arg", help="The body stands in place of {}. So it is when an argument has {}.")
@click.option("--file", "feed", flag_value="file", help="The path of a file with the body stands in place of {}.")
@click.option(
    "--persistent", is_flag=True, help="Start the command once, and talk JSON lines with it: a job a line in, an answer a line out."
)
@duration_option("--timeout", help="Kill a command that runs longer; the job is tried again.")
@click.option("--retries", type=click.IntRange(min=1), metavar="N", help="Attempts in all, where a job's task says nothing else; 5.")
@duration_option("--backoff", help="Longest pause after the first failure, doubled with each one; 1s.")
@duration_option("--lease", help="How long a job is held without a sign of life; 30s.")
@duration_option("--grace", help="How long running jobs may go on after SIGTERM; 25s.")
@click.option("--drain", is_flag=True, help="End when nothing is due and no retry is waiting: exit 0, or 10 if some jobs ended dead.")
@click.option("--poll", type=DURATION, metavar="DURATION", help="Longest sleep between two looks when no bell rings; 0: as --drain.")
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="End after so many runs; under a supervisor another starts.")
@click.option("--max-memory", type=SIZE, metavar="SIZE", help="End, when its jobs have, above so much memory (512M); likewise.")
@click.option("--max-jobs-per-child", type=click.IntRange(min=1), metavar="N", help="Replace a process of --pool process after so many.")
@click.option("--reload", is_flag=True, help="Start anew when a Python file of this folder has changed.")
@click.option("--background", is_flag=True, help="Detach from the terminal; prints the pid once the workers run.")
@click.option("--pidfile", metavar="FILE", help="Write the pid there; refuse to start beside a living one.")
@click.option("--log", metavar="FILE", help="With --background: where output goes.")
@click.option("--allow-commands", is_flag=True, help="Also run the command lines that ropeway run puts: whoever can put one runs it here.")
@click.option("--attend", is_flag=True, hidden=True, help="The worker that run starts: end when there is nothing to do.")
@click.option("--introspect", metavar="ADDR", help=HELP)
@click.option("--lifeline", type=int, hidden=True, help="The descriptor that leads to the supervisor.")
@click.option("--progress", is_flag=True, help="Show a running count on the terminal.")
@click.pass_context
@pass_session
def work_command(session: Session, ctx: click.Context, **options: Any) -> int:
    """Take jobs from queues and run them, until stopped.

    The order of the queues is their priority; a glob means all that fit, '!name' leaves one out; mails=3 web=1 gives weights instead.

    Of a command, the exit code decides:
    0 the job is done; 75 it comes back later; 65, 126, 127 it is buried; any other is tried again, and buried when --retries are used up.
    It finds ROPEWAY_ID, _QUEUE, _ATTEMPT, _KEY, _DEADLINE and _HEADERS in its environment. SIGTERM and Ctrl-C let running jobs finish,
    SIGQUIT all that is held, SIGUSR1 ends what runs, SIGUSR2 pauses and SIGCONT goes on, SIGTTIN and SIGTTOU are a slot more and a slot
    less, SIGHUP starts anew.
    """
    from .working import work

    return work(session, ctx.meta.get("command"), options)
