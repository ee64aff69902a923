"""Waiting until jobs have ended, and saying how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..calls.endings import endings
from ..job import State
from ..store import Entry, Feature
from .bodies import put_bytes
from .clean import clean, clean_bytes
from .output import Row
from .session import Session
from .verdict import DONE, NOTHING, SOME_DEAD


def wait_for(session: Session, queue: str, ids: Sequence[str]) -> int:
    """Wait until all of these have ended and print each one's end as it comes. The exit code: 10 when some are dead, 3 when some
    were taken away."""
    kept = Feature.KEEP in session.store.features
    codes = set()

    def ended() -> Iterator[Row]:
        for job_id, entry in endings(session.link, queue, ids, None):
            codes.add(SOME_DEAD if entry and entry.state is State.DEAD else DONE if entry or not kept else NOTHING)
            yield _row(queue, job_id, entry, kept)
            session.out.stream.flush()

    rows = ended()
    if session.quiet:
        for _ in rows:
            pass
    else:
        session.out.rows(rows, lambda rows: (_text(row, many=len(rows) > 1) for row in rows))
    return max(codes & {SOME_DEAD, NOTHING}, default=DONE)


def _row(queue: str, job_id: str, entry: Entry | None, kept: bool) -> Row:
    row: Row = {"id": job_id, "queue": queue, "state": str(entry.state) if entry else "gone" if kept else "done"}
    if entry and entry.error:
        row["error"] = entry.error
    if entry and entry.result is not None:
        put_bytes(row, "result", entry.result)
        row["result_type"] = entry.result_type
    return row


def _text(row: Row, *, many: bool) -> str:
    said = row.get("result", row.get("result_base64", ""))
    text = (
        clean_bytes(said.encode("utf-8", "surrogatepass"))
        if said
        else clean(row["state"] + (f": {row['error']}" if "error" in row else ""))
    )
    return f"{row['id']}  {text}" if many else text
