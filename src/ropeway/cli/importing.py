"""Reading exported jobs and bringing them in as they stood: id, place, attempts with errors, dead or done.

Jobs that are here already are left as they stand, so an import that was broken off is run again with the same file.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import msgspec

from ..demands import check_entries
from ..errors import RopewayError
from ..job import Attempt, Job, State
from ..source import Stream, whole
from ..store import Entry, Feature, Query
from .exporting import FORMAT, PLAIN, VERSION
from .session import Session
from .verdict import CONFLICT, DONE, FAILED, Failure, verdict

BATCH = 1000
BATCH_BYTES = 4 << 20
LONGEST_LINE = 256 << 20
_ANY = frozenset(Feature)


class Record(NamedTuple):
    """One job of the file, and how many lines with its body follow."""

    line: int
    entry: Entry
    parts: int


class Importing:
    """One run of `import`."""

    def __init__(self, session: Session, file: IO[bytes], *, partial: bool) -> None:
        self.session = session
        self.store = session.store
        self.partial = partial
        self.imported = 0
        self.passed_over = 0
        self.refused: list[str] = []
        self._file = file
        self._line = 0
        self._empty: dict[str, bool] = {}  # by queue: whether it was, before this import

    def run(self) -> int:
        batch: list[Record] = []
        size = 0
        try:
            for record in self._records():
                if record.parts:
                    self._take(batch)
                    batch, size = [], 0
                    self._take([record])
                    continue
                batch.append(record)
                size += len(record.entry.job.body)
                if len(batch) >= BATCH or size >= BATCH_BYTES:
                    self._take(batch)
                    batch, size = [], 0
        except Failure:
            self._take(batch)  # what stands before the line that is wrong
            raise
        self._take(batch)
        return self._tell()

    def _tell(self) -> int:
        counts = {"imported": self.imported, "already_there": self.passed_over, "refused": len(self.refused)}
        if not self.session.quiet:
            there = f", {self.passed_over:,} were here already" if self.passed_over else ""
            self.session.out.one(counts, [f"imported {self.imported:,} job{'' if self.imported == 1 else 's'}{there}"], name="imported")
        if self.refused:
            shown = " ".join(self.refused[:3]) + (f" and {len(self.refused) - 3} more" if len(self.refused) > 3 else "")
            raise Failure(CONFLICT, f"{shown}: not imported, since live jobs hold their keys; the others are here")
        return DONE

    # -- the lines

    def _rows(self) -> Iterator[dict[str, Any]]:
        while line := self._file.readline(LONGEST_LINE):
            self._line += 1
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                cut = "is cut off" if not line.endswith(b"\n") else f"is no JSON ({error})"
                raise self._wrong(cut) from None
            if not isinstance(row, dict):
                raise self._wrong("is no JSON object")
            yield row

    def _records(self) -> Iterator[Record]:
        """The jobs of the file, checked; Failure at the first line that is wrong."""
        rows = self._rows()
        self._check_head(next(rows, None))
        count = 0
        ended = False
        for row in rows:
            if row.get("format") == FORMAT:  # two exports, one behind the other
                self._check_head(row)
                count, ended = 0, False
            elif row.get("end") is True:
                if row.get("jobs") != count and not self.partial:
                    raise self._wrong(
                        f"says that there are {row.get('jobs')} jobs, but {count} stand before it. Add --partial if that is meant"
                    )
                ended = True
            else:
                record = self._record(row)
                parts = self._parts(rows, record)
                if record.parts:
                    record.entry.job.source = Stream(parts)
                yield record
                for _ in parts:  # passed over, since the job is here already
                    pass
                count += 1
        if not ended and not self.partial:
            raise Failure(
                FAILED,
                f"the file ends after line {self._line}, without the line that counts its jobs: it was cut off. "
                "The jobs that stand in it are imported; add --partial if that is meant",
            )

    def _check_head(self, row: dict[str, Any] | None) -> None:
        if row is None or row.get("format") != FORMAT:
            raise Failure(FAILED, f'this is no export of ropeway: its first line must be {{"format":"{FORMAT}",...}}; nothing was imported')
        version = row.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise Failure(
                FAILED,
                f"line {self._line}: format version {version!r}, this ropeway reads up to {VERSION}: update it; nothing more was imported",
            )

    def _record(self, row: dict[str, Any]) -> Record:
        try:
            fields = {"id": row["id"], "queue": row["queue"], **{name: row[name] for name in PLAIN if name in row}}
            state = State(row.get("state", "ready"))
            history = msgspec.convert(row.get("history", []), list[_History])
            result = _bytes(row, "result") if "result" in row or "result_base64" in row else None
            parts, due = row.get("parts", 0), float(row.get("due", 0.0))
            if type(parts) is not int or parts < 0:
                raise ValueError("parts are counted")
            job = Job(**msgspec.structs.asdict(msgspec.convert(fields, _Plain)), body=b"" if parts else _bytes(row, "body"))
            job.created = float(row.get("created", 0.0))
            job.due = due if state in (State.READY, State.DELAYED, State.RUNNING) else job.created
            entry = Entry(
                job, state, due, row.get("attempts", 0), row.get("deaths", 0), result=result, result_type=row.get("result_type", "")
            )
            entry.history = [Attempt(*msgspec.structs.astuple(attempt)) for attempt in history]
            check_entries([entry], _ANY, self.store.max_body)
        except (KeyError, TypeError, ValueError, msgspec.ValidationError, RopewayError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else f"is no job: {str(error).partition('; nothing')[0]}"
            raise self._wrong(what) from None
        return Record(self._line, entry, parts)

    def _parts(self, rows: Iterator[dict[str, Any]], record: Record) -> Iterator[bytes]:
        for _ in range(record.parts):
            row = next(rows, None)
            if row is None or not isinstance(row.get("part"), str):
                raise Failure(
                    FAILED,
                    f"line {record.line}: the body of {record.entry.job.id} is not whole; the job and what follows were not imported",
                )
            try:
                yield b64decode(row["part"], validate=True)
            except ValueError:
                raise self._wrong("is no part of a body") from None

    def _wrong(self, what: str) -> Failure:
        return Failure(FAILED, f"line {self._line} {what}. It and what follows were not imported, the jobs before it are")

    # -- the jobs

    def _take(self, batch: list[Record]) -> None:
        """Store a batch and give each its past."""
        if not batch:
            return
        try:
            self._put(batch)
        except RopewayError as error:
            code, text = verdict(error)
            raise Failure(
                code, f"lines {batch[0].line} to {batch[-1].line}: {text}. Run the import again: what is here is passed over"
            ) from error

    def _here(self, batch: list[Record]) -> set[str]:
        """Those of the jobs that are in this store already. Queues that were empty at the beginning need no look."""
        for queue in {record.entry.job.queue for record in batch} - self._empty.keys():
            counts = self.store.counts([queue])[queue]
            self._empty[queue] = not sum((counts.ready, counts.delayed, counts.running, counts.dead, counts.done))
        ids = tuple(record.entry.job.id for record in batch if not self._empty[record.entry.job.queue])
        return {entry.job.id for entry in self.store.browse(Query(ids=ids, limit=None))} if ids else set()

    def _put(self, batch: list[Record]) -> None:
        here = self._here(batch)
        new = [record for record in batch if record.entry.job.id not in here]
        self.passed_over += len(batch) - len(new)
        for record in new:
            job = record.entry.job
            if record.parts and Feature.STREAM not in self.store.features:
                job.body, job.source = whole(job.source, self.store.max_body), None
        answers = self.store.bring([record.entry for record in new])
        self.refused += [record.entry.job.id for record, answer in zip(new, answers, strict=True) if not answer]
        self.imported += answers.count(True)


def _bytes(row: dict[str, Any], field: str) -> bytes:
    if isinstance(row.get(field), str):
        data: bytes = row[field].encode()
        return data
    return b64decode(row[field + "_base64"], validate=True)


class _Plain(msgspec.Struct):
    """The fields of a job that the row holds as they are, with their types."""

    id: str
    queue: str
    content_type: str = PLAIN["content_type"]
    headers: dict[str, str] = {}
    priority: int = 50
    key: str = ""
    ttl: float = 0.0
    keep: float = 0.0
    task: str = ""
    lane: str = ""
    delay: float = 0.0
    once: bool = False


class _History(msgspec.Struct):
    """An attempt as the row holds it: by name, so that it may grow."""

    number: int
    started: float
    ended: float
    worker: str
    outcome: str
    error: str = ""
    traceback: str = ""
    log: str = ""
