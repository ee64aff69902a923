"""What has become of each file: a small SQLite file in the user's state folder, written before and after each step, so that a watcher that
is killed at any moment goes on where it was.

A file goes through three stages:

    MEANT       a job id is chosen for it; perhaps the job is in the store, put for a day that never comes, perhaps not
    PUT         the job is in the store, and still asleep
    RELEASED    the job was made ready: from now on it is the workers', and nothing is asked about it any more

A job that sleeps cannot have run and gone, so MEANT is settled by putting it under its id if it is not there, and PUT by releasing it
again. No moment is left in which it is unknown whether a file has had its job.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from ..errors import ConfigError, StoreError
from .files import Version

MEANT, PUT, RELEASED = 0, 1, 2
FORMAT = 1

_SCHEMA = """
create table file (
    path blob primary key, inode integer not null, size integer not null, modified integer not null,
    job text not null, stage integer not null, target blob not null
) without rowid
"""


class Row(NamedTuple):
    """A file and its job. `target`: where the file is moved to, "" when it stays."""

    path: str
    version: Version
    job: str = ""
    stage: int = RELEASED
    target: str = ""


class Record:
    """The rows of one watched folder and queue. One watcher at a time: ConfigError for a second one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.new = not os.path.exists(file)
        try:
            os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._lock = _locked(f"{file}.lock")
            self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"{file}: the record of the watched folder cannot be kept there ({error}); nothing was watched") from None

    def _open(self) -> None:
        run = self._database.execute
        run("pragma journal_mode = truncate")
        run("pragma synchronous = full")
        (found,) = run("pragma user_version").fetchone()
        if found > FORMAT:
            raise sqlite3.DatabaseError(f"it was written by a newer ropeway, in format {found}; this one knows {FORMAT}")
        if not found:
            self.new = True
            run("begin exclusive")
            run(_SCHEMA)
            run(f"pragma user_version = {FORMAT}")
            run("commit")

    @property
    def folder(self) -> int:
        """The mark of the folder in which the files were; 0: not known."""
        (found,) = self._database.execute("pragma application_id").fetchone()
        return int(found)

    @folder.setter
    def folder(self, mark: int) -> None:
        try:
            self._database.execute(f"pragma application_id = {mark}")
        except sqlite3.Error as error:
            raise self._unwritten(error) from None

    def rows(self) -> list[Row]:
        """All of them."""
        found = self._database.execute("select path, inode, size, modified, job, stage, target from file")
        return [
            Row(os.fsdecode(path), Version(inode, size, modified), job, stage, os.fsdecode(target))
            for path, inode, size, modified, job, stage, target in found
        ]

    def write(self, rows: Iterable[Row]) -> None:
        """Write these, each in place of what stood there for its path; on the disk when it answers."""
        values = [(os.fsencode(row.path), *row.version, row.job, row.stage, os.fsencode(row.target)) for row in rows]
        self._change("insert or replace into file values (?, ?, ?, ?, ?, ?, ?)", values)

    def forget(self, paths: Iterable[str]) -> None:
        """Remove the rows of these."""
        self._change("delete from file where path = ?", [(os.fsencode(path),) for path in paths])

    def _change(self, statement: str, values: Sequence[tuple[object, ...]]) -> None:
        if not values:
            return
        try:
            self._database.execute("begin immediate")
            try:
                self._database.executemany(statement, values)
                self._database.execute("commit")
            except BaseException:
                self._database.execute("rollback")
                raise
        except sqlite3.Error as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self.file}: cannot be written ({error}); the files wait", definite=True)

    def close(self) -> None:
        """May be called twice."""
        self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def mark_of(folder: os.stat_result) -> int:
    """What tells a folder from another one of its path: as much of its inode as the record has room for, and never 0."""
    return folder.st_ino % (2**31 - 1) + 1


def file_of(state: str, folder: str, url: str, queue: str) -> str:
    """Where the record of this folder, store and queue is kept."""
    name = blake2b("\0".join((folder, url, queue)).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return f"{state}/watch/{name}.db"


def _locked(file: str) -> int:
    import fcntl

    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ConfigError(f"{file}: another `ropeway watch` puts the files of this folder into this queue; nothing was watched") from None
    return fd
