"""`group`: the durable groups of a store, and what is retained for those who come later."""

from __future__ import annotations

from typing import Any

import click

from .params import duration_option, pass_session
from .root import verb
from .session import Session

ACTIONS = ("ls", "add", "edit", "rm", "replay", "retain", "release")

EXAMPLE = """\
ropeway group add mailer 'orders.*' --keep 1d
ropeway group ls
ropeway group replay mailer --since 1h
ropeway group retain 'orders.#' 7d                            # for those who come later"""


@verb("group", example=EXAMPLE)
@click.argument("action", type=click.Choice(ACTIONS), metavar="|".join(ACTIONS))
@click.argument("words", metavar="[NAME|PATTERN]...", nargs=-1)
@duration_option("--keep", help="With add, edit: how long a message stays when it was handled, to be replayed.")
@duration_option("--since", help="With replay: only what was published so lately. With add: bring what is retained from so lately.")
@click.option("--replace", is_flag=True, help="With add: change the group of that name, if there is one.")
@pass_session
def group_command(session: Session, action: str, words: tuple[str, ...], **options: Any) -> int:
    """List durable groups, and add, edit, replay or remove them.

    add NAME PATTERN... makes a group: each message whose topic a pattern means waits for it from then on. edit NAME [PATTERN]... changes
    what it hears. rm takes names, and removes their messages too. replay NAME handles again what was handled and kept, and what is
    retained. retain PATTERN DURATION keeps the messages of topics for those who come later, release PATTERN ends that.
    """
    from .grouping import ACTS

    return ACTS[action](session, words, options)
