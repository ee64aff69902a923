"""`call` and `reply`: remote procedures from the shell, as caller and as server."""

from __future__ import annotations

from typing import Any

import click

from .opening import introspect_option
from .params import complete_queue, default_queue, duration_option, pass_session
from .root import verb
from .session import Session
from .work import WorkVerb

CALL_EXAMPLE = """\
ropeway call add '[1, 2]'
ropeway call resize '{"file": "a.png", "width": 200}' --timeout 5s
ropeway call weather '["Berlin"]' | jq .temperature"""

REPLY_EXAMPLE = """\
ropeway reply uptime -Q tools -- uptime                       # elsewhere: ropeway call uptime -Q tools
ropeway reply add -- jq '.[0] + .[1]'
ropeway reply resize -j 4 -- ./resize.py"""

QUEUE = "Where the calls wait; $ROPEWAY_QUEUE, or default."


@verb("call", example=CALL_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.argument("arguments", metavar="[JSON|-]", required=False)
@click.option("-Q", "--queue", metavar="QUEUE", default=default_queue, shell_complete=complete_queue, help=QUEUE)
@duration_option("--timeout", help="How long to wait for the answer; 30s. Nobody begins the job after that.")
@click.option("-p", "--priority", type=click.IntRange(0, 99), metavar="N", help="0 to 99, low first; 50.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given more than once.")
@click.option("--raw", is_flag=True, help="Print a text as it is, and not as JSON.")
@pass_session
def call_command(session: Session, **options: Any) -> int:
    """Call a task by its name, wait, and print what it returns as JSON.

    The arguments are a JSON array, or an object of them by name; any other JSON value is the one argument; none when left out. Exit 1 when
    the task failed, with its error on stderr; 124 when no answer came in time: then the job is called back.
    """
    from .asking import call

    return call(session, options)


@verb("reply", cls=WorkVerb, example=REPLY_EXAMPLE)
@click.argument("name", metavar="NAME")
@click.option("-Q", "--queue", metavar="QUEUE", default=default_queue, shell_complete=complete_queue, help=QUEUE)
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="So many commands at once; 1.")
@duration_option("--timeout", help="Kill a command that runs longer: the caller is told that it timed out.")
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", help="End after so many calls.")
@duration_option("--grace", help="How long running commands may go on after SIGTERM; 25s.")
@introspect_option
@click.pass_context
@pass_session
def reply_command(session: Session, ctx: click.Context, **options: Any) -> int:
    """Answer the calls of a task with a command, until stopped.

    The command gets the arguments on stdin, as JSON: an array, or an object of them by name. What it prints is the answer: JSON if it is
    that, else a text without its last line's end. Any exit but 0 is an error, which the caller is told with the last line of stderr; 75
    has the call tried again. The queue's other jobs are not for it: give the service a queue of its own, or work them somewhere else.
    """
    from .asking import reply

    return reply(session, ctx.meta.get("command"), options)
