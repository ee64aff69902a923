"""The views of a process as lines of text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..durations import spoken
from ..sight import whole
from .clean import clean, clean_lines
from .output import Row
from .table import Column, render, terminal_width
from .times import iso

MiB = 1 << 20


def lines(what: str, seen: Row) -> Iterator[str]:
    """That view, a line at a time."""
    yield from _SHOW[what](seen)


def new_lines(what: str, seen: Row, before: Row | None) -> Iterator[Row]:
    """What has come since the look before, as rows that say themselves as `_text`."""
    if what == "logs":
        last = before["next"] if before else 0
        for record in seen["records"]:
            if record["n"] > last:
                yield {**record, "_text": list(_record(record))}
        return
    for stream in ("stdout", "stderr"):
        told = seen[stream]
        last = before[stream]["next"] if before else 0
        for number, line in enumerate(told["lines"], told["first"]):
            if number >= last:
                yield {"stream": stream, "n": number, "line": line, "_text": [clean(f"{stream}: {line}")]}


def _state(seen: Row) -> Iterator[str]:
    yield clean(f"process {seen.get('pid')} on {seen.get('host')}, up {_span(seen.get('uptime'))}: {' '.join(seen.get('command', []))}")
    for title in ("state", "counters"):
        for name, value in seen.get(title, {}).items():
            yield clean(f"  {name} = {value if isinstance(value, str) else json.dumps(value, default=str)}")
    for worker in seen.get("workers", ()):
        yield clean(
            f"  worker {worker['id']}: {worker['state']}, {worker['running']} of {worker['slots']} run, "
            f"queues {' '.join(worker['queues'])}, "
            f"{worker['totals'].get('done', 0):,} done, {worker['totals'].get('failed', 0):,} failed"
        )
    for claim in seen.get("claims", ()):
        yield clean(f"  holds job {claim['id']} of {claim['queue']} for {_span(claim['seconds'])}, lease {_span(claim['lease_left'])} more")


def _jobs(seen: Row) -> Iterator[str]:
    jobs = seen.get("jobs", [])
    if not jobs:
        yield "no job runs here"
        return
    columns = [
        Column("JOB", lambda one: one["id"]),
        Column("TASK", lambda one: one.get("task") or one["queue"]),
        Column("STATE", lambda one: one["state"], drop=1),
        Column("FOR", lambda one: _span(one.get("seconds", one.get("held"))), right=True),
        Column("LEASE", lambda one: _span(one.get("lease_left")), right=True, drop=2),
    ]
    for head, job in zip(render(columns, jobs, terminal_width()), [None, *jobs], strict=False):
        yield head
        if job and (doing := job.get("doing")):
            yield clean(f"    {doing.get('text', '')}")
            if "function" in doing:
                yield clean(f"    in {doing['function']}, {doing['file']}:{doing['line']}")


def _stacks(seen: Row) -> Iterator[str]:
    yield from clean_lines(whole.text(seen)).splitlines()


def _output(seen: Row) -> Iterator[str]:
    if seen.get("why"):
        yield clean(str(seen["why"]))
    for stream in ("stdout", "stderr"):
        told = seen[stream]
        for line in (*told["lines"], *([told["open"]] if told.get("open") else [])):
            yield clean(f"{stream}: {line}")


def _logs(seen: Row) -> Iterator[str]:
    if seen.get("why"):
        yield clean(str(seen["why"]))
    for record in seen["records"]:
        yield from _record(record)


def _record(record: Row) -> Iterator[str]:
    yield clean(f"{iso(record['at'])} {record['level']} {record['logger']}: {record['text']}")
    for line in record.get("traceback", "").splitlines():
        yield clean(f"  | {line}")


def _metrics(seen: Row) -> Iterator[str]:
    cpu, memory, files, gc = seen["cpu"], seen["memory"], seen["descriptors"], seen["gc"]
    yield f"cpu        {cpu['user']:.2f} s user, {cpu['system']:.2f} s system"
    yield f"memory     {memory.get('resident', 0) // MiB} MiB, peak {memory.get('peak', 0) // MiB} MiB"
    yield f"files      {files.get('open', 0)} open of {files.get('most', '?')}"
    if "timed" in gc:
        timed = gc["timed"]
        yield f"collector  {timed['collections']} runs, {timed['seconds']:.3f} s, longest {1000 * timed['longest']:.1f} ms"
    for thread in seen["threads"]:
        yield clean(f"thread     {thread['name']} ({thread['native']}): {thread['cpu']:.2f} s")
    yield clean("versions   " + ", ".join(f"{name} {version}" for name, version in seen["versions"].items()))
    yield clean("command    " + " ".join(seen["command"]))
    for child in seen.get("children", ()):
        inner: Any = child.get("metrics")
        yield clean(f"process {child['pid']} of the pool" + ("" if inner else f": {child.get('error', '')}"))
        if inner:
            yield from (f"  {line}" for line in _metrics(inner))


def _span(seconds: float | None) -> str:
    return "" if seconds is None else spoken(round(seconds)) if abs(seconds) >= 10 else f"{seconds:.1f}s"


_SHOW: dict[str, Callable[[Row], Iterator[str]]] = {
    "state": _state,
    "jobs": _jobs,
    "stacks": _stacks,
    "output": _output,
    "logs": _logs,
    "metrics": _metrics,
}
