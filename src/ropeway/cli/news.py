"""`notify` and `listen`: topics from the shell."""

from __future__ import annotations

from typing import Any

import click

from .opening import introspect_option
from .params import duration_option, pass_session
from .root import verb
from .session import Session
from .work import WorkVerb

NOTIFY_EXAMPLE = """\
ropeway notify orders.created '{"id": 1}' --type application/json
tail -f /var/log/syslog | ropeway notify logs.$(hostname) --lines"""

LISTEN_EXAMPLE = """\
ropeway listen 'orders.*'
ropeway listen 'logs.#' --raw | grep -i error
ropeway listen orders.created -- ./send-mail                  # the body on stdin; what came before is gone
ropeway listen 'orders.#' --group mailer -j 4 -- ./send-mail  # durable: each message once, shared by all who are of the group"""


@verb("notify", example=NOTIFY_EXAMPLE)
@click.argument("topic", metavar="TOPIC")
@click.argument("body", metavar="[BODY|-]", required=False)
@click.option("--lines", "split", flag_value="lines", help="A message a line of stdin, each as soon as its line is there; no empty ones.")
@click.option("--jsonl", "split", flag_value="jsonl", help="As --lines; each line must be JSON, which is the body.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given more than once.")
@click.option("--type", "content_type", metavar="TYPE", help="Content type of the body. Else text if it is UTF-8, JSON with --jsonl.")
@click.option("--id", "message_id", metavar="ID", help="An id of your own, 32 hex digits: no group that has it still gets it twice.")
@pass_session
def notify_command(session: Session, **options: Any) -> int:
    """Publish a message on a topic.

    When it answers, each durable group whose patterns mean the topic has its copy, as safe as any job; who listens now is being told.
    """
    from .publishing import notify

    return notify(session, options)


@verb("listen", cls=WorkVerb, example=LISTEN_EXAMPLE)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--group", metavar="NAME", help="Share the messages of this durable group; it is made if it is not there.")
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", help="End after so many messages.")
@duration_option("-t", "--wait", help="End when no message came for so long: exit 3 if there was none at all.")
@duration_option("--replay", help="First what was published so lately and is retained: see ropeway group retain.")
@click.option("--raw", is_flag=True, help="Print the bodies only, a line each.")
@click.option("--buffer", type=click.IntRange(min=1), metavar="N", help="Messages that wait for a slow reader, without --group; 1000.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="With --group and a command: so many at once; 1.")
@duration_option("--run-timeout", help="With a command: kill it when it runs longer.")
@click.option("--retries", type=click.IntRange(min=1), metavar="N", help="With --group and a command: attempts in all; 5.")
@click.option("--drain", is_flag=True, help="With --group: end when nothing waits for it.")
@introspect_option
@click.pass_context
@pass_session
def listen_command(session: Session, ctx: click.Context, **options: Any) -> int:
    """Hear the messages of topics, and print them or run a command for each.

    A pattern is a topic in which * stands for one word between dots and # for any number of them. Without --group only what is published
    while this runs is heard, at most once; the oldest are dropped when whoever reads is too slow, and counted on stderr. With --group
    nothing is missed: a message is handled when it is printed, or when the command has ended with 0.

    A command gets the body on stdin, and ROPEWAY_TOPIC, ROPEWAY_MESSAGE (its id) and ROPEWAY_HEADERS. With --group its exit code decides
    as for ropeway work: 75 comes back later, 65, 126, 127 is buried, any other is tried again. Without, a failure is only counted: exit 1.
    """
    from .hearing import listen

    return listen(session, ctx.meta.get("command"), options)
