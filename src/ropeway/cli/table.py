"""Tables of plain text: columns that fit the terminal, nothing in them but what is fit for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .clean import clean

NARROWEST = 6  # columns that a cell is cut down to
COMFORT = 8  # columns below which a cell tells so little that a column less is better
_GAP = "  "


class Column(NamedTuple):
    """One column: its title and how a row's cell is made. `flex`: may be cut when the terminal is narrow. `right`: numbers.
    `optional`: left out when no row has anything in it. `drop`: left out when there is no room, the highest first; 0: never."""

    title: str
    cell: Callable[[Any], str]
    flex: bool = False
    right: bool = False
    optional: bool = False
    drop: int = 0


def terminal_width(stream: Any = None) -> int:
    """Columns of the terminal: $COLUMNS, else what the terminal says, else 80."""
    try:
        said = int(os.environ.get("COLUMNS", ""))
        if said > 0:
            return said
    except ValueError:
        pass
    try:
        return os.get_terminal_size(stream.fileno() if stream is not None else 1).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def render(columns: Sequence[Column], rows: Sequence[Any], width: int) -> Iterator[str]:
    """The lines of a table, its title line first; none is wider than `width`."""
    cells = [[clean(column.cell(row)) for column in columns] for row in rows]
    natural = [max(columns_of(text) for text in (column.title, *(row[i] for row in cells))) for i, column in enumerate(columns)]
    shown = [i for i, column in enumerate(columns) if not column.optional or any(row[i] for row in cells)]
    shown = _with_room(shown, columns, natural, width)
    columns = [columns[i] for i in shown]
    lines = [[column.title for column in columns], *([row[i] for i in shown] for row in cells)]
    widths = _fit([natural[i] for i in shown], columns, width)
    for line in lines:
        parts = (_pad(cut(text, w), w, right=c.right) for text, w, c in zip(line, widths, columns, strict=True))
        yield cut(_GAP.join(parts).rstrip(), width)


def _with_room(shown: list[int], columns: Sequence[Column], natural: list[int], width: int) -> list[int]:
    """Leave columns out until the others have room to tell something."""

    def needed() -> int:
        return sum(min(natural[i], COMFORT) if columns[i].flex else natural[i] for i in shown) + len(_GAP) * (len(shown) - 1)

    while needed() > width and (able := [i for i in shown if columns[i].drop]):
        shown.remove(max(able, key=lambda i: columns[i].drop))
    return shown


def _fit(widths: list[int], columns: Sequence[Column], width: int) -> list[int]:
    """Take what is too much from the widest column that may be cut, a step at a time."""
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        able = [i for i, column in enumerate(columns) if column.flex and widths[i] > NARROWEST]
        if not able:
            break
        widest = max(able, key=lambda i: widths[i])
        widths[widest] -= 1
        over -= 1
    return widths


def columns_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns_of_char(char) for char in text)


def _columns_of_char(char: str) -> int:
    from unicodedata import combining, east_asian_width

    if combining(char) or "\ufe00" <= char <= "\ufe0f":
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """At most `width` columns of the text; an ellipsis says that there was more."""
    if columns_of(text) <= width:
        return text
    out, used = [], 0
    for char in text:
        used += _columns_of_char(char)
        if used > width - 1:
            break
        out.append(char)
    return "".join(out) + "…" if width > 0 else ""


def _pad(text: str, width: int, *, right: bool) -> str:
    fill = " " * (width - columns_of(text))
    return fill + text if right else text + fill
