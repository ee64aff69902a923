"""`notifier`: a server of lines, for whoever can open a TCP connection."""

from __future__ import annotations

from typing import Any

import click

from .opening import introspect_option
from .params import pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway notifier                                       # then, on any terminal: nc 127.0.0.1 12345
ropeway -u dir:spool notifier --topic lines            # and Python hears it: broker.listen("lines")
ropeway -u dir:spool notifier --topic lines --hear 'orders.#'"""


@verb("notifier", example=EXAMPLE)
@click.option("-b", "--bind", default="127.0.0.1:12345", show_default=True, metavar="ADDR", help="HOST:PORT, [IPv6]:PORT or unix:PATH.")
@click.option("--token-file", metavar="FILE", default="", help="Ask each client for the token in this file, in its first line.")
@click.option(
    "--connections", type=click.IntRange(min=1), default=10_000, show_default=True, metavar="N", help="At once; more are turned away."
)
@click.option("--topic", metavar="NAME", help="Lines are messages of this topic of the store, and its messages are lines.")
@click.option("--hear", "patterns", multiple=True, metavar="PATTERN", help="With --topic: messages of these topics come as '@topic text'.")
@introspect_option
@pass_session
def notifier_command(session: Session, **options: Any) -> int:
    """Pass each line of each client on to all the others.

    A client is whatever opens a TCP connection: nc, telnet, a program. It is told its number, and from then on every line that it
    sends reaches all others, in order. A line that is 'quit' or 'exit', and Ctrl-D, end the connection. With --topic, the line
    '@orders.new text' is a message of the topic orders.new.
    """
    from .notifying import notifier

    return notifier(session, options)
