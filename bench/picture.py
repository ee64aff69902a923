"""The picture: one SVG, a panel for each measure, a bar for each row, drawn without any library.

Bars are logarithmic; the figures stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log10
from typing import Any

from .figures import Figures, short, shown
from .measures import Measure, measures
from .systems import is_floor

WIDTH, MARGIN, GAP = 1180, 28, 36
COLUMN = (WIDTH - 2 * MARGIN - GAP) // 2
LABEL, FIGURE, BAR, STEP, HEAD, FOOT = 132, 118, 14, 21, 30, 22
COLOURS = {"engine": "#7fb2e5", "ropeway": "#1f6fb4"}
FLOOR = "#9aa0a6"
PEER = "#d9a066"
STYLE = (
    "text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:12px;fill:#222}"
    ".h{font-size:17px;font-weight:bold}.t{font-size:13px;font-weight:bold}.s{fill:#666;font-size:11px}"
)


def picture(run: dict[str, Any]) -> str:
    """A run's figures, of the disk that is to be trusted more."""
    engine, place = run["engine"], best(run)
    figures, what, machine = Figures(run["samples"][place]), run["places"][place], run["machine"]
    panels = [(m, [row.label for row in m.rows if figures.has(m.name, row.label)]) for m in measures(engine, full=True)]
    panels = [(m, rows) for m, rows in panels if rows]
    tops = [106, 106]
    pieces: list[str] = []
    for measure, rows in panels:
        side = 0 if tops[0] <= tops[1] else 1
        left = MARGIN + side * (COLUMN + GAP)
        pieces += _panel(measure, rows, figures, left, tops[side])
        tops[side] += HEAD + STEP * len(rows) + FOOT
    height = max(tops) + 14
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    where = f"{what}; {machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="h" x="{MARGIN}" y="30">ropeway, {engine} engine: jobs of 100 bytes, medians, one run</text>',
        f'<text class="s" x="{MARGIN}" y="48">{escape(where)}</text>',
        f'<text class="s" x="{MARGIN}" y="64">{escape(versions)}</text>',
        *_legend(),
    ]
    return "\n".join([*head, *pieces, "</svg>"]) + "\n"


def best(run: dict[str, Any]) -> str:
    """Which of its places is to be trusted more: the journaled disk."""
    return min(run["samples"])  # journal, plain; or the one that there is


def _colour(system: str) -> str:
    return FLOOR if is_floor(system) else COLOURS.get(system, PEER)


def _legend() -> Iterator[str]:
    at = MARGIN
    for colour, text in (
        (FLOOR, "floor: the least that does it"),
        (COLOURS["engine"], "engine: the store's verbs"),
        (COLOURS["ropeway"], "ropeway as used: queue, worker"),
        (PEER, "peers"),
    ):
        yield f'<rect x="{at}" y="74" width="12" height="12" fill="{colour}"/><text class="s" x="{at + 17}" y="84">{text}</text>'
        at += 40 + 7 * len(text)
    yield f'<text class="s" x="{at}" y="84">bars: logarithmic</text>'


def _panel(measure: Measure, rows: list[str], figures: Figures, left: int, top: int) -> Iterator[str]:
    """A title, and the bars of the measure."""
    better = "longer is better" if measure.unit != "ms" else "shorter is better"
    yield f'<text class="t" x="{left}" y="{top + 14}">{escape(measure.title)}</text>'
    yield f'<text class="s" x="{left}" y="{top + 28}">{measure.unit}{", p50 and p99" if measure.unit == "ms" else ""}; {better}</text>'
    values = {row: _value(measure, row, figures) for row in rows}
    low = 10 ** (int(log10(min(values.values())) + 100) - 100)
    room = COLUMN - LABEL - FIGURE
    span = max(log10(max(values.values()) / low), 0.1)
    systems = {row.label: row.spec["system"] for row in measure.rows}
    for number, row in enumerate(rows):
        y = top + HEAD + 6 + STEP * number
        length = max(3, round(room * log10(values[row] / low * 1.12) / (span + 0.05)))
        yield f'<text x="{left + LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(row)}</text>'
        yield f'<rect x="{left + LABEL}" y="{y}" width="{length}" height="{BAR}" rx="2" fill="{_colour(systems[row])}"/>'
        yield f'<text class="s" x="{left + LABEL + length + 6}" y="{y + 11}">{escape(_figure(measure, row, rows, figures))}</text>'


def _value(measure: Measure, row: str, figures: Figures) -> float:
    return figures.percentile(measure.name, row, 0.5) if measure.unit == "ms" else figures.rate(measure.name, row)


def _figure(measure: Measure, row: str, rows: list[str], figures: Figures) -> str:
    """The figure, and the ratio to the reference."""
    if measure.unit == "ms":
        return f"{shown(_value(measure, row, figures))} / {shown(figures.percentile(measure.name, row, 0.99))} ms"
    told = f"{shown(figures.rate(measure.name, row))}/s"
    if measure.reference in rows and row != measure.reference:
        told += f", {short(figures.ratio((measure.name, row), (measure.name, measure.reference)))}x"
    return told
