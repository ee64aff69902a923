"""`show`: all that is known of a job."""

from __future__ import annotations

import click

from .params import pass_session
from .root import verb
from .session import Session


@verb("show", example="ropeway show 0199b3c0a2f47c0e8d2f5b6a7c8d9e0f\nropeway show ID --body raw > body.bin")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--body", type=click.Choice(["preview", "full", "raw"]), default="preview", show_default=True, help="raw: only the body, byte for byte."
)
@pass_session
def show_command(session: Session, ids: tuple[str, ...], body: str) -> int:
    """Show all that is known of jobs: attempts with error and traceback, headers, body, result."""
    from .showing import show

    return show(session, ids, body)
