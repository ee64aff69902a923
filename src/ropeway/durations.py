"""Durations as people write them, in seconds as the code wants them."""

from __future__ import annotations

import re
from datetime import timedelta

from .errors import BadValue

LONGEST = 100 * 365 * 86400.0
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|s|m|h|d|w)?", re.ASCII)
_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "": 1.0}

Duration = float | int | str | timedelta


def seconds(value: Duration, what: str = "duration") -> float:
    """Seconds out of 90, 0.5, "30s", "10m", "1h30m", "250ms", "1d" or a timedelta; BadValue for anything else,
    for a negative one, and for more than a hundred years."""
    if isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        return _bounded(float(value), value, what)
    elif isinstance(value, timedelta):
        return _bounded(value.total_seconds(), value, what)
    elif isinstance(value, str):
        total, at = 0.0, 0
        text = value.strip().lower()
        while text and at < len(text):
            found = _PART.match(text, at)
            if not found or (not found[2] and (at or found.end() != len(text))):
                break
            total += float(found[1]) * _UNIT[found[2] or ""]
            at = found.end()
        if text and at == len(text):
            return _bounded(total, value, what)
    raise BadValue(f'{ascii(value)[:80]} is no {what}: give seconds (90) or text such as "30s", "10m", "1h30m", "1d"; nothing was done')


def _bounded(number: float, value: object, what: str) -> float:
    if 0 <= number <= LONGEST:
        return number
    raise BadValue(f"{ascii(value)[:80]} is no {what}: it must lie between 0 and 100 years; nothing was done")


def spoken(value: float) -> str:
    """Seconds as a person reads them: 0.25 -> "250ms", 90 -> "1m30s", 93784 -> "1d2h"."""
    if value < 0:
        return "-" + spoken(-value)
    if value < 1:
        return f"{value * 1000:.0f}ms"
    if value < 10:
        return f"{value:.1f}s".replace(".0s", "s")
    left = round(value)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
        if len(parts) == 2:
            break
    return "".join(parts)
