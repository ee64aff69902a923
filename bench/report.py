"""The figures as tables for people, in Markdown, and as JSON for everything else."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from . import environments
from .figures import Figures, short, shown
from .measures import Measure
from .systems import peers, systems
from .targets import judge, line, targets

DRIVERS = {"sqlite": ("apsw",), "postgres": ("psycopg",), "mariadb": ("pymysql",), "redis": ("redis", "hiredis")}


def machine(engine: str) -> dict[str, Any]:
    """What it ran on. `versions`: of our drivers and of the peers; `clients`: of what each peer brought along."""
    model = ""
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                model = row.partition(":")[2].strip()
                break
    except OSError:
        pass
    found = {}
    for peer in dict.fromkeys(systems(engine)[name].peer for name in peers(engine)):
        versions = environments.versions(peer)
        if peer in versions:
            found[peer] = versions.pop(peer), versions
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": _ours(engine) | {peer: told[0] for peer, told in found.items()},
        "clients": {peer: told[1] for peer, told in found.items() if told[1]},
    }


def _ours(engine: str) -> dict[str, str]:
    out = {}
    for name in DRIVERS.get(engine, ()):
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> Iterator[str]:
    """A Markdown table, aligned: the first column to the left, numbers to the right; words are not padded."""
    if not numbers:
        yield from (f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
        return
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def told(row: Sequence[str]) -> str:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        return f"| {' | '.join(cells)} |"

    yield told(head)
    yield f"|{'|'.join('-' * (w + 2) if i == 0 else '-' * (w + 1) + ':' for i, w in enumerate(widths))}|"
    yield from map(told, rows)


def measured(measure: Measure, figures: Figures) -> Iterator[str]:
    """One measure on one disk."""
    rows = [row.label for row in measure.rows if figures.has(measure.name, row.label)]
    if measure.unit == "ms":
        yield from table(
            (measure.title, "p50 ms", "p99 ms", "p50 x " + measure.reference),
            [
                (
                    row,
                    shown(figures.percentile(measure.name, row, 0.5)),
                    shown(figures.percentile(measure.name, row, 0.99)),
                    shown(figures.percentile(measure.name, row, 0.5) / figures.percentile(measure.name, measure.reference, 0.5))
                    if measure.reference in rows
                    else "",
                )
                for row in rows
            ],
        )
        return
    yield from table(
        (measure.title, "jobs/s", "x " + measure.reference, "CPU us a job", "spread"),
        [
            (
                row,
                shown(figures.rate(measure.name, row)),
                short(figures.ratio((measure.name, row), (measure.name, measure.reference))) if measure.reference in rows else "",
                shown(cpu) if (cpu := figures.cpu(measure.name, row)) is not None else "",
                f"{figures.spread(measure.name, row):.2f}",
            )
            for row in rows
        ],
    )


def verdicts(engine: str, figures: Figures) -> Iterator[str]:
    """The targets, met or not."""
    rows = [line(one) for one in judge(targets(engine), figures)]
    if any(row[-1] for row in rows):
        yield from table(("target", "here", "wanted", "", "at the study's pace"), rows)
    else:
        yield from table(("target", "here", "wanted", ""), [row[:-1] for row in rows])
