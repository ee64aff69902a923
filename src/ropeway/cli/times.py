"""Moments as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..durations import spoken
from .verdict import USAGE, Failure

_FORMS = "2030-01-31T08:00, the same with Z or +02:00, 2030-01-31, 08:00 (the next one), or @1893456000"


def moment(text: str, now: datetime | None = None) -> datetime:
    """The moment that a person wrote; local time where nothing else is said. Failure for what is none."""
    text = text.strip()
    try:
        if text.startswith("@"):
            return datetime.fromtimestamp(float(text[1:]), UTC)
        if len(text) <= 8 and ":" in text:
            now = now or datetime.now().astimezone()
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") > 1 else "%H:%M")
            at = now.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
            return at if at > now else at + timedelta(days=1)
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.astimezone()
    except (ValueError, OverflowError, OSError):
        raise Failure(USAGE, f"{text[:80]!r} is no moment; nothing was done. Write {_FORMS}") from None


def iso(seconds: float) -> str:
    """Seconds since 1970 as programs read them: UTC, to the millisecond."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return ""


def relative(seconds: float, now: float) -> str:
    """Seconds since 1970 as a person reads them beside others: "in 5m", "3s ago"."""
    away = seconds - now
    if abs(away) < 1:
        return "now"
    return f"in {spoken(away)}" if away > 0 else f"{spoken(-away)} ago"
