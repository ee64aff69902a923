"""`check`: which store this is and why, what an answer of it survives, and whether all is well."""

from __future__ import annotations

from .params import pass_session
from .root import verb
from .session import Session


@verb("check", example="ropeway check\nropeway -u dir:spool check -o json")
@pass_session
def check_command(session: Session) -> int:
    """Look the store over: which one it is and why, what it survives, what is wrong.

    Changes nothing. Exit 1 when something is wrong, with what to do about it.
    """
    from .checking import check

    return check(session)
