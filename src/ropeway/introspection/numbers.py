"""The numbers of a process as Prometheus reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ..sight import views
from ..sight.here import here


def prometheus() -> bytes:
    """The text, in the format 0.0.4."""
    text = "\n".join(_lines(views.metrics(), here().board.shown()["state"])) + "\n"
    figures = sys.modules.get("ropeway.worker.figures")  # loaded where a worker was made
    return (text + (figures.worker_metrics() if figures is not None else "")).encode()


def _lines(seen: dict[str, Any], state: dict[str, Any]) -> Iterator[str]:
    cpu, memory, files, gc = seen["cpu"], seen["memory"], seen["descriptors"], seen["gc"]
    yield from _one("process_cpu_seconds_total", "counter", "Processor time, user and system.", cpu["user"] + cpu["system"])
    yield from _one("process_start_time_seconds", "gauge", "When the process began, seconds since 1970.", seen["started"])
    for name, key in (("resident", "resident"), ("virtual", "virtual")):
        if key in memory:
            yield from _one(f"process_{name}_memory_bytes", "gauge", f"Memory, {name}.", memory[key])
    if "peak" in memory:
        yield from _one("ropeway_process_peak_memory_bytes", "gauge", "The most memory that it ever held.", memory["peak"])
    if files:
        yield from _one("process_open_fds", "gauge", "Open files.", files["open"])
        if files.get("most"):
            yield from _one("process_max_fds", "gauge", "Files that may be open.", files["most"])
    yield from _one("ropeway_process_threads", "gauge", "Threads.", len(seen["threads"]))
    yield from _head("python_gc_collections_total", "counter", "Runs of the collector, by generation.")
    for number, one in enumerate(gc["generations"]):
        yield f'python_gc_collections_total{{generation="{number}"}} {one["collections"]}'
    if "timed" in gc:
        yield from _one(
            "ropeway_gc_pause_seconds_total", "counter", "Time in the collector since the page was opened.", gc["timed"]["seconds"]
        )
        yield from _one("ropeway_gc_pause_longest_seconds", "gauge", "The longest of its runs.", gc["timed"]["longest"])
    versions = seen["versions"]
    yield from _head("python_info", "gauge", "What runs.")
    yield f'python_info{{version="{_label(versions["python"])}",implementation="{_label(versions["implementation"])}"}} 1'
    yield from _head("ropeway_info", "gauge", "What runs.")
    yield f'ropeway_info{{version="{_label(versions["ropeway"])}"}} 1'
    yield from _head("ropeway_page_count_total", "counter", "The program's own counters.")
    for name, value in sorted(seen["counters"].items()):
        yield f'ropeway_page_count_total{{name="{_label(name)}"}} {value}'
    yield from _head("ropeway_page_state", "gauge", "What the program tells of its state, where that is a number.")
    for name, value in sorted(state.items()):
        if isinstance(value, int | float):
            yield f'ropeway_page_state{{name="{_label(name)}"}} {float(value):g}'


def _one(name: str, kind: str, says: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, says)
    yield f"{name} {value}"


def _head(name: str, kind: str, says: str) -> Iterator[str]:
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"


def _label(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:200]).replace("\\", "\\\\").replace('"', '\\"')
