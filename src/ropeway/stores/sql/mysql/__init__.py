"""The queue in MariaDB: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, beside the application's own tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.converters import decoders, encoders

from ....bus import OwnBus
from ....clock import SYSTEM, Clock
from ....errors import ConfigError
from ....names import shown
from ....store import Durability, Finding
from ....url import StoreUrl
from ..board import UdpRinging
from ..foreign import Foreign
from ..record import HEX_COLUMNS, MICRO, NEVER
from ..schema import make_tables, schema_text
from ..session import Time
from ..statements import Statements
from ..store import SqlStore
from ..waiting import Bell
from ..words import INDEXES, OPTIONS, table_names
from .guest import WHO, MysqlGuest, bind
from .session import NOW, MysqlSession, refusal

OWN_OPTIONS = OPTIONS | {"socket", "ssl_ca", "ssl_cert", "ssl_key"}
OLDEST = (10, 6)  # the first MariaDB that passes over locked rows
SESSIONS = 16
SLACK = 0.5  # seconds by which silence is borne for longer than a lock: then it is the server who says that nothing was done
BEHIND = 60.0  # seconds of poll behind the bell: 100 idle workers, who look and renew their announcement, cost 3.4 statements a second
_LANE = "convert(lane using utf8mb4)"  # it stands there as bytes, since all that text does in MariaDB would make two lanes one
_MARIADB = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+).*mariadb", re.IGNORECASE)


class MysqlStore(SqlStore):
    """Jobs in tables of a MariaDB server. Its own clock decides what is due and which lease has ended."""

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        self._url = url
        self._where = _address(url)
        self._own_time = clock is SYSTEM
        self._statements = self._made("%({})s".format)
        self._invited: Statements | None = None  # the same as guests say them
        self._ready = False
        self._survives = self._server = ""
        bell = Bell() if url.bell == "off" else UdpRinging(url.bell_choice, clock, str(self._where.get("host", "")), BEHIND)
        super().__init__(url, clock, self._open, bell, sessions=SESSIONS)

    def _made(self, bind: Callable[[str], str], within: str = "") -> Statements:
        """All statements. `within`: the database of the tables, for connections that have another in use."""
        own = self._own_time
        words = {name: within + table for name, table in table_names(self._url, "`").items()} | {
            "columns": HEX_COLUMNS.replace(", lane", f", {_LANE}"),
            "id": "lower(hex(id))",
            "among_ids": "id in :ids",
            "among_queues": "queue in :queues",
            "among_lanes": "lane in :lanes",
            "lane": _LANE,
            "here": f"queue >= {bind('queue')} and queue <= {bind('queue')}",
            "never": str(NEVER),
            "now": NOW if own else "cast(:now as signed)",
            "boot": NOW if own else "cast(:boot as signed)",
            "locked": "for update",
            "free": "for update skip locked",
            **{word: f"force index ({index})" for word, index in INDEXES.items()},
        }
        return Statements("common.sql", "mysql/verbs.sql", "mysql/schema.sql", "mysql/schema_2.sql", words=words, bind=bind)

    # -- connections

    def _open(self) -> MysqlSession:
        lock, silence = max(1, int(self._url.timeout)), max(0.1, self._url.timeout) + SLACK
        try:
            connection: Any = pymysql.connect(
                **self._where,
                autocommit=True,
                charset="utf8mb4",
                connect_timeout=silence,
                read_timeout=silence,
                write_timeout=silence,
                init_command="set session tx_isolation = 'READ-COMMITTED', time_zone = '+00:00', "
                f"innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}",
                conv=encoders | decoders | {bytes: _hex},
            )
        except pymysql.MySQLError as error:
            raise refusal(error, self.url) from None
        session = MysqlSession(connection, self._statements, self._given)
        if not self._ready:
            try:
                self._prepare(session)
            except BaseException:
                session.close()
                raise
        return session

    def _given(self) -> Time:
        return (None, None) if self._own_time else (int(self.clock.now() * MICRO), int(self.clock.boot() * MICRO))

    def _prepare(self, session: MysqlSession) -> None:
        """Is it one that we can work with, and are the tables there?"""
        version, flush = session.ask("select version(), @@global.innodb_flush_log_at_trx_commit")[0]
        found = _MARIADB.match(version)
        if not found or (int(found[1]), int(found[2])) < OLDEST:
            raise ConfigError(f"{self.url}: that is {shown(version)}; ropeway needs MariaDB 10.6 or newer; nothing was opened")
        self._survives = "K" if flush == 1 else "P"
        if self._url.require and (self._url.require == "R" or self._url.require > self._survives):
            raise ConfigError(
                f"{self.url}: innodb_flush_log_at_trx_commit is {flush}, so an answer survives class {self._survives}, not "
                f"{self._url.require}; nothing was opened"
            )
        self.version_found = make_tables(session, self.url, "")
        self._ready = True

    # -- in the application's own transaction

    def guest(self, tx: Foreign) -> MysqlGuest:
        if self._invited is None:
            self._invited = self._made(bind, f"`{self._where['database']}`.")
        if not self._ready or not self._server:  # the tables, by a connection of ours: to make one ends a transaction
            self._server = self.desk.read(lambda session: session.ask(WHO))[0][2]  # type: ignore[attr-defined]
        return MysqlGuest(tx, self._invited, self._given, self._server, self.url)

    # -- topics

    def _bus(self) -> OwnBus:
        from ....buses.places import Port
        from ....buses.stream import StreamBus

        place = Port(self._url.bell_choice, str(self._where.get("host", "")))
        return StreamBus(self.url, self.notes, place, self.clock)

    # -- what it is worth

    def schema(self) -> list[str]:
        return schema_text(self._statements)

    def durability(self) -> Durability:
        if not self._survives:
            self.desk.read(lambda _: None)
        return Durability(self._survives)

    def check(self) -> list[Finding]:
        def work(session: Any) -> list[Finding]:
            version, flush, packet, depth = session.ask(
                "select version(), @@global.innodb_flush_log_at_trx_commit, @@global.max_allowed_packet, "
                "(select count(*) from information_schema.innodb_trx where trx_started < now() - interval 10 minute)"
            )[0]
            findings = [Finding("ok", f"{version}, class {self.durability()}")]
            if flush != 1:
                findings.append(
                    Finding(
                        "warning",
                        f"innodb_flush_log_at_trx_commit is {flush}: a power cut may undo the puts of the last second. Set it to 1",
                    )
                )
            if packet < 4 * 1024 * 1024:
                findings.append(
                    Finding("warning", f"max_allowed_packet is {packet} bytes: bodies near 1 MiB will be refused. Set it to 16M")
                )
            if depth:
                findings.append(
                    Finding("warning", f"{depth} transactions are open for more than ten minutes: what was deleted cannot be cleaned up")
                )
            return findings

        return self.desk.read(work)


def _address(url: StoreUrl) -> dict[str, Any]:
    """What the driver must be told of the server."""
    try:
        parts = urlsplit("mysql:" + url.rest)
        port, host = parts.port or 3306, parts.hostname or "127.0.0.1"
    except ValueError as error:
        raise ConfigError(f"{url.text}: {error}; nothing was opened") from None
    database = unquote(parts.path.strip("/"))
    if not url.rest.startswith("//") or not database or "/" in database:
        raise ConfigError(f"{url.text}: write mysql://USER:PASSWORD@HOST:PORT/DATABASE; nothing was opened")
    where: dict[str, Any] = {"host": host, "port": port, "database": database}
    where["user"] = unquote(parts.username) if parts.username else os.environ.get("USER", "root")
    where["password"] = unquote(parts.password or "")
    if "socket" in url.more:
        where["unix_socket"] = url.more["socket"]
    where |= {name: url.more[name] for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in url.more}
    return where


def _hex(value: bytes, _: object = None) -> str:
    return f"x'{value.hex()}'"
