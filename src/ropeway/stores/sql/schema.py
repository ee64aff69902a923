"""The tables of a store: made on first use, known by their version, and rolled forward while older processes go on working.

Version 1 is `schema.sql` of each dialect. A later version N adds statements named `step_N_...`, in a `schema_N.sql`, which only ever add: a
column with a default, an index, a table. What an older process does not know it does not touch. `least` is the oldest version that may
still work with the tables; only a step that breaks with the past raises it.
"""

from __future__ import annotations

import re

from ...errors import StoreError
from .session import Session
from .statements import Statements

VERSION = 2
LEAST = 1  # the oldest version that this one's tables are good for

_STEP = re.compile(r"step_(\d+)_")


def make_tables(session: Session, url: str, boot: str) -> int:
    """Make what is missing. Answers the version that was found, 0 for none. `boot` names the time that leases count in: when it is
    another one than before, all that were running have ended. Raises StoreError when the tables are too new for us."""
    found, same_boot = _found(session, url), True
    if found:
        same_boot = not boot or session.run("read_meta", key="boot") == [(boot,)]
    if found >= VERSION and same_boot:
        return found
    session.begin(durable=True)
    try:
        if not found:
            for name in session.statements:
                if name.startswith(("table_", "index_")):
                    session.run(name)
        now_found = _found(session, url)  # another process may have come first
        if now_found < VERSION:
            for name in steps(session.statements, now_found):
                session.run(name)
            session.run("write_meta", key="schema", value=str(VERSION))
            session.run("write_meta", key="least", value=str(LEAST))
        if boot and session.run("read_meta", key="boot") != [(boot,)]:
            session.run("end_leases")
            session.run("write_meta", key="boot", value=boot)
    except BaseException:
        session.rollback()
        raise
    session.commit()
    return found


def schema_text(statements: Statements) -> list[str]:
    """What makes the tables, each statement with what it is for."""
    return [
        f"-- {statements.purpose[name]}\n{text}"
        for name, text in statements.items()
        if name.startswith(("table_", "index_", "step_", "function_"))
    ]


def steps(statements: Statements, found: int) -> list[str]:
    """The names of the statements that lead from the version found to ours, in their order."""
    out = [(int(step[1]), place, name) for place, name in enumerate(statements) if (step := _STEP.match(name))]
    return [name for number, _, name in sorted(out) if found < number <= VERSION]


def _found(session: Session, url: str) -> int:
    """The version of the tables that are there."""
    try:
        rows = session.run("read_meta", key="schema")
    except StoreError:
        return 0  # no such table
    if not rows:
        return 0
    found, least = int(rows[0][0]), session.run("read_meta", key="least")
    refuse_newer(url, found, int(least[0][0]) if least else found)
    return found


def refuse_newer(url: str, found: int, least: int) -> None:
    """Tables that we would not understand are left alone."""
    if found > VERSION and least > VERSION:
        raise StoreError(
            f"{url}: the tables have version {found}, this ropeway knows up to {VERSION}; nothing was done. Update this side", definite=True
        )
