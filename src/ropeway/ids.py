"""Job ids: UUIDv7 in 32 hex digits, made by the client, so that a put whose answer was lost can be repeated without a double.

An id carries its time (48 bits of milliseconds, 12 bits of a millisecond's fractions), then 62 random bits (RFC 9562, section 5.7 and
method 3 of 6.2). Within one maker the ids only grow, so (priority, due, id) keeps the order in which one process put its jobs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import cache

from .errors import BadName

ID_LENGTH = 32
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_BLOCK = 4096
_LARGE_BLOCK = 1 << 15  # each call gives up the interpreter, and may wait long to have it back
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))  # what the first of the random bytes has to say


class IdMaker:
    """Makes ids from a clock (nanoseconds since 1970) and a source of random bytes, both given: this floor has neither.

    After a fork the child must call `reseed`, or both sides would hand out the same random bits.
    """

    def __init__(self, clock: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._last = 0
        self._tails: list[int] = []  # random numbers of 64 bits, each used once
        self._hex = ""  # the same for many at once, as they are written

    def reseed(self) -> None:
        self._lock = threading.Lock()
        self._tails = []
        self._hex = ""

    def __call__(self) -> str:
        with self._lock:
            moment = self._clock() * 64 // 15625  # 1/4096 of a millisecond: ns * 4096 / 1e6
            if moment <= self._last:
                moment = self._last + 1
            self._last = moment
            if not self._tails:
                self._tails = memoryview(self._entropy(_BLOCK)).cast("Q").tolist()
            tail = self._tails.pop()
        head = (moment >> 12 & 0xFFFFFFFFFFFF) << 16 | 0x7000 | moment & 0xFFF
        return (head << 64 | tail >> 2 | 0x8000000000000000).to_bytes(16).hex()

    def many(self, count: int) -> list[str]:
        """So many ids, each greater than the one before: as calling it so often, in a fraction of the time."""
        with self._lock:
            first = max(self._clock() * 64 // 15625, self._last + 1)
            self._last = first + count - 1
            if len(self._hex) < 16 * count:
                random = bytearray(self._entropy(max(_LARGE_BLOCK, 8 * count)))
                random[::8] = random[::8].translate(_VARIANT)
                self._hex = random.hex()
            tails, self._hex = self._hex[: 16 * count], self._hex[16 * count :]
        fractions, out = _fractions(), list[str]()
        while (at := len(out)) < count:
            head, fraction = f"{first + at >> 12 & 0xFFFFFFFFFFFF:012x}7", first + at & 0xFFF
            some = fractions[fraction : fraction + count - at]
            out += [head + middle + tails[i : i + 16] for middle, i in zip(some, range(16 * at, 16 * count, 16), strict=False)]
        return out


@cache
def _fractions() -> tuple[str, ...]:
    """All fractions of a millisecond, as they are written: made when many ids are."""
    return tuple(f"{one:03x}" for one in range(4096))


def is_id(value: object) -> bool:
    """Whether it is an id exactly as `IdMaker` writes it."""
    return isinstance(value, str) and _ID.match(value) is not None


def check_id(value: object) -> str:
    """The id itself if it is 32 lower-case hex digits (dashes are taken out, capitals lowered); else BadName."""
    if isinstance(value, str):
        plain = value.replace("-", "").lower()
        if _ID.match(plain):
            return plain
    raise BadName(f"{ascii(value)[:80]} is no job id: it must be 32 hex digits, as put printed it")


def made_at(job_id: str) -> float:
    """When the id says it was made, in seconds since 1970: a hint for searching, never a proof."""
    return int(job_id[:12], 16) / 1000
