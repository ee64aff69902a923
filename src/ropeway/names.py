"""What may be a name, and which names a pattern means. Every name that comes from outside passes here first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .errors import BadName, BadValue

NAME_LIMIT = 128
KEY_LIMIT = 1024
HEADER_LIMIT = 16 * 1024

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z", re.ASCII)
_HEADER = re.compile(r"[!-9;-~]{1,128}\Z", re.ASCII)  # visible ASCII but the colon, as in mail and HTTP
_PATTERN = re.compile(r"!?[A-Za-z0-9._*?\[\]-]{1,160}\Z", re.ASCII)


def check_name(name: object, what: str = "queue") -> str:
    """The name itself, if it is one: 1-128 of A-Z a-z 0-9 . _ - and no dot at the start; else BadName.

    Two names that differ only in case are two names; engines on case-folding media must encode.
    """
    if isinstance(name, str) and _NAME.match(name):
        return name
    raise BadName(
        f"{shown(name)} is no name for a {what}: use 1 to {NAME_LIMIT} of A-Z a-z 0-9 . _ - and no dot at the start; nothing was done"
    )


def is_name(name: str) -> bool:
    """Whether `check_name` takes it."""
    return bool(_NAME.match(name))


def check_key(key: object) -> str:
    """A unique key: any text of 1 to 1,024 bytes in UTF-8 without NUL; else BadName."""
    if isinstance(key, str) and key and "\0" not in key:
        try:
            if len(key.encode()) <= KEY_LIMIT:
                return key
        except UnicodeEncodeError:
            pass
    raise BadName(f"{shown(key)} is no key: use 1 to {KEY_LIMIT} bytes of text without NUL; nothing was done")


def check_headers(headers: object) -> dict[str, str]:
    """Headers as a plain dict: visible ASCII names without a colon, text values without NUL, CR or LF, 16 KiB in all."""
    if not isinstance(headers, dict):
        raise BadName(f"headers are name = value pairs, not {type(headers).__name__}; nothing was done")
    if not headers:
        return {}
    size = 0
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER.match(name):
            raise BadName(f"{shown(name)} is no header name: use 1 to 128 visible ASCII characters and no colon; nothing was done")
        if not isinstance(value, str) or "\n" in value or "\r" in value or "\0" in value:
            raise BadName(f"header {name}: the value must be text on one line, without NUL; nothing was done")
        try:
            size += len(name) + len(value.encode())
        except UnicodeEncodeError:
            raise BadName(f"header {name}: the value is not valid text; nothing was done") from None
    if size > HEADER_LIMIT:
        raise BadName(f"the headers are {size} bytes, the limit is {HEADER_LIMIT}; nothing was done")
    return dict(headers)


def check_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Queue patterns as workers take them: names, globs, and `!` in front of what is left out; else BadValue."""
    for pattern in patterns:
        if not isinstance(pattern, str) or not _PATTERN.match(pattern):
            raise BadValue(f"{shown(pattern)} is no queue pattern: use a name, a glob such as mail-*, or !name to leave one out")
    if patterns and all(p.startswith("!") for p in patterns):
        raise BadValue("the patterns only leave queues out: name at least one queue, or * for all others")
    return tuple(patterns)


def ended(queue: str) -> str:
    """The name that `Store.wait` takes for the ends of a queue's jobs, in place of a queue's."""
    return f"_ended.{queue}" if len(queue) <= 121 else "_ended"


def is_ended(name: str) -> bool:
    """Whether it is such a name."""
    return name.startswith("_ended")


def matching(patterns: Sequence[str], names: Iterable[str]) -> list[str]:
    """The names that the patterns mean, in the order of the patterns (their order is the worker's priority).

    A pattern without a wildcard means that queue whether it exists yet or not. Wildcards never mean ropeway's own queues,
    whose names start with an underscore. `!x` takes away what any other pattern gave, wherever it stands.
    """
    out: dict[str, None] = {}
    known = sorted(names)
    for pattern in patterns:
        if pattern.startswith("!"):
            continue
        if not any(c in pattern for c in "*?["):
            out[pattern] = None
            continue
        for name in known:
            if fnmatchcase(name, pattern) and not name.startswith("_"):
                out[name] = None
    for pattern in patterns:
        if pattern.startswith("!"):
            for name in [n for n in out if fnmatchcase(n, pattern[1:])]:
                del out[name]
    return list(out)


def shown(value: object, limit: int = 80) -> str:
    """A hostile value as it may stand in an error or a log: repr, so that no control byte passes, and cut."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
