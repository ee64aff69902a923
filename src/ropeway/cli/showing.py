"""What `show` prints: one job, for a person or for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..durations import spoken
from ..ids import check_id
from ..job import Attempt
from ..shell.command import CONTENT_TYPE, code_of, folder_of, line_of, names_of
from ..store import Entry, Query
from .bodies import preview, put_bytes, size_of, whole_body
from .clean import clean, clean_bytes, clean_lines
from .output import Row
from .params import named
from .rows import job_row
from .session import Session
from .times import iso, relative
from .verdict import DONE, NOTHING, Failure
from .writer import Writer


def show(session: Session, words: Sequence[str], body: str) -> int:
    """Print these jobs; Failure for those that the store does not know, after the others were printed."""
    ids = [check_id(word) for word in named(words, "id")]
    entries = {entry.job.id: entry for entry in session.store.browse(Query(ids=tuple(ids), limit=None))}
    found = [entries[i] for i in ids if i in entries]
    if body == "raw":
        for entry in found:
            Writer(session, "raw").write(entry.job, entry.attempts)
    elif session.out.mode == "json" and len(ids) == 1:
        for entry in found:
            session.out.one(_row(entry), ())
    else:
        now = session.link.clock.now()
        session.out.rows(
            (_row(entry) for entry in found), lambda _: (line for entry in found for line in _text(entry, now, full=body == "full"))
        )
    if missing := [i for i in ids if i not in entries]:
        raise Failure(NOTHING, f"no job {' '.join(missing)}: it is done and was not kept, was deleted, or never was in this store")
    return DONE


def _row(entry: Entry) -> Row:
    row = job_row(entry)
    if not {"body", "body_base64", "command"} & row.keys():
        if entry.job.source is None:
            put_bytes(row, "body", whole_body(entry.job))
        else:
            row["path"] = entry.job.source.path()
    row["history"] = [_attempt_row(attempt, number) for number, attempt in _numbered(entry)]
    if entry.result is not None:
        put_bytes(row, "result", entry.result)
        row["result_type"] = entry.result_type
    return row


def _numbered(entry: Entry) -> Iterator[tuple[int, Attempt]]:
    """The attempts with their numbers; who settled by a receipt alone did not know its number."""
    first = max(0, entry.attempts - len(entry.history)) + 1
    return ((attempt.number or number, attempt) for number, attempt in enumerate(entry.history, first))


def _attempt_row(attempt: Attempt, number: int) -> Row:
    row: Row = {"attempt": number, "started": iso(attempt.started), "ended": iso(attempt.ended), "worker": attempt.worker}
    row |= {"outcome": attempt.outcome, "error": attempt.error, "traceback": attempt.traceback}
    return row | ({"log": attempt.log} if attempt.log else {})


def _text(entry: Entry, now: float, *, full: bool) -> Iterator[str]:
    job = entry.job
    yield f"{job.id}  {clean(job.queue)}  {entry.state}"
    facts = [
        ("priority", str(job.priority)),
        ("put", _when(job.created, now)),
        (_DUE.get(entry.state, "due"), _when(entry.due, now)),
        ("attempts", f"{entry.attempts}" + (f", {entry.deaths} ended without a word" if entry.deaths else "")),
        ("holder", entry.holder),
        *((name, getattr(job, name)) for name in ("key", "task", "lane")),
        ("wanted until", _when(job.expires(), now) if job.ttl else ""),
        ("kept for", spoken(job.keep) if job.keep else ""),
        ("error", entry.error),
    ]
    for name, value in facts:
        if value:
            yield f"  {name:<13}{clean(value)}"
    for header, value in job.headers.items():
        yield f"  {'header':<13}{clean(header)}: {clean(value)}"
    for number, attempt in _numbered(entry):
        yield from _attempt_text(attempt, number, now)
    if entry.result is not None:
        yield f"result, {clean(entry.result_type)}"
        yield from _indented(clean_bytes(entry.result))
    if job.content_type == CONTENT_TYPE:
        yield from _command(entry)
        return
    yield f"body, {size_of(job):,} bytes, {clean(job.content_type)}"
    yield from _indented(clean_bytes(whole_body(job)) if full else clean(preview(job)))


def _command(entry: Entry) -> Iterator[str]:
    """A shell job: of its variables only the names are shown."""
    body = whole_body(entry.job)
    code = code_of(entry)
    yield "command" if code is None else f"command, exit {code}"
    yield from _indented(clean(line_of(body)))
    yield f"in {clean(folder_of(body))}, with {clean(' '.join(names_of(body)) or 'no variables of its own')}"


_DUE = {"running": "leased", "dead": "died", "done": "forgotten"}


def _when(seconds: float, now: float) -> str:
    return f"{iso(seconds)} ({relative(seconds, now)})" if seconds else ""


def _attempt_text(attempt: Attempt, number: int, now: float) -> Iterator[str]:
    took = f"after {spoken(max(0.0, attempt.ended - attempt.started))}"
    yield clean(f"attempt {number}, {attempt.outcome} {took}, {relative(attempt.ended, now)}, on {attempt.worker}")
    yield f"  {clean(attempt.error)}"
    if attempt.traceback:
        yield from _indented(clean_lines(attempt.traceback))
    if attempt.log:
        yield "  its last log lines"
        yield from _indented(clean_lines(attempt.log))


def _indented(text: str) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        yield f"    {line}"
