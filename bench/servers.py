"""Servers to measure on: PostgreSQL and MariaDB as they stand, in databases of the run's own; Redis as a server that the run starts.

How safe a put is, is set where it holds for everybody who connects: on the database (PostgreSQL), or on the server.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ropeway.mounts import file_system

PREFIX = "ropeway_bench"
ROOMS = 64


class NoServer(Exception):
    """Nothing to measure on."""


def _on(folder: str) -> str:
    """What its data lie on, where that can be seen from here."""
    return f" on {file_system(folder).kind}" if os.path.isdir(folder) else ""


class Postgres:
    """A database for each row. `full`: synchronous_commit on; `os`: off, set on the database."""

    name = "server"

    def __init__(self, connection: Any, url: str) -> None:
        self._connection, self._url = connection, url
        self._numbers = count()
        shown = ("server_version", "data_directory", "fsync", "wal_sync_method")
        version, folder, fsync, method = (connection.execute(f"show {name}").fetchone()[0] for name in shown)
        self.what = (
            f"PostgreSQL {version.split()[0]}{_on(folder)}, fsync={fsync} by {method}; full: synchronous_commit=on, os: off, for all"
        )

    def room(self, durability: str) -> str:
        name = f"{PREFIX}_{os.getpid()}_{next(self._numbers)}"
        self._connection.execute(f"create database {name}")
        self._connection.execute(f"alter database {name} set synchronous_commit = {'on' if durability == 'full' else 'off'}")
        return f"{self._url}/{name}"

    def settled(self, room: str) -> None:
        """As autovacuum does within a minute."""
        import psycopg

        with psycopg.connect(room, autocommit=True) as connection:
            connection.execute("vacuum analyze")

    def statements(self, room: str) -> int:
        """Transactions in the room's database so far; the server tells of them with a second's delay."""
        query = "select xact_commit + xact_rollback from pg_stat_database where datname = %s"
        return int(self._connection.execute(query, (urlsplit(room).path[1:],)).fetchone()[0])

    def leave(self, rooms: list[str]) -> None:
        for room in rooms:
            self._connection.execute(f"drop database if exists {urlsplit(room).path[1:]} with (force)")


@contextmanager
def postgres(url: str | None, above: str) -> Iterator[Postgres]:
    """The server at that URL, or on this machine."""
    import psycopg

    url = (url or "postgresql://postgres@127.0.0.1:5432").rstrip("/")
    try:
        connection = psycopg.connect(f"{url}/postgres", autocommit=True)
    except psycopg.Error as error:
        raise NoServer(f"no PostgreSQL at {url}: {error}") from None
    with connection:
        yield Postgres(connection, url)


class MariaDB:
    """A database for each row; how safe a commit is, is the server's setting, and told."""

    name = "server"

    def __init__(self, connection: Any, url: str) -> None:
        self._connection, self._url = connection, url
        self._numbers = count()
        self._asked = 0
        version, folder, flush, log = self._told("select @@version, @@datadir, @@innodb_flush_log_at_trx_commit, @@log_bin")
        binary = "on" if int(log) else "off"
        self.what = f"MariaDB {version.split('-')[0]}{_on(folder)}, innodb_flush_log_at_trx_commit={flush}, binary log {binary}"

    def _told(self, statement: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()

    def room(self, durability: str) -> str:
        name = f"{PREFIX}_{os.getpid()}_{next(self._numbers)}"
        self._told(f"create database {name} character set utf8mb4")
        return f"{self._url}/{name}"

    def settled(self, room: str) -> None:
        pass

    def statements(self, room: str) -> int:
        """Of everybody, but for those that ask for this."""
        self._asked += 1
        return int(self._told("show global status like 'Questions'")[1]) - self._asked

    def leave(self, rooms: list[str]) -> None:
        for room in rooms:
            self._told(f"drop database if exists {urlsplit(room).path[1:]}")


@contextmanager
def mariadb(url: str | None, above: str) -> Iterator[MariaDB]:
    """The server at that URL, or on this machine."""
    import pymysql

    url = (url or "mysql://root@127.0.0.1:3306").rstrip("/")
    at = urlsplit(url)
    try:
        connection = pymysql.connect(
            host=at.hostname or "127.0.0.1", port=at.port or 3306, user=at.username or "root", password=at.password or "", autocommit=True
        )
    except pymysql.Error as error:
        raise NoServer(f"no MariaDB at {url}: {error}") from None
    with connection:
        yield MariaDB(connection, url)


class Redis:
    """Two servers of the run's own, and a database number for each row. `os`: a log synced each second; `full`: at each write."""

    name = "server"

    def __init__(self, ports: dict[str, int], version: str) -> None:
        self._ports = ports
        self._free = {durability: list(range(ROOMS)) for durability in ports}
        self.what = f"Redis {version}, the run's own; os: appendfsync=everysec, full: appendfsync=always"

    def room(self, durability: str) -> str:
        return f"redis://127.0.0.1:{self._ports[durability]}/{self._free[durability].pop(0)}"

    def settled(self, room: str) -> None:
        pass

    def statements(self, room: str) -> int:
        """Commands that this server has run, but for those that ask for this."""
        import redis

        told = redis.Redis.from_url(room).info("commandstats")
        return sum(one["calls"] for name, one in told.items() if name not in ("cmdstat_info", "cmdstat_client|setinfo"))

    def leave(self, rooms: list[str]) -> None:
        import redis

        for room in rooms:
            redis.Redis.from_url(room).flushdb()
            at = urlsplit(room)
            for durability, port in self._ports.items():
                if port == at.port:
                    self._free[durability].append(int(at.path[1:]))


@contextmanager
def own_redis(url: str | None, above: str) -> Iterator[Redis]:
    """Both servers, stopped at the end, and their folders removed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if url or not program:
        raise NoServer("the bench starts Redis servers of its own: it needs redis-server in PATH, and takes no --server")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=above)))
        ports = {}
        for durability, policy in (("os", "everysec"), ("full", "always")):
            ports[durability] = stack.enter_context(_running(program, folder / durability, policy))
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        yield Redis(ports, told.partition("v=")[2].split()[0])


@contextmanager
def _running(program: str, folder: Path, policy: str) -> Iterator[int]:
    import redis

    folder.mkdir()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    settings = {"port": port, "bind": "127.0.0.1", "dir": folder, "databases": ROOMS, "save": "", "appendonly": "yes"}
    settings |= {"appendfsync": policy, "auto-aof-rewrite-percentage": 0}
    command = [program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100))
        client.ping()
        yield port
    finally:
        server.terminate()
        server.wait()


SERVERS: dict[str, Callable[[str | None, str], AbstractContextManager[Any]]] = {
    "postgres": postgres,
    "mariadb": mariadb,
    "redis": own_redis,
}
