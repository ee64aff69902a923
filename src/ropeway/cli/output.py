"""What a command prints: a table on a terminal, JSON lines in a pipe, or what `-o` asks for. Notes go to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from typing import IO, Any

import msgspec

from .clean import clean, clean_json

Row = dict[str, Any]
MODES = ("auto", "table", "jsonl", "json", "id")

_encode = msgspec.json.Encoder().encode


def is_terminal(stream: Any) -> bool:
    """Whether a person looks at that stream; False for one that is closed."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def to_json(value: Any) -> bytes:
    """One line of JSON that may also go to a terminal."""
    try:
        return clean_json(_encode(value).decode()).encode()
    except UnicodeEncodeError:  # half a surrogate pair, out of a file name or an argument that is not UTF-8
        return clean_json(_encode(_whole(value)).decode()).encode()


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_whole(k): _whole(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(v) for v in value]
    return value


class Output:
    """Prints rows. `mode` is one of table, jsonl, json, id: `auto` has been settled by looking at stdout."""

    def __init__(self, mode: str, *, quiet: bool = False) -> None:
        self.terminal = is_terminal(sys.stdout)
        self.mode = mode if mode != "auto" else "table" if self.terminal else "jsonl"
        self.quiet = quiet
        self.stream = _buffered(sys.stdout.buffer)

    def line(self, text: str) -> None:
        """A line of text that is clean already."""
        self.stream.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace") + b"\n")

    def rows(self, rows: Iterable[Row], table: Callable[[Sequence[Row]], Iterable[str]], *, name: str = "id", empty: str = "") -> int:
        """Print rows as they come (a table waits for the last). `table` makes its lines, `name` is the field that `-o id` prints,
        `empty` what a person reads when there are none. How many there were."""
        if self.mode == "table":
            all_rows = list(rows)
            for text in table(all_rows) if all_rows else ():
                self.line(text)
            if not all_rows and empty:
                self.note(empty)
            return len(all_rows)
        count = 0
        with self.listing(no_lines, name=name) as emit:
            for row in rows:
                emit(row)
                count += 1
        return count

    @contextmanager
    def listing(self, text: Callable[[Row], Iterable[str]], *, name: str = "id") -> Iterator[Callable[[Row], None]]:
        """Print rows one by one, each at once: on a terminal as the lines that `text` makes of it."""
        before = [b"[\n  ", b",\n  "] if self.mode == "json" else [b"", b""]
        after = b"" if self.mode == "json" else b"\n"
        count = 0

        def emit(row: Row) -> None:
            nonlocal count
            if self.mode == "table":
                for line in text(row):
                    self.line(line)
            elif self.mode == "id":
                self.line(clean(str(row.get(name, ""))))
            else:
                self.stream.write(before[count > 0] + to_json(row) + after)
            count += 1

        yield emit
        if self.mode == "json":
            self.stream.write(b"\n]\n" if count else b"[]\n")

    def one(self, row: Row, text: Iterable[str], *, name: str = "id") -> None:
        """Print one thing: its lines on a terminal, else one JSON object."""
        if self.mode == "table":
            for line in text:
                self.line(line)
        elif self.mode == "id":
            self.line(clean(str(row.get(name, ""))))
        else:
            self.stream.write(to_json(row) + b"\n")

    def note(self, text: str) -> None:
        """Something for a person: on stderr, only on a terminal, never with -q."""
        if not self.quiet and is_terminal(sys.stderr):
            say(text)


def _buffered(stream: Any) -> IO[bytes]:
    """The stream itself, or with $PYTHONUNBUFFERED one with a buffer: a bare write may be cut short by a signal."""
    return stream if isinstance(stream, BufferedIOBase) else open(stream.fileno(), "wb", closefd=False)  # type: ignore[return-value]


def no_lines(_: Any) -> tuple[str, ...]:
    """What a table shows of rows that only programs want."""
    return ()


def say(text: str) -> None:
    """One line on stderr, whatever the text holds; nothing if stderr is gone."""
    try:
        print(clean(text), file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        pass
