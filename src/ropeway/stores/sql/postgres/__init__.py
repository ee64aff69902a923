"""The queue in PostgreSQL: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, beside the application's own tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg

from ....bus import OwnBus
from ....clock import SYSTEM, Clock
from ....errors import ConfigError
from ....store import Durability, Finding
from ....url import StoreUrl
from ..board import UdpRinging
from ..foreign import Foreign, refused
from ..record import COLUMNS, MICRO
from ..schema import schema_text
from ..session import Session, Time
from ..statements import Statements
from ..store import SqlStore
from ..waiting import Bell
from .address import OWN_OPTIONS, conninfo, names, schema_of
from .bell import ListenBell
from .calls import Caller
from .checkup import findings, settings
from .faults import Lost, Refused, broken, refusal, told
from .guest import WHO, PostgresGuest, bind
from .session import PostgresSession
from .tables import find_schema, make, statements
from .wire import Call, Names, Wire

T = TypeVar("T")

SESSIONS = 16
BEHIND = 30.0  # seconds of poll behind a bell

__all__ = ["OWN_OPTIONS", "PostgresStore"]


class PostgresStore(SqlStore):
    """Jobs in tables of a PostgreSQL server. Its own clock decides what is due and which lease has ended."""

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        self._url = url
        self._where = conninfo(url)
        names(url, schema_of(url))
        self._own_clock = clock is SYSTEM
        self._statements: Statements | None = None
        self._invited: Statements | None = None  # the same as guests say them
        self._schema = self._server = ""
        self._worth = Durability.NONE
        self._names = Names()
        self._caller = Caller()
        bell: Bell
        if url.bell_choice.kind == "udp":
            bell = UdpRinging(url.bell_choice, clock, self._where.get("host", ""), BEHIND)
        else:
            bell = Bell() if url.bell_choice.kind == "off" else ListenBell(self._session, clock)
        self.puts_ring = isinstance(bell, ListenBell)
        self._bell = bell
        super().__init__(url, clock, self._session, bell, sessions=SESSIONS)

    # -- connections

    def _session(self) -> PostgresSession:
        wire = self._connect()
        try:
            if self._statements is None:
                self._prepare(wire)
        except BaseException as error:
            wire.close()
            if isinstance(error, Refused):
                raise told(error) from None
            if isinstance(error, Lost):
                raise broken(error, committing=False) from None
            raise
        assert self._statements is not None
        return PostgresSession(wire, self._statements, self._caller, self._given, bell=self.puts_ring)

    def _connect(self) -> Wire:
        try:
            connection = psycopg.connect(**self._where, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"{self.url}: {str(error).splitlines()[0]}; nothing was opened") from None
        except psycopg.Error as error:
            raise refusal(str(error), self.url) from None
        return Wire(connection, self._url.timeout, self._names)

    def _given(self) -> Time:
        return (None, None) if self._own_clock else (int(self.clock.now() * MICRO), int(self.clock.boot() * MICRO))

    def _prepare(self, wire: Wire) -> None:
        """Is it worth what was asked for, and are the tables there?"""
        found = settings(wire)
        if found.pid != wire.pg.backend_pid:  # a pooler stands between, and may give each transaction another connection
            self._names.allowed = False
        worth = found.worth(self._url.durability)
        order = list(Durability)
        if self._url.require and order.index(worth) < order.index(Durability(self._url.require)):
            why = "durability=os was asked for" if self._url.durability != "full" else found.why()
            raise ConfigError(f"{self.url}: survives class {worth}, not {self._url.require}: {why}; nothing was opened")
        schema, there = find_schema(wire, self._url)
        said = statements(self._url, schema, COLUMNS, own_clock=self._own_clock)
        self.version_found = make(wire, self._url, schema, said, there=there)
        self._schema, self._worth, self._statements = schema, worth, said

    # -- in the application's own transaction

    def guest(self, tx: Foreign) -> PostgresGuest:
        ours = self._server or self._whoami()  # first: it makes the tables, by a connection of ours
        if self._invited is None:
            own, plain_id = self._own_clock, "replace(id::text, '-', '')"
            self._invited = statements(self._url, self._schema, COLUMNS, own_clock=own, bind=bind, plain_id=plain_id)
        guest = PostgresGuest(tx, self._invited, self._given, self.url, bell=self.puts_ring)
        theirs = guest.server()
        if theirs != ours and theirs != self._whoami():  # asked again: the server may have been started anew
            raise refused(f"the connection leads to another server or database than {self.url}")
        return guest

    def _whoami(self) -> str:
        self._server = str(self.desk.read(lambda session: _wire(session).ask(Call(WHO.encode())))[0][0])
        return self._server

    # -- topics

    def _bus(self) -> OwnBus:
        from .bus import PostgresBus

        return PostgresBus(self.url, self.desk, self._session, self._topics)

    def _topics(self) -> str:
        """What tells the topics of these tables from those of others."""
        self.desk.apart(lambda _: None)  # so that the schema is known
        return names(self._url, self._schema)["job"]

    # -- what it is worth

    def schema(self) -> list[str]:
        schema = self._schema or schema_of(self._url) or "public"
        return schema_text(statements(self._url, schema, COLUMNS, own_clock=self._own_clock))

    def durability(self) -> Durability:
        return self._looked(lambda session: settings(_wire(session)).worth(self._url.durability))

    def check(self) -> list[Finding]:
        def work(session: Session) -> list[Finding]:
            wire = _wire(session)
            return findings(wire, settings(wire), names(self._url, self._schema)["job"], self._url.durability)

        return self._looked(work) + self._bell_findings()

    def _looked(self, work: Callable[[Session], T]) -> T:
        """A look with statements of its own."""

        def look(session: Session) -> T:
            try:
                return work(session)
            except Refused as error:
                raise told(error) from None
            except Lost as error:
                raise broken(error, committing=False) from None

        return self.desk.read(look)

    def _bell_findings(self) -> list[Finding]:
        if not isinstance(self._bell, ListenBell):
            return []
        trouble = self._bell.try_out()
        return [Finding("warning", f"the bell: {trouble}")] if trouble else [Finding("ok", "the bell: LISTEN and NOTIFY work")]


def _wire(session: Session) -> Wire:
    assert isinstance(session, PostgresSession)
    return session.wire
