"""When a schedule is due: five cron fields, names such as @daily, or `every 10s`, in a time zone. Pure functions of a given time.

Where clocks are put forward or back (the rules of Debian's cron, as the library cronsim keeps them):

- An expression that names its hours and minutes ("30 2 * * *") runs once each day that it means. A time that the clock jumps over
  runs at the moment of the jump; one that comes twice runs the first time.
- An expression whose minute or hour begins with a star ("*/15 * * * *", "0 * * * *") runs by the time that really passes.

Ticks are whole seconds since 1970, so each tick has one name in every zone. `every` counts from 1970 on in UTC: "every 10s" is due at
second 0, 10, 20 of each minute, on every host, whenever it was started.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import islice
from math import floor

from .durations import seconds
from .errors import BadValue
from .names import shown

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST_TEXT = 256
_FIELDS = "minute, hour, day of the month, month, day of the week"
_EARLIEST = 0.0
_SPANS = (3600, 86400, 32 * 86400, 367 * 86400, 9 * 366 * 86400, 51 * 366 * 86400)  # how far back a tick is looked for


class Cron:
    """A schedule's expression in its zone. Raises BadValue for what is no expression, no zone, or never comes.

    `text` is as given but for its spaces, `tz` the name of the zone.
    """

    __slots__ = ("_expression", "_period", "text", "tz", "zone")

    def __init__(self, text: str, tz: str = "UTC") -> None:
        self.text = _plain(text)
        self.tz = tz
        self.zone = zone_of(tz)
        self._period = _period(self.text)
        self._expression = "" if self._period else _fields(self.text)

    def next(self, after: float) -> float:
        """The first tick after that moment."""
        if self._period:
            return float((floor(after / self._period) + 1) * self._period)
        from cronsim import CronSim

        try:
            start = datetime.fromtimestamp(floor(after), UTC).astimezone(self.zone)
            for found in CronSim(self._expression, start):
                tick = found.timestamp()
                if tick > after:  # in the second of two equal hours the library starts from the first
                    return tick
        except (ValueError, OverflowError, OSError):
            pass
        raise BadValue(f"{shown(self.text)} has no tick after {after:.0f}; nothing was done")

    def previous(self, before: float) -> float | None:
        """The last tick before that moment; None when there was none since 1970."""
        high = floor(before) if floor(before) == before else floor(before) + 1  # ticks are whole: none lies between
        if self._period:
            tick = float((-floor(-before / self._period) - 1) * self._period)
            return tick if tick >= _EARLIEST else None
        low = -1
        for span in _SPANS:
            low = max(-1, high - span)
            if self.next(low) < before:
                break
        else:
            return None
        while high - low > 1:  # between the two lies the last tick
            middle = (low + high) // 2
            if self.next(middle) < before:
                low = middle
            else:
                high = middle
        return self.next(low)

    def ticks(self, after: float) -> Iterator[float]:
        """All ticks after that moment, one after the other."""
        while True:
            after = self.next(after)
            yield after

    def first(self, count: int, after: float) -> list[float]:
        """So many ticks after that moment."""
        return list(islice(self.ticks(after), count))

    def __repr__(self) -> str:
        return f"<Cron {self.text} in {self.tz}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cron) and (other.text, other.tz) == (self.text, self.tz)

    def __hash__(self) -> int:
        return hash((self.text, self.tz))


@lru_cache(256)
def cron(text: str, tz: str = "UTC") -> Cron:
    """The same Cron for the same words."""
    return Cron(text, tz)


def zone_of(name: str) -> tzinfo:
    """The time zone of that name in the IANA database; BadValue when there is none."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        if isinstance(name, str) and 0 < len(name) <= LONGEST_TEXT:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of the database
        pass
    raise BadValue(
        f'{shown(name)} is no time zone; nothing was done. Write a name such as "Europe/Berlin", or "UTC"; '
        "where the system has no zones, install the package tzdata"
    )


def _plain(text: object) -> str:
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        raise BadValue(f"{shown(text)} is no schedule; nothing was done. {_hint()}")
    plain = " ".join(text.split())
    return plain.lower() if plain.startswith("@") or plain[:5].lower() == "every" else plain


def _period(text: str) -> int:
    """Seconds between two ticks of `every ...`; 0 for everything else."""
    if not text.startswith("every"):
        return 0
    period = seconds(text[5:].strip(), "period")
    if period < 1 or period % 1:
        raise BadValue(f"{shown(text)}: a period is at least 1 s, and whole seconds; nothing was done")
    return int(period)


def _fields(text: str) -> str:
    """The five fields of the expression, checked."""
    from cronsim import CronSim, CronSimError

    expression = NAMED.get(text, text)
    if expression.startswith("@"):
        raise BadValue(f"{shown(text)} is no schedule; there are {' '.join(NAMED)}. Nothing was done")
    if (count := len(expression.split())) != 5:
        raise BadValue(f"{shown(text)} has {count} field{'' if count == 1 else 's'}; nothing was done. {_hint()}")
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        raise BadValue(f"{shown(text)} never comes; nothing was done") from None
    except (CronSimError, ValueError, AssertionError, TypeError, IndexError) as error:
        what = str(error).removeprefix("Bad ") if isinstance(error, CronSimError) else "one of the fields"
        raise BadValue(f"{shown(text)}: {what} cannot be understood, or never comes; nothing was done. {_hint()}") from None
    return expression


def _hint() -> str:
    return f'Write five fields ({_FIELDS}) such as "0 3 * * mon-fri", @hourly or @daily, or "every 10s"'
