"""The views of a process, one function each, as values that JSON can have: state, jobs, stacks, output, logs, metrics, flame."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping

import msgspec

from ..clock import SYSTEM
from ..errors import BadValue
from ..names import shown as shown_text
from . import machine, whole
from .frames import Row
from .garbage import Pauses
from .here import here
from .secrets import censored, command_line
from .tail import LINES
from .whole import Whole

STREAMS = ("stdout", "stderr")
MOST_CLAIMS = 200
LONGEST = 4096  # bytes that are shown of a line


def view(what: str) -> Row:
    """That view of this process. Raises BadValue for one that does not exist."""
    make = VIEWS.get(what)
    if make is None:
        raise BadValue(f"{shown_text(what)} is no view; there are: {' '.join(VIEWS)}. Nothing was asked")
    return {"pid": os.getpid(), "at": time.time(), **make()}


def as_json(what: str, most: int | None = None) -> bytes:
    """The same as JSON. `most`: bytes; one that is larger loses its oldest lines, records or last stacks until it fits."""
    value = view(what)
    data = encode(value)
    while most is not None and len(data) > most:
        if not _shorten(value):
            raise BadValue(f"the view {what} has {len(data)} bytes, and only {most} can be sent; ask its page. Nothing was shown")
        value["shortened"] = True
        data = encode(value)
    return data


def encode(value: Row) -> bytes:
    """A view as JSON, whatever halves of characters are in its texts."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=str).encode()


def _shorten(value: Row) -> bool:
    """Halve what it has most of."""
    rows: list[list[Row]] = [one for name in ("threads", "tasks", "children", "jobs", "claims") if isinstance(one := value.get(name), list)]
    for one in sorted(rows, key=len, reverse=True):
        if one:
            del one[len(one) // 2 :]
            return True
    found = [value[name]["lines"] for name in STREAMS if isinstance(value.get(name), dict)] + [value.get("records", [])]
    for old in sorted(found, key=len, reverse=True):
        if old:
            del old[: (len(old) + 1) // 2]
            return True
    return False


def state() -> Row:
    """What the program tells, how long it has run, its workers, the claims it holds."""
    me = here()
    began = machine.started()
    out: Row = {"started": began, "uptime": time.time() - began, "command": command_line(sys.orig_argv), "host": os.uname().nodename}
    out |= me.board.shown()
    out["workers"] = [worker.told() for worker in list(me.workers)]
    out["claims"] = claims()
    return out | {name: make() for name, make in list(me.more.items())}


def jobs() -> Row:
    """What runs now, for how long, until when its lease is, and what it does."""
    workers = list(here().workers)
    if not workers:
        return {"jobs": [], "claims": claims()}
    whole = Whole()
    return {"jobs": [row for worker in workers for row in worker.jobs(whole)], "claims": claims()}


def stacks() -> Row:
    """Where every thread and task stands, in the children of its process pools too."""
    out = Whole().shown()
    children = [row for worker in list(here().workers) for row in worker.children("stacks")]
    return out | ({"children": children} if children else {})


def stacks_text(most: int) -> str:
    """The same as text, cut."""
    text = whole.text(stacks())
    return text if len(text) <= most else text[:most] + "\n... cut here"


def output(since: Mapping[str, int] | None = None) -> Row:
    """The last lines of stdout and stderr. `first` is the number of the first line shown, `next` of the one that will be finished next; a
    line without its end, which may be a question to somebody, is `open`."""
    printed = here().printed
    out: Row = {"heard": printed.kind if printed is not None else "nothing"}
    if printed is None:
        out["why"] = "nobody keeps what this process prints; start it with --introspect, or call ropeway.introspect()"
    for stream in STREAMS:
        try:
            before, data = printed.look(stream, (since or {}).get(stream, 0)) if printed is not None else (0, b"")
        except OSError:
            out["why"] = "the process that keeps the output does not answer: whoever reads the output may have stopped reading"
            before, data = 0, b""
        *lines, last = data.split(b"\n")
        passed = max(0, len(lines) - LINES)
        told: Row = {"first": before + passed, "lines": [line_text(line) for line in lines[passed:]], "next": before + len(lines)}
        out[stream] = told | ({"open": line_text(last)} if last else {})
    return out


def line_text(line: bytes) -> str:
    """One line as it is shown: what is no UTF-8 as escapes, cut when it is long, without secrets."""
    text = censored(line[:LONGEST].decode("utf-8", "backslashreplace"))
    return text if len(line) <= LONGEST else f"{text}... ({len(line) - LONGEST} bytes more)"


def logs(since: int = 0) -> Row:
    """The last log records. `next` is the number to ask from next time."""
    records = here().records
    if records is None:
        return {
            "records": [],
            "next": 0,
            "why": "nobody keeps what this process logs; start it with --introspect, or call ropeway.introspect()",
        }
    rows = records.since(since)
    return {"records": rows, "next": rows[-1]["n"] if rows else since}


def metrics() -> Row:
    """What it takes of the machine, and what it is made of."""
    pauses = here().pauses
    out = machine.shown() | {"gc": (pauses if pauses is not None else Pauses()).shown()}
    out["uptime"] = time.time() - out["started"]
    out["counters"] = dict(here().board.counters)
    children = [row for worker in list(here().workers) for row in worker.children("metrics")]
    return out | ({"children": children} if children else {})


def flame(*, idle: bool = False) -> Row:
    """Where the threads were in the last minute."""
    kept = here().flame
    if kept is None:
        return {"why": "nobody samples this process; start it with --introspect, or call ropeway.introspect()", "samples": 0}
    return kept.shown(idle=idle)


def claims() -> list[Row]:
    """The jobs that the program itself holds by `claim`; those of its workers are in the jobs. Found by the collector's list, so that a
    claim pays nothing for it."""
    kind = getattr(sys.modules.get("ropeway.claim"), "Claim", None)
    if kind is None:
        return []
    out: list[Row] = []
    for thing in gc.get_objects():
        if type(thing) is kind and thing.held:
            job = thing.job
            row: Row = {"id": job.id, "queue": job.queue, "task": job.task, "attempt": thing.attempt, "since": thing.taken}
            left = round(thing.until - SYSTEM.boot(), 3) if thing.until else None
            out.append(row | {"seconds": round(SYSTEM.now() - thing.taken, 3), "lease_left": left})
            if len(out) >= MOST_CLAIMS:
                break
    return out


VIEWS: dict[str, Callable[[], Row]] = {
    "state": state,
    "jobs": jobs,
    "stacks": stacks,
    "output": output,
    "logs": logs,
    "metrics": metrics,
    "flame": flame,
}
