"""All metrics by name, kind and meaning, and the text in which Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .history.scale import BOUNDS
from .history.sums import Sums

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("ready", "delayed", "running", "dead", "done")


class Family(NamedTuple):
    """One metric: its kind, who tells it (the server, a worker's own page, or both), its labels, and what it means."""

    kind: str
    told: str
    labels: tuple[str, ...]
    means: str


_OF_TASK = ("queue", "task")
FAMILIES: dict[str, Family] = {
    "ropeway_jobs": Family("gauge", "server", ("queue", "state"), "Jobs by queue and state."),
    "ropeway_oldest_seconds": Family("gauge", "server", ("queue",), "How long the ready job that is due first has waited."),
    "ropeway_stopped": Family("gauge", "server", ("queue", "switch"), "Whether that switch of the queue is off."),
    "ropeway_job_ends_total": Family(
        "counter", "both", (*_OF_TASK, "outcome"), "Claims that ended: done, retried, dead, lost, expired (in hand), returned (uncounted)."
    ),
    "ropeway_job_run_seconds": Family("histogram", "both", _OF_TASK, "How long runs took."),
    "ropeway_job_wait_seconds": Family("histogram", "both", _OF_TASK, "How long jobs had waited from their due until they began to run."),
    "ropeway_workers": Family("gauge", "server", ("state",), "Workers that are there, by state."),
    "ropeway_workers_ever_total": Family("counter", "server", (), "Workers that ever were on this store."),
    "ropeway_slots": Family("gauge", "server", (), "Jobs that all workers could run at once."),
    "ropeway_slots_busy": Family("gauge", "server", (), "Jobs that run now, as the workers last told."),
    "ropeway_paused": Family("gauge", "server", (), "Whether the whole store is paused."),
    "ropeway_puts_total": Family("counter", "server", ("queue",), "Jobs put through this server."),
    "ropeway_claims_total": Family("counter", "server", ("queue",), "Jobs claimed through this server."),
    "ropeway_wakeups_total": Family("counter", "both", (), "Waits that were ended by a bell, or by something that came due."),
    "ropeway_store_calls_total": Family("counter", "server", ("verb",), "Calls of the store."),
    "ropeway_store_call_seconds_total": Family("counter", "server", ("verb",), "Time spent in calls of the store."),
    "ropeway_store_failures_total": Family("counter", "server", ("verb",), "Calls of the store that failed."),
    "ropeway_uptime_seconds": Family("gauge", "both", (), "How long this process has served, or worked."),
    "ropeway_worker_slots": Family("gauge", "worker", (), "Jobs that this worker runs at once."),
    "ropeway_worker_running": Family("gauge", "worker", (), "Jobs that it runs now."),
    "ropeway_worker_held": Family("gauge", "worker", (), "Jobs that it has claimed, begun or not."),
    "ropeway_worker_claims_total": Family("counter", "worker", (), "Jobs that it has claimed."),
    "ropeway_worker_busy_seconds_total": Family("counter", "worker", (), "Time that its runs took, in all."),
    "ropeway_build_info": Family("gauge", "both", ("version", "python", "engine"), "Always 1; its labels say what runs here."),
}
OUTCOMES = {"done": "done", "retried": "failed", "dead": "dead", "lost": "lost", "expired": "expired", "returned": "returned"}

Samples = Mapping[tuple[str, ...], float] | float


class Exposition:
    """Gathers families, each once, into the text format 0.0.4."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, samples: Samples) -> None:
        """One family: its samples by the values of its labels; a bare number for one without labels."""
        family = self._head(name)
        if not isinstance(samples, Mapping):
            samples = {(): samples}
        self._lines += [f"{name}{_labels(family.labels, values)} {_number(sample)}" for values, sample in samples.items()]

    def ends(self, cells: Mapping[tuple[str, str], Sums]) -> None:
        """What is known of the ends of runs, by queue and task: the counter and both histograms."""
        self.add(
            "ropeway_job_ends_total",
            {(*name, outcome): getattr(sums, field) for name, sums in cells.items() for outcome, field in OUTCOMES.items()},
        )
        self._histogram("ropeway_job_run_seconds", {name: (sums.run, sums.run_seconds) for name, sums in cells.items()})
        self._histogram("ropeway_job_wait_seconds", {name: (sums.wait, sums.wait_seconds) for name, sums in cells.items()})

    def _histogram(self, name: str, cells: Mapping[tuple[str, ...], tuple[Sequence[int], float]]) -> None:
        family = self._head(name)
        for values, (counts, total) in cells.items():
            upto = 0
            for place, bound in enumerate((*BOUNDS, float("inf"))):
                upto += counts[place] if place < len(counts) else 0
                self._lines.append(f"{name}_bucket{_labels((*family.labels, 'le'), (*values, _number(bound)))} {upto}")
            self._lines.append(f"{name}_sum{_labels(family.labels, values)} {_number(total)}")
            self._lines.append(f"{name}_count{_labels(family.labels, values)} {upto}")

    def _head(self, name: str) -> Family:
        family = FAMILIES[name]
        self._lines.append(f"# HELP {name} {_escaped(family.means)}")
        self._lines.append(f"# TYPE {name} {family.kind}")
        return family

    def text(self) -> str:
        """The whole."""
        return "\n".join(self._lines) + "\n"


def build_info(url: str) -> dict[tuple[str, ...], float]:
    """The one sample of ropeway_build_info; of the URL only the engine."""
    import platform
    import sys

    version = str(getattr(sys.modules.get("ropeway"), "__version__", ""))
    return {(version, platform.python_version(), url.partition(":")[0]): 1.0}


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    return "{" + ",".join([f'{name}="{_quoted(value)}"' for name, value in zip(names, values, strict=True)]) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def row(name: str) -> str:
    """The line of a metric in the table of the guide."""
    family = FAMILIES[name]
    labels = " ".join(f"`{label}`" for label in family.labels)
    told = {"server": "server", "worker": "worker", "both": "server, worker"}[family.told]
    return f"| `{name}` | {family.kind} | {labels} | {told} | {family.means} |".replace("|  |", "| |")
