"""What is known of the ends of one task's jobs in one span of time, and how that is written into a note. To a reader a note comes from
outside: checked, and passed over if odd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..names import is_name
from ..notes import NOTE_LIMIT
from .scale import BUCKETS

VERSION = 1
OTHER = "_other"  # what stands for the tasks, or the queues, that were too many to be named
MINUTE, SLOT, HOUR, DAY = 60, 600, 3600, 86400
MINUTES, HOURS = "history/m/", "history/h/"  # then the number of the slot (or day), and who counted
KEEP_MINUTES, KEEP_HOURS = 6 * 3600.0, 8 * 86400.0
MOST_ROWS = 4000  # in one note, for a reader

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Seconds = Annotated[float, Meta(ge=0, le=1e15)]
Buckets = Annotated[list[Count], Meta(max_length=BUCKETS)]

Cell = tuple[int, str, str]  # when it began (epoch seconds), queue, task


class Sums(Struct, array_like=True):
    """Runs by how they ended; what those that were started took, and had waited from their due until they began.

    Stored as it stands: new fields go to the end, with a default.
    """

    done: Count = 0
    failed: Count = 0  # attempts that will be tried again
    dead: Count = 0
    lost: Count = 0  # another held the job by the time
    expired: Count = 0  # not started: its time was over in the hand
    returned: Count = 0  # handed back uncounted
    run_seconds: Seconds = 0.0
    wait_seconds: Seconds = 0.0
    run: Buckets = []
    wait: Buckets = []

    def add(self, other: Sums) -> None:
        """Take in what the other counted."""
        self.done += other.done
        self.failed += other.failed
        self.dead += other.dead
        self.lost += other.lost
        self.expired += other.expired
        self.returned += other.returned
        self.run_seconds += other.run_seconds
        self.wait_seconds += other.wait_seconds
        self.run = added(self.run, other.run)
        self.wait = added(self.wait, other.wait)

    @property
    def claimed(self) -> int:
        """All claims that these are the ends of."""
        return self.done + self.failed + self.dead + self.lost + self.expired + self.returned


def added(one: list[int], other: list[int]) -> list[int]:
    """Two lists of buckets as one; a list may be short, its end is zeros."""
    if len(one) < len(other):
        one, other = other, one
    return [a + b for a, b in zip(one, [*other, *([0] * (len(one) - len(other)))], strict=True)]


class _Row(Struct, array_like=True):
    """One cell: when, which of the names, and its sums."""

    at: Count
    name: Count
    sums: Sums


class _Page(Struct, array_like=True):
    """A note. The version comes first, so that a later format can be told from this one."""

    version: int
    names: Annotated[list[tuple[str, str]], Meta(max_length=MOST_ROWS)]
    rows: Annotated[list[_Row], Meta(max_length=MOST_ROWS)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Page).decode


def pack(cells: Mapping[Cell, Sums]) -> bytes:
    """The note's value, 64 KiB at most: when there is more to tell, the quietest tasks are told together."""
    data = _packed(cells)
    most = len({cell[1:] for cell in cells})
    while len(data) > NOTE_LIMIT and most > 1:
        most //= 2
        data = _packed(_together(cells, most))
    return data


def _packed(cells: Mapping[Cell, Sums]) -> bytes:
    names = {name: number for number, name in enumerate(dict.fromkeys(cell[1:] for cell in cells))}
    return _encode(_Page(VERSION, list(names), [_Row(cell[0], names[cell[1:]], sums) for cell, sums in cells.items()]))


def _together(cells: Mapping[Cell, Sums], most: int) -> dict[Cell, Sums]:
    busy: dict[tuple[str, str], int] = {}
    for (_, queue, task), sums in cells.items():
        busy[queue, task] = busy.get((queue, task), 0) + sums.claimed
    named = set(sorted(busy, key=lambda name: -busy[name])[:most])
    return merged((cell if cell[1:] in named else (cell[0], OTHER, OTHER), sums) for cell, sums in cells.items())


def merged(cells: Iterable[tuple[Cell, Sums]]) -> dict[Cell, Sums]:
    """All of them, those of one cell added up."""
    out: dict[Cell, Sums] = {}
    for cell, sums in cells:
        there = out.get(cell)
        if there is None:
            there = out[cell] = Sums()
        there.add(sums)
    return out


def unpack(key: str, value: bytes) -> list[tuple[Cell, Sums]]:
    """What a note tells; nothing for one that is none of ours, or speaks of another time than its key."""
    kind, _, rest = key.partition("/")[2].partition("/")
    number = rest.partition("/")[0]
    length, step = (SLOT, MINUTE) if kind == "m" else (DAY, HOUR)
    if not (number.isascii() and number.isdigit() and len(number) < 12):
        return []
    try:
        page = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    if page.version != VERSION or not all(is_name(queue) and (not task or is_name(task)) for queue, task in page.names):
        return []
    start = int(number) * length
    fits = [row for row in page.rows if row.name < len(page.names) and start <= row.at < start + length and row.at % step == 0]
    return [((row.at, *page.names[row.name]), row.sums) for row in fits]
