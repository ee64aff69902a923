"""What `put` does: makes the jobs that the options ask for, stores them, and says their ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import click

from ..errors import Conflict
from ..job import BYTES, JSON, TEXT, Job
from ..options import PLAIN, PutOptions, file_job, make_job
from ..unique import edge_of, place
from .output import Row
from .session import Session
from .verdict import FAILED, USAGE, Failure

if TYPE_CHECKING:
    from .producer import Producer

INLINE = 1 << 18  # a body up to this size goes with its job even where it could be streamed
_SEPARATOR = {"lines": b"\n", "null": b"\0", "jsonl": b"\n"}


class Putting:
    """One run of `put`."""

    def __init__(self, session: Session, ctx: click.Context, options: dict[str, Any]) -> None:
        self.session = session
        self.queue: str = options["queue"]
        self.body: str | None = options["body"]
        self.files: tuple[str, ...] = options["files"]
        self.split: str | None = options["split"]
        self.wait: bool = options["wait"]
        self.producer: list[str] | None = ctx.meta.get("producer")
        self.whole: bool = options["whole"] or bool(self.producer and self.split)
        self.content_type: str = options["content_type"] or (JSON if options["task"] or self.split == "jsonl" else "")
        self.front: bool = options["front"]
        self.options = _put_options(options)
        self._check(options)
        self.settings = session.link.settings_of(self.queue) or PLAIN
        self.ids: list[str] = []

    def _check(self, options: dict[str, Any]) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        given = [name for name, there in (("BODY", self.body is not None), ("-f", self.files), (f"--{self.split}", self.split)) if there]
        if len(given) > 1:
            raise Failure(USAGE, f"put takes one of {' and '.join(given)}, not both; nothing was put")
        if not given and not options["task"]:
            raise Failure(
                USAGE,
                f"there is no body; nothing was put. Give one (ropeway put {self.queue} 'text'), - for stdin, -f FILE, or --lines",
            )
        if options["whole"] and not self.split:
            raise Failure(USAGE, "--whole goes with --lines, -0 or --jsonl; nothing was put")
        if (options["key"] or options["job_id"]) and (self.split or len(self.files) > 1):
            raise Failure(USAGE, "one key or id cannot stand for many jobs; nothing was put")
        if options["at"] and options["delay"]:
            raise Failure(USAGE, "give --at or --delay, not both; nothing was put")
        if options["front"] and (options["at"] or options["delay"] or options["debounce"] or options["priority"]):
            raise Failure(USAGE, "--front is due now, and before every priority: give no other place beside it; nothing was put")

    def run(self) -> int:
        with ExitStack() as stack:
            producer: Producer | None = None
            if self.producer:
                from .producer import Producer
                from .signals import termination, undisturbed

                stack.enter_context(termination())
                with undisturbed():  # or it would run on without us
                    producer = stack.enter_context(Producer(self.producer))
            if self.split:
                self._many(producer)
            else:
                self._print(self._one_by_one(producer, stack))
        if self.wait:
            from .waiting import wait_for

            return wait_for(self.session, self.queue, self.ids)
        return 0

    # One job an argument

    def _one_by_one(self, producer: Producer | None, stack: ExitStack) -> Iterator[Row]:
        jobs = [self._whole_input(name, producer, stack) for name in self.files or (("-",) if self.body == "-" else ())]
        if not jobs:
            jobs = [self._job(os.fsencode(self.body or ""))]
        yield from self._stored(jobs)

    def _whole_input(self, name: str, producer: Producer | None, stack: ExitStack) -> Job:
        """A job out of a file, stdin or a producer: with its body if it is small, else with a stream."""
        from ..source import Stream, whole
        from ..store import Feature

        if name != "-":
            file: IO[bytes] = stack.enter_context(open(name, "rb"))
            chunks = iter(lambda: file.read(INLINE), b"")
        elif producer:
            chunks = producer.body()
        else:
            from .reading import stdin

            chunks = iter(lambda: stdin().read(INLINE), b"")
        first = b""
        for chunk in chunks:
            first += chunk
            if len(first) > INLINE:
                break
        else:
            return self._job(first)
        source = Stream(_chain(first, chunks))
        if Feature.STREAM not in self.session.store.features:
            return self._job(whole(source, self.session.store.max_body))
        return file_job(self.session.link, self.queue, source, self.options, self.settings, self.content_type or BYTES)

    # A job a line

    def _many(self, producer: Producer | None) -> None:
        from .lines import LONGEST, as_they_come, batches
        from .reading import stdin

        assert self.split
        stream = producer.stdout if producer else stdin()
        lines = batches(stream, _SEPARATOR[self.split], min(LONGEST, self.session.store.max_body or LONGEST))
        if self.whole:
            count = self._print(self._held_back(lines, producer))
        else:
            count = self._print(as_they_come(lines, self._jobs, self._stored, self.session.out.stream.flush, "put"))
        if self.session.out.mode == "table":
            self.session.note(f"put {count:,} job{'' if count == 1 else 's'} into {self.queue}")

    def _held_back(self, lines: Iterator[list[bytes]], producer: Producer | None) -> Iterator[Row]:
        jobs: list[Job] = []
        read = 0
        for batch in lines:
            more, error = self._jobs(batch, read)
            if error:
                raise Failure(FAILED, f"{error}; nothing was put")
            jobs += more
            read += len(batch)
        if producer:
            producer.must_have_succeeded()
        if jobs:
            yield from self._stored(jobs)

    def _jobs(self, lines: list[bytes], before: int) -> tuple[list[Job], Failure | None]:
        """The jobs of these lines, up to the first that is wrong."""
        from .lines import sound

        rest = "" if self.whole else "; it and what follows were not put, the lines before are"
        good, error = sound(lines, before, json=self.split == "jsonl", rest=rest)
        return [self._job(line) for line in good], error

    # Common

    def _job(self, body: bytes) -> Job:
        return make_job(self.session.link, self.queue, body, self.content_type or type_of(body), self.options, self.settings)

    def _stored(self, jobs: list[Job]) -> Iterator[Row]:
        if not jobs:
            return
        edge = edge_of(self.options)
        ids = [job.id for job in jobs] if edge is None else [place(self.session.link, job, edge)[0] for job in jobs]
        if edge is None:
            answers = self.session.store.put(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                if not answer:
                    raise Conflict(f"the key {job.key!r} is held by a live job of {self.queue}; nothing was put", key=job.key)
        if self.front:
            from .operating import to_top

            to_top(self.session, self.queue, ids)  # one that is taken meanwhile is out already
        self.ids += ids if self.wait else ()
        for job_id in ids:
            yield {"id": job_id, "queue": self.queue}

    def _print(self, rows: Iterator[Row]) -> int:
        out = self.session.out
        if self.wait or out.quiet or (self.split and out.mode == "table"):
            return sum(1 for _ in rows)
        return out.rows(rows, lambda rows: (row["id"] for row in rows))


def type_of(body: bytes) -> str:
    """Text, if it is UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return BYTES
    return TEXT


def _chain(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


def _put_options(options: dict[str, Any]) -> PutOptions:
    """The options of the command line as those of a put, only what was given."""
    out: PutOptions = {}
    if options["priority"] is not None:
        out["priority"] = options["priority"]
    for name in ("delay", "key", "ttl", "task", "keep", "lane", "unique_for", "debounce", "debounce_max"):
        if options[name]:
            out[name] = options[name]
    if options["replace"]:
        out["on_conflict"] = "replace"
    if options["front"]:
        out["priority"] = 0
    if options["at"]:
        from .times import moment

        out["at"] = moment(options["at"])
    if options["headers"]:
        out["headers"] = headers(options["headers"])
    if options["job_id"]:
        out["id"] = options["job_id"]
    if options["wait"] and not options["keep"]:
        out["keep"] = 300.0  # or its end could not be told from its being deleted
    return out


def headers(pairs: tuple[str, ...]) -> dict[str, str]:
    """What -H says, given several times."""
    out = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Failure(USAGE, f"{pair[:80]!r} is no header; nothing was put. Write -H name=value")
        out[name] = value
    return out
