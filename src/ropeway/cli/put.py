"""`put`: a job, or many, from an argument, a file, stdin, or the output of a command."""

from __future__ import annotations

import click

from .params import complete_queue, duration_option, pass_session
from .root import Verb, verb
from .session import Session

EXAMPLE = """\
ropeway put mails 'welcome 42' -p 10 -d 10m
find . -name '*.jpg' | ropeway put pictures --lines
ropeway put films -f film.mkv
ropeway put pictures --lines -- ./list-new-pictures     # nothing is put unless it ends with 0"""

_SPLIT = frozenset({"--lines", "-0", "--null", "--jsonl"})


class ProducerVerb(Verb):
    """A command in which `--` is followed by a command line when its input is a stream, and by a plain argument when it is not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            before, after = args[:at], args[at + 1 :]
            if after and (_SPLIT & set(before) or "-" in before):
                ctx.meta["producer"] = after
                args = before
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- CMD...]"]


@verb("put", cls=ProducerVerb, example=EXAMPLE)
@click.argument("queue", metavar="QUEUE", shell_complete=complete_queue)
@click.argument("body", metavar="[BODY|-]", required=False)
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="The body is this file, of any size; - is stdin. More than one: a job each.",
)
@click.option(
    "--lines", "split", flag_value="lines", help="A job a line of stdin, each as soon as its line is there; empty lines are passed over."
)
@click.option("-0", "--null", "split", flag_value="null", help="As --lines, for names that end in a NUL byte (find -print0).")
@click.option("--jsonl", "split", flag_value="jsonl", help="As --lines; each line must be JSON, which is the body.")
@click.option("--whole", is_flag=True, help="With --lines, -0, --jsonl: put nothing before stdin has ended, then all at once.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), metavar="N", help="0 to 99, low first; 50.")
@duration_option("-d", "--delay", help="Due this long from now.")
@click.option(
    "--at", metavar="TIME", help="Due at this moment: 2030-01-31T08:00, with Z or an offset if not local time, 08:00, or @SECONDS."
)
@click.option("-k", "--key", metavar="KEY", help="Refused while a job of the queue with this key lives.")
@click.option("--replace", is_flag=True, help="If the job with that key waits, this one takes its place; exit 6 if it runs.")
@duration_option("--unique-for", help="The key stays taken for so long from now, also when the job is done.")
@duration_option("--debounce", help="Due when no other put of the key came for so long; each takes the place of the one before.")
@duration_option("--debounce-max", help="With --debounce: at most so long after the first of them.")
@click.option("--front", is_flag=True, help="The next one out.")
@duration_option("--ttl", help="Nobody wants it any more after this.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given more than once.")
@click.option(
    "--type", "content_type", metavar="TYPE", help="Content type of the body. Else text if it is UTF-8, JSON with --jsonl or --task."
)
@click.option("--task", metavar="NAME", help="The registered function that it runs; the body is its arguments in JSON.")
@duration_option("--keep", help="Keep it this long when done, with its result.")
@click.option("--lane", metavar="LANE", help="One at a time, in order, among the jobs of one lane.")
@click.option("--id", "job_id", metavar="ID", help="An id of your own, 32 hex digits: the same put can be repeated without a double.")
@click.option("--wait", is_flag=True, help="Wait until it has ended, and print its result: exit 0 done, 10 dead.")
@click.pass_context
@pass_session
def put_command(session: Session, ctx: click.Context, **options: object) -> int:
    """Put a job into a queue.

    When it answers, the job is safe. A line that --lines has read is a job at once: the first may run before the producer has ended,
    and those that were put stay when the producer fails. To start nothing from a producer that failed, let ropeway run it: what
    follows -- is then a command whose output is read in place of stdin; unless it ends with 0, nothing is put and its exit code is
    ropeway's. Without --lines, -0, --jsonl or -, what follows -- is the body.
    """
    from .putting import Putting

    return Putting(session, ctx, options).run()
