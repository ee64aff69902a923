"""`completion`: the script that teaches a shell ropeway's words, and the answers that the script asks for."""

from __future__ import annotations

import os
from typing import Any

import click

from .params import pass_session
from .root import root, verb
from .session import Session

VARIABLE = "_ROPEWAY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
MOST = 200  # names offered

EXAMPLE = """\
eval "$(ropeway completion bash)"       # in .bashrc; the same with zsh in .zshrc
ropeway completion fish > ~/.config/fish/completions/ropeway.fish"""


@verb(
    "completion",
    example=EXAMPLE,
)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_session
def completion_command(session: Session, shell: str) -> int:
    """Print the script that completes commands, options and names of queues in your shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # all three of SHELLS are click's own
    script = kind(root, {}, "ropeway", VARIABLE)
    session.out.line(script.source_template % script.source_vars())
    return 0


def answer() -> int:
    """Answer what the script asks by the environment; never a word on stderr, which would stand in the middle of a command line."""
    from click.shell_completion import shell_complete

    try:
        return shell_complete(root, {"obj": Session()}, "ropeway", VARIABLE, os.environ[VARIABLE])
    except Exception:  # noqa: BLE001 - no completion is better than a broken prompt
        return 1


def queue_names(ctx: click.Context, incomplete: str) -> list[Any]:
    """The queues whose names begin so; none when the store cannot say."""
    session = ctx.find_object(Session) or Session()
    try:
        return [name for name in session.store.queues() if name.startswith(incomplete)][:MOST]
    finally:
        session.close()
