"""Handing files over: each goes through the stages of its row (record.py), so that no kill between two steps loses or doubles one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..errors import BadBody, BadValue
from ..job import BYTES, TEXT, Job, State
from ..link import Link
from ..options import PutOptions, file_job
from ..queue import Queue
from ..source import Stream, stream
from ..store import Feature, Query
from .files import Scope, Version, look, version
from .record import MEANT, PUT, RELEASED, Record, Row

ASLEEP = 50 * 365 * 86400.0  # seconds for which a job is put, until it is released
AT_ONCE = 1024  # files that go together: three syncs of the record, one put and one release
BYTES_AT_ONCE = 8 << 20  # of bodies that are held in memory
NEEDS = frozenset({Feature.DELAY, Feature.BROWSE})


class Told(NamedTuple):
    """What became of a file: its job's id, or why it has none."""

    path: str
    id: str = ""
    refused: str = ""


class Changed(Exception):
    """The file is not what it was when it was found finished."""


class Handing:
    """Makes jobs of files. `content`: a job's body is what is in the file, else its path. `move_to`: the folder to which a file goes
    before its job is released, on the same file system."""

    def __init__(
        self,
        link: Link,
        queue: Queue[Any],
        scope: Scope,
        record: Record,
        options: PutOptions,
        *,
        content: bool,
        move_to: str,
        told: Callable[[Told], None],
    ) -> None:
        self._link = link
        self._queue = queue
        self._scope = scope
        self._record = record
        self._options: PutOptions = {**options, "delay": ASLEEP}
        self._content = content
        self._move_to = move_to
        self._told = told
        self._streams = content and Feature.STREAM in link.store.features
        self._open: list[Row] = []
        # Where the process that puts is also the one that stores, or ids are unique, nobody puts a job again that is looked for first:
        # only a server may be at the put still of a watcher that is dead.
        self._once = link.url.startswith(("http:", "https:"))
        self._options["once"] = self._once
        self._model = queue.job(b"", BYTES, **self._options)  # what all jobs have alike
        self._doubtful: set[str] = set()  # jobs of which it is not known whether they were put

    @property
    def open(self) -> frozenset[str]:
        """The files that are on their way: taken up, and not handed over yet."""
        return frozenset(row.path for row in self._open)

    def take_up(self, rows: Iterable[Row]) -> None:
        """What an earlier watcher has left on its way."""
        left = [row for row in rows if row.stage < RELEASED]
        self._doubtful.update(row.job for row in left if row.stage == MEANT)
        self._open += left

    def begin(self, files: Sequence[tuple[str, Version]]) -> None:
        """Choose ids for these, and write them down. `finish` does the rest."""
        new_id = self._link.new_id
        rows = [Row(path, found, new_id(), MEANT, self._target(path)) for path, found in files]
        self._record.write(rows)
        self._open += rows

    def finish(self) -> None:
        """Bring all that is on its way to its end, as far as that is possible now. What the store raises leaves the rest on its way:
        call it again."""
        rows = self._open
        for at in range(0, len(rows), AT_ONCE):
            batch = rows[at : at + AT_ONCE]
            self._put([row for row in batch if row.stage == MEANT])
            paths = {row.path for row in batch}
            self._release([row for row in self._open if row.stage == PUT and row.path in paths])

    # The steps

    def _put(self, rows: Sequence[Row]) -> None:
        jobs: list[tuple[Row, Job]] = []
        size = 0
        for row in rows:
            try:
                self._move(row)
                job = self._job(row)
            except (Changed, FileNotFoundError):
                self._let_go(row)
                continue
            except BadBody as error:
                self._refuse(row, str(error))
                continue
            except OSError as error:
                self._refuse(row, f"it cannot be read: {os.strerror(error.errno or 0)}")
                continue
            jobs.append((row, job))
            size += len(job.body)
            if self._streams or size >= BYTES_AT_ONCE:
                self._store(jobs)
                jobs, size = [], 0
        self._store(jobs)

    def _store(self, jobs: Sequence[tuple[Row, Job]]) -> None:
        if not jobs:
            return
        try:
            self._put_new([job for _, job in jobs])
        except BadBody as error:
            if len(jobs) > 1:
                for one in jobs:
                    self._store((one,))
            else:
                self._refuse(jobs[0][0], str(error))
            return
        finally:
            for _, job in jobs:
                if job.source is not None:
                    job.source.close()
        put = []
        for row, _ in jobs:
            if look(self._path(row)) == row.version:
                put.append(row._replace(stage=PUT))
            else:
                self._let_go(row)  # written to while its content was read
        self._write(put)

    def _put_new(self, jobs: Sequence[Job]) -> None:
        """Put those that are not here yet. A job that was put sleeps, and so is found."""
        ids = [job.id for job in jobs]
        here: frozenset[str] = frozenset()
        if doubtful := self._doubtful.intersection(ids):
            found = self._link.store.browse(Query(queues=(self._queue.name,), ids=tuple(doubtful), limit=None))
            here = frozenset(entry.job.id for entry in found)
        self._doubtful.update(ids)
        if new := [job for job in jobs if job.id not in here]:
            self._queue.put_jobs(new)
        self._doubtful.difference_update(ids)

    def _release(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        ids = tuple(row.job for row in rows)
        query = Query(queues=(self._queue.name,), states=frozenset({State.DELAYED}), ids=ids, limit=None)
        asleep: frozenset[str] = frozenset()
        if self._link.store.requeue(query) < len(rows):
            asleep = self._asleep(ids)
        over = [row for row in rows if row.job not in asleep]
        self._write([row._replace(stage=RELEASED) for row in over])
        for row in over:
            self._told(Told(row.path, row.job))

    def _asleep(self, ids: tuple[str, ...]) -> frozenset[str]:
        """Which of these may sleep still. One that is held may be in the hand of somebody who died while releasing it, and then comes back
        asleep; or it runs already, and is asked for again until it does not. One that is not there has run and gone."""
        self._link.store.wait((self._queue.name,), 0.0)  # has the engine look whose holder has died
        late = self._link.clock.now() + ASLEEP / 2
        found = self._link.store.browse(Query(queues=(self._queue.name,), ids=ids, limit=None))
        return frozenset(
            entry.job.id for entry in found if entry.state is State.RUNNING or (entry.state is State.DELAYED and entry.due > late)
        )

    # What else may become of a file

    def _let_go(self, row: Row) -> None:
        """It is gone, or another version by now: that one will have a job of its own. This job still sleeps, if it is there at all."""
        query = Query(queues=(self._queue.name,), ids=(row.job,), limit=None)
        if not self._link.store.delete(query) and self._link.store.browse(query):
            return  # in the hand of somebody who died while releasing it: asked for again
        self._record.forget((row.path,))
        self._open = [other for other in self._open if other.path != row.path]

    def _refuse(self, row: Row, why: str) -> None:
        self._write((row._replace(stage=RELEASED, job=""),))
        self._told(Told(row.path, refused=why))

    def _write(self, rows: Sequence[Row]) -> None:
        """Write rows down in their new stage; those that are over leave. What was moved away is not looked for any more."""
        over = [row for row in rows if row.stage == RELEASED and row.target]
        self._record.write([row for row in rows if row not in over])
        self._record.forget([row.path for row in over])
        new = {row.path: row for row in rows}
        self._open = [row for old in self._open if (row := new.get(old.path, old)).stage < RELEASED]

    # Moving

    def _target(self, path: str) -> str:
        """A name that is free in the folder to move to, and from now on ours: an empty file stands there."""
        if not self._move_to:
            return ""
        wanted = f"{self._move_to}/{path}"
        os.makedirs(os.path.dirname(wanted), exist_ok=True)
        for number in range(1, 10_000):
            target = wanted if number == 1 else f"{wanted}~{number}"
            try:
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                return target
            except FileExistsError:
                continue
        raise BadValue(f"{wanted}: ten thousand files of that name are there already; nothing was moved")

    def _move(self, row: Row) -> None:
        if not row.target:
            return
        if look(self._scope.at(row.path)) == row.version:
            os.rename(self._scope.at(row.path), row.target)
        elif look(row.target) != row.version:
            if (empty := look(row.target)) is not None and empty.size == 0:
                os.unlink(row.target)
            raise Changed

    def _path(self, row: Row) -> str:
        return row.target or self._scope.at(row.path)

    # The job

    def _job(self, row: Row) -> Job:
        path = self._path(row)
        headers = {**self._model.headers, **_about(row)}
        if not self._content:  # whether it is still that version is looked at once the job is put
            body, kind = _as_text(path)
            return replace(self._model, id=row.job, body=body, content_type=kind, headers=headers)
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
        try:
            found = os.fstat(file.fileno())
            if version(found) != row.version or not stat.S_ISREG(found.st_mode):
                raise Changed
            if self._streams:
                options: PutOptions = {**self._options, "id": row.job, "headers": headers}
                return file_job(self._link, self._queue.name, Stream(iter(stream(file)), file.close), options, self._queue.settings)
            limit = self._link.store.max_body
            if limit is not None and found.st_size > limit:
                raise BadBody(
                    f"it has {found.st_size} bytes and this engine takes {limit}; put its path instead, or use the directory engine"
                )
            body = file.read(found.st_size + 1)
        except BaseException:
            file.close()
            raise
        file.close()
        if len(body) != found.st_size:
            raise Changed
        return replace(self._model, id=row.job, body=body, content_type=BYTES, headers=headers)


def _as_text(path: str) -> tuple[bytes, str]:
    """The path as a body: text, or bytes if it is none."""
    body = os.fsencode(path)
    try:
        body.decode()
    except UnicodeDecodeError:
        return body, BYTES
    return body, TEXT


def _about(row: Row) -> dict[str, str]:
    """Headers that tell of the file. A name that is no plain text stands in the body only."""
    told = {"file-size": str(row.version.size), "file-modified": f"{row.version.modified / 1e9:.6f}"}
    return {"file-name": row.path, **told} if row.path.isprintable() else told
