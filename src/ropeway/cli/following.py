"""What `wait` and `log` do, and what `run -f` does after the put: they look on until jobs have ended, and answer how."""

from __future__ import annotations

import codecs
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, Any

from ..calls.endings import ENDED, endings, look
from ..job import WAITING, State
from ..names import ended
from ..shell.command import CONTENT_TYPE, code_of, is_apart, line_of
from ..shell.output import ERRORS, FileReader, NoteReader, Part
from ..store import Entry, Query
from .clean import clean, clean_lines
from .finding import find, newest
from .looking import pages
from .output import Row, say
from .own import outputs, see_to_it
from .params import default_queue
from .session import Session
from .verdict import DONE, FAILED, NOTHING, SOME_DEAD, USAGE, Failure

SOON, LATER = 0.1, 1.0  # seconds between two looks, while something is printed and while nothing is
MISS = 0.02
AGAIN = 5.0  # seconds after which it is looked again whether somebody works: one that was killed may have been dying still


def wait(session: Session, words: Sequence[str], queue: str | None, *, test: bool) -> int:
    """Until these have ended, or all of the queue."""
    queue = queue or default_queue()
    if words:
        entries = find(session, words, queue, done="waited for")
    else:
        entries = list(pages(session, Query(queues=(queue,), states=WAITING | {State.RUNNING}, limit=None)))
    if test:
        return FAILED if any(entry.state not in ENDED for entry in entries) else DONE
    queues: dict[str, list[str]] = {}
    for entry in entries:
        queues.setdefault(entry.job.queue, []).append(entry.job.id)
    before, codes = {entry.job.id: entry for entry in entries}, dict[str, int]()

    def over() -> Iterator[Row]:
        for name, ids in queues.items():
            left = dict.fromkeys(ids)
            while left:
                see_to_it(session, name)
                for job_id, entry in endings(session.link, name, list(left), AGAIN):
                    del left[job_id]
                    codes[job_id] = _code(before[job_id], entry)
                    yield _row(name, job_id, entry)
                    session.out.stream.flush()

    if session.quiet:
        for _ in over():
            pass
    else:
        with session.out.listing(lambda row: (clean(_told(row)),)) as emit:
            for row in over():
                emit(row)
    return next((code for entry in entries if (code := codes[entry.job.id])), DONE)


def _code(before: Entry, entry: Entry | None) -> int:
    if entry is None:  # a job that nobody asked to keep leaves when it is done
        return NOTHING if before.job.content_type == CONTENT_TYPE or before.job.keep else DONE
    code = code_of(entry) if entry.job.content_type == CONTENT_TYPE else None
    return code if code is not None else SOME_DEAD if entry.state is State.DEAD else DONE


def _row(queue: str, job_id: str, entry: Entry | None) -> Row:
    row: Row = {"id": job_id, "queue": queue, "state": str(entry.state) if entry else "gone"}
    if entry and entry.job.content_type == CONTENT_TYPE and (code := code_of(entry)) is not None:
        row["exit"] = code
    if entry and entry.error:
        row["error"] = entry.error
    return row


def _told(row: Row) -> str:
    return f"{row['id']}  {row['state']}" + (f": {row['error']}" if "error" in row else "")


def stay(session: Session, queue: str, job_id: str, *, apart: bool = False) -> int:
    """See a command through: its output, then its exit code. `apart`: what it says on standard error, on ours."""
    errors = Follower(session, queue, job_id, raw=False, stderr=True, out=sys.stderr.buffer) if apart else None
    entry = Follower(session, queue, job_id, raw=False, beside=errors).follow()
    if entry is None:
        raise Failure(NOTHING, f"job {job_id} was taken away before it ended")
    code = _code(entry, entry)
    if code and code_of(entry) is None:
        say(f"ropeway: {entry.error}")
    return code


def log(session: Session, words: Sequence[str], options: dict[str, Any]) -> int:
    """Print what they printed, one after the other."""
    queue = options["queue"] or default_queue()
    if words and options["every"]:
        raise Failure(USAGE, "log takes ids or --all, not both; nothing was printed")
    entries = (
        find(session, words, queue, done="printed") if words else _unended(session, queue) if options["every"] else _current(session, queue)
    )
    if not entries:
        what = "no command runs or waits" if options["every"] else "there is no command"
        raise Failure(NOTHING, f"{what} in {queue}; nothing was printed. Put one: ropeway run -- CMD")
    for number, entry in enumerate(entries):
        if len(entries) > 1 and not session.quiet and not options["path"]:
            session.out.line(f"{chr(10) if number else ''}==> {entry.job.id}  {clean(line_of(_body(entry)))} <==")
        _print_log(session, entry, options)
    return DONE


def _print_log(session: Session, entry: Entry, options: dict[str, Any]) -> None:
    if entry.job.content_type != CONTENT_TYPE:
        raise Failure(USAGE, f"job {entry.job.id} is no command, so nothing that it prints is kept; see: ropeway show {entry.job.id}")
    if options["stderr"] and not is_apart(_body(entry)):
        raise Failure(
            NOTHING, f"what job {entry.job.id} said on standard error stands in its output; nothing was printed. Put it with --apart"
        )
    if options["path"]:
        folder = outputs(session)
        if folder is None:
            raise Failure(NOTHING, "what it printed is in the store, not in a file; leave --path away")
        session.out.line(f"{folder}/{entry.job.id}{ERRORS if options['stderr'] else ''}")
        return
    follower = Follower(session, entry.job.queue, entry.job.id, raw=options["raw"], stderr=options["stderr"])
    if options["lines"] is not None:
        follower.last_lines(options["lines"])
    if options["follow"]:
        see_to_it(session, entry.job.queue)
        follower.follow()
    else:
        follower.print_new()
        follower.finish()


def _body(entry: Entry) -> bytes:
    return entry.job.body if entry.job.source is None else bytes(entry.job.source.read())


def _current(session: Session, queue: str) -> list[Entry]:
    """The command that runs, the last begun of several; else the last that was put."""
    running = _commands(session, queue, State.RUNNING)
    best = max(running, key=lambda entry: entry.job.id) if running else newest(session, queue)
    return [] if best is None else [best]


def _unended(session: Session, queue: str) -> list[Entry]:
    """Those that run, then those that wait, in their order."""
    waiting = _commands(session, queue, *WAITING)
    waiting.sort(key=lambda entry: (entry.job.priority, entry.due, entry.job.id))
    return _commands(session, queue, State.RUNNING) + waiting


def _commands(session: Session, queue: str, *states: State) -> list[Entry]:
    found = pages(session, Query(queues=(queue,), states=frozenset(states), limit=None))
    return [entry for entry in found if entry.job.content_type == CONTENT_TYPE]


class Follower:
    """Prints what a command prints, as it comes. `stderr`: what it says there, where that is kept apart. `out`: onto this stream. `beside`:
    another one, that prints when this one does."""

    def __init__(
        self,
        session: Session,
        queue: str,
        job_id: str,
        *,
        raw: bool,
        stderr: bool = False,
        out: IO[bytes] | None = None,
        beside: Follower | None = None,
    ) -> None:
        self._session = session
        self._queue = queue
        self._id = job_id
        self._beside = beside
        self._out = out or session.out.stream
        folder, name = outputs(session), f"{job_id}{ERRORS if stderr else ''}"
        self._reader: FileReader | NoteReader
        self._reader = NoteReader(session.store.notes, name) if folder is None else FileReader(f"{folder}/{name}")
        seen = session.out.terminal if out is None else out.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace") if seen and not raw else None
        self._open = False  # the last line has no end yet

    def follow(self) -> Entry | None:
        """Until it has ended: its entry, None when it was taken away. Ctrl-C leaves it running, and says so."""
        try:
            return self._until_over()
        except KeyboardInterrupt:
            self.finish()
            if not self._session.quiet:
                say(f"ropeway: the job goes on. To see it: ropeway log {self._id} -f; to end it: ropeway kill {self._id}")
            raise

    def _until_over(self) -> Entry | None:
        store, clock = self._session.store, self._session.link.clock
        pause, seen = SOON, clock.boot()
        while True:
            if clock.boot() - seen >= AGAIN:
                see_to_it(self._session, self._queue)
                seen = clock.boot()
            over = look(self._session.link, self._queue, (self._id,))  # before the output is read: then that is whole
            pause = SOON if self.print_new() else min(2 * pause, LATER)
            if self._id in over:
                self.finish()
                return over[self._id]
            if store.wait([ended(self._queue)], pause):
                clock.sleep(threading.Event(), MISS)

    def print_new(self) -> bool:
        """Print what has come since; whether there was anything."""
        some = self._beside.print_new() if self._beside is not None else False
        for part in self._reader.read():
            some = True
            self._print(part)
        if some:
            self._out.flush()
        return some

    def last_lines(self, count: int) -> None:
        """Of what is there now, print only the last lines."""
        lines: deque[bytes] = deque(maxlen=count)
        rest = b""
        for part in self._reader.read():
            if isinstance(part, bytes):
                *whole, rest = (rest + part).split(b"\n")
                lines.extend(line + b"\n" for line in whole)
        if rest:
            lines.append(rest)
        self._print(b"".join(lines))

    def finish(self) -> None:
        """Nothing more comes."""
        stream = self._out
        if self._beside is not None:
            self._beside.finish()
        if self._decoder is not None:
            stream.write(_shown(self._decoder.decode(b"", final=True)))
            if self._open:
                stream.write(b"\n")
                self._open = False
        stream.flush()

    def _print(self, part: Part) -> None:
        if isinstance(part, int):
            if not self._session.quiet:
                say(f"ropeway: {part:,} bytes of the output are missing here: a shared store keeps the last MiB")
        elif self._decoder is None:
            self._out.write(part)
        elif part:
            self._out.write(_shown(self._decoder.decode(part)))
            self._open = not part.endswith(b"\n")


def _shown(text: str) -> bytes:
    """Text that steers no terminal. A carriage return, by which progress is drawn over what was there, begins a new line."""
    return clean_lines(text.replace("\r\n", "\n").replace("\r", "\n")).encode("utf-8", "backslashreplace")
