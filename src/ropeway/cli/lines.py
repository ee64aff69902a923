"""A stream cut into lines, in batches of what has arrived: no line waits for the next, and a busy producer makes large batches."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import Any, TypeVar

from ..errors import RopewayError
from .verdict import FAILED, Failure

T = TypeVar("T")
R = TypeVar("R")

READ = 1 << 16
MOST_LINES = 1000
MOST_BYTES = 4 << 20
LONGEST = 64 << 20  # of one line: what has no end must not fill the memory


def batches(stream: Any, separator: bytes = b"\n", longest: int = LONGEST) -> Iterator[list[bytes]]:
    """Batches of lines without their separator. A batch ends when nothing more is there at the moment, or when it is large. What
    stands after the last separator is a line too. Raises Failure for a line over `longest` bytes, after the batch before it."""
    more = _Arrival(stream)
    batch: list[bytes] = []
    size = 0
    rest: list[bytes] = []
    rest_size = 0
    while chunk := stream.read1(READ):
        *whole, last = chunk.split(separator)
        if whole:
            whole[0] = b"".join((*rest, whole[0]))
            rest, rest_size = [], 0
            batch += whole
            size += len(chunk)
        rest.append(last)
        rest_size += len(last)
        if rest_size > longest or (whole and max(map(len, whole)) > longest):
            yield list(takewhile(lambda line: len(line) <= longest, batch))
            raise Failure(FAILED, f"a line of over {longest} bytes; it and what follows were not put. Put a large body with -f")
        if batch and (len(batch) >= MOST_LINES or size >= MOST_BYTES or not more.there()):
            yield batch
            batch, size = [], 0
    if any(rest):
        batch.append(b"".join(rest))
    if batch:
        yield batch


def sound(lines: list[bytes], before: int, *, json: bool, rest: str = "") -> tuple[list[bytes], Failure | None]:
    """Those that are not empty, of which `json` must be JSON, up to the first that is none: what is said of that, with `rest` behind it.
    `before`: how many lines came before these."""
    good: list[bytes] = []
    for number, line in enumerate(lines, before + 1):
        if not line or line == b"\r":
            continue
        if json:
            import msgspec

            try:
                msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                return good, Failure(FAILED, f"line {number:,} is no JSON: {error}{rest}")
        good.append(line)
    return good, None


def as_they_come(
    found: Iterable[list[bytes]],
    make: Callable[[list[bytes], int], tuple[list[T], Failure | None]],
    store: Callable[[list[T]], Iterable[R]],
    flush: Callable[[], object],
    done: str,
) -> Iterator[R]:
    """Make something of each batch of lines, store it, and give what is to be printed of it. A failure says at which line, and that what
    came before is `done`. `flush`: who reads what is printed is not kept waiting while the producer rests."""
    read = 0
    for batch in found:
        made, error = make(batch, read)
        try:
            yield from store(made)
        except RopewayError as failure:
            from .verdict import verdict

            code, text = verdict(failure)
            raise Failure(code, f"line {read + 1:,} and what follows: {text}. The {read:,} lines before are {done}") from failure
        if error:
            raise error
        read += len(batch)
        flush()


class _Arrival:
    """Whether a read would answer at once."""

    def __init__(self, stream: Any) -> None:
        self._poll: select.poll | None = None
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return  # in memory: all of it is there
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def there(self) -> bool:
        return self._poll is None or bool(self._poll.poll(0))
