"""What the server's and the driver's errors mean for us: repeat it, the connection is lost, or what somebody has to do."""

from __future__ import annotations

from typing import NoReturn

from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from ....errors import StoreError
from ..session import Again, Broken

LATER = {b"40001", b"40P01", b"55P03", b"23505"}
UNPREPARED = {b"26000", b"42P05"}  # a pooler has given us a connection that does not know our statements, or knows them from another
_GOING = {b"57P01", b"57P02", b"57P03", b"57P05", b"25P03"}  # the server ends this connection, and with it what was not committed

_ADVICE = {
    b"42501": "Ask the owner of the tables for the right, or let him use the store once so that they are made",
    b"25006": "This server is a read-only standby: name the primary, or several hosts and target_session_attrs=read-write",
    b"53100": "The server's disk is full",
    b"53200": "The server has no memory left",
    b"53300": "The server has no connection left: raise max_connections, or put a pooler before it",
    b"57014": "Repeat it when the server is less busy, or give a longer timeout=",
    b"42P01": "The tables are gone; open the store anew and they are made",
    b"3F000": "The schema is gone",
}


class Refused(Exception):
    """The server answered with an error; what was sent was undone."""

    def __init__(self, code: bytes, text: str) -> None:
        super().__init__(text)
        self.code = code


class Lost(Exception):
    """The connection is of no more use. `undone`: the server said so, and undid what was not committed."""

    def __init__(self, text: str, *, undone: bool = False) -> None:
        super().__init__(text)
        self.undone = undone


def raise_for(result: PGresult) -> NoReturn:
    """Raise what an error result says."""
    code = result.error_field(DiagnosticField.SQLSTATE) or b""
    text = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    said = one_line(text.decode("utf-8", "replace"))
    if code in _GOING:
        raise Lost(said, undone=True)
    if not code or code[:2] == b"08":
        raise Lost(said)
    raise Refused(code, said)


def told(error: Refused) -> Exception:
    """A refusal as what the desk understands."""
    if error.code in LATER or error.code in UNPREPARED:
        return Again(str(error))
    return StoreError(f"PostgreSQL: {error} ({error.code.decode()}); nothing was done. {advice(error.code)}", definite=True)


def advice(code: bytes) -> str:
    """What somebody may do about it."""
    return _ADVICE.get(code, "Look with `ropeway check`")


def broken(error: Lost, *, committing: bool) -> Broken:
    return Broken(f"PostgreSQL: {error}", committing=committing and not error.undone)


_BUSY = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots", "pooler", "terminating")


def refusal(text: str, url: str) -> Exception:
    """Why no connection was made: for now, or until somebody changes something."""
    said = one_line(text)
    if "FATAL" in said and not any(word in said for word in _BUSY):
        return StoreError(f"{url}: {said}; nothing was done. Look at the user, the password and the database in the URL", definite=True)
    return Broken(said)


def one_line(text: str) -> str:
    return " ".join(text.split())[:300]
