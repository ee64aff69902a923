"""Hostile text made fit for a terminal: no control byte, escape sequence or direction override of a job ever gets there."""

from __future__ import annotations

import re
from functools import cache

# C0, then: DEL and C1, soft and zero-width marks, line separators, direction overrides, fillers, byte order mark, tags; surrogates.
_C0 = "\x00-\x1f"
_C0_BUT_LINES = "\x00-\x08\x0b-\x1f"
_MARKS = "\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff"
_HALVES = "\ud800-\udfff"


def clean(text: str) -> str:
    """On one line, whatever it holds: what could steer a terminal stands there as an escape, such as \\x1b."""
    return text if text.isascii() and text.isprintable() else _pattern(_C0 + _MARKS + _HALVES).sub(_escape, text)


def clean_lines(text: str) -> str:
    """The same, keeping line ends and tabs."""
    return _pattern(_C0_BUT_LINES + _MARKS + _HALVES).sub(_escape, text)


def clean_json(text: str) -> str:
    """JSON whose strings hold nothing that steers a terminal; its value stays the same."""
    return text if text.isascii() and "\x7f" not in text else _pattern(_MARKS).sub(_json_escape, text)


def clean_bytes(data: bytes) -> str:
    """Bytes as a terminal may show them: text where it is UTF-8, escapes elsewhere."""
    return clean_lines(data.decode("utf-8", "backslashreplace"))


@cache
def _pattern(characters: str) -> re.Pattern[str]:
    """Made when it is first needed: a `put` has nothing to clean."""
    return re.compile(f"[{characters}]")


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
