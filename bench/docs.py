"""The figures of the last run of an engine, written into docs/benchmarks/ENGINE.md: `python -m bench ENGINE --docs` measures nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .figures import Figures, shown
from .measures import measures
from .picture import best, picture
from .report import measured, table, verdicts
from .systems import systems
from .targets import pace

PAGES = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def write(engine: str, results: Path) -> int:
    """Put the tables between the two marks of the page, and draw the picture."""
    run = json.loads((results / f"{engine}.json").read_text())
    page = PAGES / f"{engine}.md"
    head, _, rest = page.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    told = "\n".join(_lines(run))
    page.write_text(f"{head}{BEGIN}\n{told}\n\n{END}{tail}")
    (results / f"{engine}.svg").write_text(picture(run))
    print(f"written: {page}, and the picture anew")
    return 0


def _lines(run: dict[str, Any]) -> list[str]:
    engine, machine, (before, after) = run["engine"], run["machine"], run["load"]
    day = datetime.fromtimestamp(run["began"], UTC).date()
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}; {_versions(machine)}"
    out = ["## Who is compared", "", *_rows(engine), "", f"![Bars of all measures](../../bench/results/{engine}.svg)", ""]
    out += [f"{day}, {where}; {run['options']['repeat']} rounds. Load average before and after: {before:.1f}, {after:.1f}."]
    for name in sorted(run["samples"]):  # the journaled disk first
        figures = Figures(run["samples"][name])
        rows = list(verdicts(engine, figures))
        if len(rows) == 2:
            continue
        out += ["", f"## Targets, on {run['places'][name]}", ""]
        slower = pace(engine)(figures)
        if slower is not None:
            out += [f"Floor of this run: {shown(slower)} of the study's, from which the targets in jobs/s and ms come.", ""]
        out += rows
    figures = Figures(run["samples"][best(run)])
    out += ["", f"## All figures, on {run['places'][best(run)]}"]
    for measure in measures(engine, full=True):
        if any(figures.has(measure.name, row.label) for row in measure.rows):
            out += ["", *measured(measure, figures)]
    return out


def _versions(machine: dict[str, Any]) -> str:
    """Each with what it brought along, where that has a name of its own."""
    out = []
    for name, number in machine["versions"].items():
        clients = machine.get("clients", {}).get(name, {})
        more = f" ({', '.join(f'{client} {its}' for client, its in clients.items())})" if clients else ""
        out.append(f"{name} {number}{more}")
    return ", ".join(out)


def _rows(engine: str) -> list[str]:
    return list(table(("row", "what it is"), [(name, system.what) for name, system in systems(engine).items()], numbers=False))
