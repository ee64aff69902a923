"""The queue in a SQLite file: `sqlite:PATH`, also the file that an application keeps its own tables in."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence

from .... import living
from ....bus import OwnBus
from ....clock import SYSTEM, Clock
from ....errors import ConfigError, StoreError
from ....job import Job
from ....mounts import file_system
from ....names import shown
from ....store import Durability, Finding
from ....url import StoreUrl
from ..board import UdpRinging
from ..foreign import Foreign
from ..operating import check_new
from ..record import HEX_COLUMNS, NEVER
from ..schema import make_tables, schema_text
from ..session import Again
from ..statements import Statements
from ..store import MAX_BODY, SqlStore
from ..waiting import LONGEST, Bell
from ..words import INDEXES, OPTIONS, index_name, table_names
from .bell import HostBell
from .drivers import LIBRARIES, Connection, check_alone, code, connect, driver
from .guest import SqliteGuest, transaction_of
from .session import SqliteSession
from .turn import Turn

OWN_OPTIONS = OPTIONS | {"mode", "driver"}
SOUND = 3_051_003  # the first SQLite without the bug that corrupts a WAL file when it is reset under a writer (sqlite.org/wal.html)
REPAIRED = {3_044_006, 3_050_007}  # and those that were given the repair
NOT_A_DATABASE = 26
SESSIONS = 8
GLANCE = 0.05  # seconds until an idle worker sees what somebody has committed who rang no bell


class SqliteStore(SqlStore):
    """Jobs in a file of this host. In WAL mode, so that readers never wait; a network mount is refused, since WAL needs shared memory."""

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        if not url.rest or url.rest.startswith((":", "//")):
            raise ConfigError(f"{url.text}: name a file, such as sqlite:jobs.db; nothing was opened. For jobs in memory there is memory:")
        if url.require == "R" or (url.require == "K" and url.durability == "os"):
            raise ConfigError(
                f"{url.text}: survives class {'K' if url.durability == 'full' else 'P'}, not {url.require}; nothing was opened"
            )
        self._url = url
        self._path = os.path.abspath(url.rest)
        self._mode = _mode(url)
        self._driver = driver(_library(url))
        self._beside = f"{self._path}-ropeway"
        self._statements = Statements(
            "common.sql", "sqlite/verbs.sql", "sqlite/schema.sql", "sqlite/schema_2.sql", words=_words(url), bind=":{}".format
        )
        self._ready = 0  # the process in which the file was found fit
        self._turn: Turn | None = None
        bell: UdpRinging | HostBell
        if url.bell_choice.kind == "udp":
            bell = UdpRinging(url.bell_choice, clock, "", behind=LONGEST)
        else:
            glance = GLANCE if clock is SYSTEM else 1.0  # a clock that is set by hand would jump from one to the next
            bell = HostBell(self._beside, f"{url.namespace}+", self._mode, self._connect, self._driver.error, url.bell != "off", glance)
        self._bell: Bell = bell
        super().__init__(url, clock, self._open, bell, sessions=SESSIONS)

    # -- connections

    def _open(self) -> SqliteSession:
        connection = self._connect()
        assert self._turn is not None
        return SqliteSession(connection, self._driver, self._statements, self._time, self._turn)

    def _time(self) -> tuple[float, float]:
        return self.clock.now(), self.clock.boot()

    def _connect(self) -> Connection:
        if self._ready != os.getpid():
            self._prepare()
        return self._connected()

    def _connected(self) -> Connection:
        try:
            return connect(self._driver, self._path, _Patience(self._url.timeout), self._url.timeout)
        except self._driver.error as error:
            raise StoreError(f"{self.url}: SQLite: {error}; nothing was done. Look with `ropeway check`", definite=True) from None

    def _prepare(self) -> None:
        """Make the file, the folder beside it and the tables, where they are not there."""
        folder = os.path.dirname(self._path)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            kind = file_system(folder)
            if kind.shared:
                raise ConfigError(
                    f"{self.url}: {folder} is on {kind.kind}, where SQLite's locks do not hold; nothing was opened. "
                    "Use a local disk, or a dir: store, which works there"
                )
            try:  # never opened but by SQLite once it is there: closing any descriptor of it would drop SQLite's locks
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, self._mode))
            except FileExistsError:
                pass
            check_alone(self._driver, self._path, self.url)
            os.makedirs(self._beside, mode=self._mode | (self._mode & 0o444) >> 2, exist_ok=True)
            self._turn = turn = Turn(f"{self._beside}/turn", self._mode, self._url.timeout)
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror}: {error.filename}; nothing was done", definite=True) from None
        connection = self._connected()
        try:
            if connection.pragma("journal_mode") != "wal":
                turn.take()  # of two who switch a new file at once, SQLite tells one that it is locked, whatever its patience
                try:
                    connection.pragma("journal_mode", "wal")
                finally:
                    turn.leave()
            session = SqliteSession(connection, self._driver, self._statements, self._time, self._turn)
            self.version_found = make_tables(session, self.url, living.boot())
        except Again:
            raise StoreError(f"{self.url}: another process has it for {self._url.timeout:g} s; nothing was done", definite=True) from None
        except self._driver.error as error:
            if code(error) == NOT_A_DATABASE:
                raise ConfigError(f"{self.url}: {self._path} is no SQLite database; nothing was opened") from None
            raise StoreError(f"{self.url}: SQLite: {error}; nothing was done. Look with `ropeway check`", definite=True) from None
        finally:
            connection.close()
        self._ready = os.getpid()

    # -- one job

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        if len(jobs) == 1:
            job = check_new(jobs, self.url, MAX_BODY)[0]
            given = job.created, job.due
            if self.desk.quickly(lambda session, durable: session.put_quick(job, durable), not job.fleeting):  # type: ignore[attr-defined]
                self._bell.ring((job.queue,))
                return [True]
            job.created, job.due = given
        return super().put(jobs)

    # -- in the application's own transaction

    def guest(self, tx: Foreign) -> SqliteGuest:
        connection = transaction_of(tx, self._driver, self._path, self.url)
        guest = SqliteGuest(connection, self._driver, self._statements, self._time, None)
        guest.settle_in(self.url)
        return guest

    def meet(self, queues: set[str], laned: set[str]) -> None:
        """Nothing: who writes to this database has it for himself anyway, and another connection of ours could not."""

    # -- topics

    def _bus(self) -> OwnBus:
        from ....buses.places import Folder
        from ....buses.stream import StreamBus

        return StreamBus(self.url, self.notes, Folder(self._ears, lambda: True), self.clock)

    def _ears(self) -> tuple[int, int]:
        """The folder for the sockets of those who listen, opened, and their mode."""
        folder = f"{self._beside}/{self._url.namespace}+.listen"  # no queue's name begins with a dot
        try:
            os.makedirs(folder, mode=self._mode | (self._mode & 0o444) >> 2, exist_ok=True)
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), self._mode
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror}: {folder}; nothing was done", definite=True) from None

    # -- what it is worth

    def schema(self) -> list[str]:
        return schema_text(self._statements)

    def durability(self) -> Durability:
        return Durability.KERNEL if self._url.durability == "full" else Durability.PROCESS

    def check(self) -> list[Finding]:
        which = self._driver
        findings = [Finding("ok", f"{self._path}: SQLite {which.version} by {which.name}, class {self.durability()}")]
        if which.number < SOUND and which.number not in REPAIRED:
            advice = "pip install -U apsw" if which.name == "apsw" else "write from processes without driver=sqlite3 where you can"
            findings.append(Finding("warning", f"SQLite {which.version} can, very rarely, corrupt a WAL file: {advice}"))

        def work(session: object) -> list[Finding]:
            assert isinstance(session, SqliteSession)
            found = [row[0] for row in session.connection.execute("pragma quick_check(5)") if row[0] != "ok"]
            return [Finding("fault", f"the file is damaged: {text}; keep a copy, then: sqlite3 FILE .recover") for text in found]

        return findings + self.desk.read(work)


class _Patience:
    """SQLite's busy handler: waits for others that write without taking their turn."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0

    def __call__(self, times: int) -> bool:
        if not times:
            self._end = time.monotonic() + self._seconds
        time.sleep(random.uniform(0.0001, 0.002))  # of a lock between processes, not of the store's time
        return time.monotonic() < self._end


# ids come as one blob, of 16 bytes each: older SQLite has no unhex()
AMONG_IDS = (
    "id in (with recursive pieces(at) as (values (1) union all select at + 16 from pieces where at + 16 <= length(:ids)) "
    "select substr(:ids, at, 16) from pieces)"
)


def _library(url: StoreUrl) -> str:
    name = url.more.get("driver", LIBRARIES[0])
    if name not in LIBRARIES:
        raise ConfigError(f"{url.text}: driver={shown(name)} is not possible, choose one of: {' '.join(LIBRARIES)}; nothing was opened")
    return name


def _words(url: StoreUrl) -> dict[str, str]:
    words = table_names(url)
    words |= {f"job_{name}": index_name(url, name) for name in ("id", "due", "moment", "ended", "key")}
    words |= {f"place_{name}": f'{words["place"][:-1]}_{name}"' for name in ("ends", "order")}
    return words | {
        "columns": HEX_COLUMNS,
        "id": "lower(hex(id))",
        "among_ids": AMONG_IDS,
        "among_queues": "queue in (select value from json_each(:queues))",
        "among_lanes": "lane in (select value from json_each(:lanes))",
        "lane": "lane",
        "never": str(NEVER),
        "now": ":now",
        "boot": ":boot",
        "locked": "",
        "free": "",
        **dict.fromkeys(INDEXES, ""),
        **{f"by_{name}": f"indexed by {words[f'job_{name}']}" for name in ("id", "due", "moment")},
    }


def _mode(url: StoreUrl) -> int:
    text = url.more.get("mode", "600")
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777 or mode & 0o600 != 0o600:
        raise ConfigError(f"{url.text}: mode={shown(text)} is no file mode in octal that lets its owner read and write; nothing was opened")
    return mode
