"""`migrate`: the tables of a store in a database, made or brought up to date before anybody needs them."""

from __future__ import annotations

import click

from .params import pass_session
from .root import verb
from .session import Session


@verb("migrate", example="ropeway -u postgresql://db/app migrate\nropeway -u postgresql://db/app migrate --sql")
@click.option("--sql", "only_sql", is_flag=True, help="Print the statements instead, for somebody else to run.")
@pass_session
def migrate_command(session: Session, only_sql: bool) -> int:
    """Make the tables of the store, or bring them up to date.

    Opening a store does it too; this is for a user with the right to, before workers without it start. Older workers may go on meanwhile.
    """
    from .migrating import migrate

    return migrate(session, only_sql)
