"""`schedule`: the schedules of a store, looked at and steered."""

from __future__ import annotations

from typing import Any

import click

from .params import duration_option, pass_session
from .root import verb
from .session import Session

ACTIONS = ("ls", "add", "edit", "rm", "pause", "resume", "run", "next")

EXAMPLE = """\
ropeway schedule add report '0 3 * * mon-fri' reports --task nightly --tz Europe/Berlin
ropeway schedule add beat 'every 10s' beats tick
ropeway schedule ls
ropeway schedule next report -n 3"""


@verb("schedule", example=EXAMPLE)
@click.argument("action", type=click.Choice(ACTIONS), metavar="|".join(ACTIONS))
@click.argument("words", metavar="[NAME] [EXPRESSION] [QUEUE] [BODY]", nargs=-1)
@click.option("--tz", metavar="ZONE", help="The time zone of the expression, such as Europe/Berlin; UTC.")
@click.option(
    "--catch-up",
    type=click.Choice(["none", "last", "all"]),
    help="Of ticks at which no worker was there: drop them, run once for all of them (this is meant), or run each, 100 at most.",
)
@click.option("--task", metavar="NAME", help="The registered function that it runs; BODY is its arguments in JSON.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), metavar="N", help="0 to 99, low first; 50.")
@duration_option("--ttl", help="Nobody wants a run any more so long after its tick.")
@duration_option("--keep", help="Keep each run so long when done, with its result.")
@click.option("--lane", metavar="LANE", help="With a lane of its own, a run waits for the one before to end.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of its jobs; may be given more than once.")
@click.option("--replace", is_flag=True, help="With add: change the schedule of that name, if there is one.")
@click.option("-n", "--count", type=click.IntRange(1, 1000), metavar="N", help="With next: so many moments; 1.")
@pass_session
def schedule_command(session: Session, action: str, words: tuple[str, ...], **options: Any) -> int:
    """List schedules, and add, edit, pause, run or remove them.

    add NAME EXPRESSION QUEUE [BODY] puts a job at each tick: five cron fields, @hourly, @daily and the like, or 'every 10s'. With --task,
    the QUEUE may be left out. edit NAME [EXPRESSION] changes when. rm, pause, resume and run take names; run puts the job now, beside its
    ticks. next shows the moments to come, also of an expression in place of a NAME. Any worker plants what is due.
    """
    from .scheduling import ACTS

    return ACTS[action](session, words, options)
