"""Who may do what: roles on queue patterns, and the tokens that carry them."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from msgspec import Struct

from ..clock import Clock
from ..errors import BadValue, ConfigError
from ..names import check_patterns, shown

log = logging.getLogger("ropeway.server")

SHORTEST = 16  # characters of a token that somebody wrote himself; ours have 43
LARGEST = 1 << 20  # bytes of a token file
LOOK = 1.0  # seconds between two looks whether the file has changed


class Role(StrEnum):
    """What a door asks for."""

    PRODUCE = "produce"  # put
    CONSUME = "consume"  # claim, ack, nack, bury, extend, and answers to calls
    OPERATE = "operate"  # the operator's verbs
    OBSERVE = "observe"  # looking


class Grant(Struct, frozen=True):
    """What the bearer of one token may do. `name` is for the audit record."""

    name: str
    queues: Mapping[Role, tuple[str, ...]]  # patterns, as workers take them
    expires: float = float("inf")

    def may(self, role: Role, queue: str | None = None) -> bool:
        """Whether this role is given, for this queue or, without one, for any at all."""
        patterns = self.queues.get(role, ())
        if queue is None:
            return bool(patterns)
        if role is Role.PRODUCE and queue.startswith("_reply.") and self.queues.get(Role.CONSUME):
            return True  # the queue's name is known only to who was called from it
        return _fits(patterns, queue)

    def seen(self, queues: Iterator[str] | list[str], role: Role = Role.OBSERVE) -> list[str]:
        """Those of the queues that it reaches."""
        return [queue for queue in queues if self.may(role, queue)]


@lru_cache(10_000)
def _fits(patterns: tuple[str, ...], queue: str) -> bool:
    if any(pattern.startswith("!") and fnmatchcase(queue, pattern[1:]) for pattern in patterns):
        return False
    plain = [pattern for pattern in patterns if not pattern.startswith("!")]
    if queue.startswith("_"):  # ropeway's own: only who says so means them
        plain = [pattern for pattern in plain if pattern.startswith("_")]
    return any(fnmatchcase(queue, pattern) for pattern in plain)


EVERYTHING: Mapping[Role, tuple[str, ...]] = dict.fromkeys(Role, ("*", "_*"))
LOOKING: Mapping[Role, tuple[str, ...]] = {Role.OBSERVE: ("*", "_*")}


class Keys:
    """The tokens of one server, read from its file and read again when that has changed.

    The file is TOML, and nobody but its owner may read it:

        [[token]]
        name = "shop"
        token = "..."            # or sha256 = "...", the hex digest of the token, so that the file holds no secret
        produce = ["orders.*"]   # queue patterns, for each of: produce, consume, operate, observe
        observe = ["*"]
        expires = 2030-01-01T00:00:00Z

    or just one token on one line, which may do everything. Raises ConfigError for a file that cannot be understood; once running, a file
    that has become so leaves the tokens as they were.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._looked = clock.boot()
        self._stamp = self._state()
        self._grants = read(path)

    def grant(self, token: str) -> Grant | None:
        """What the bearer may do; None when nobody is meant, or the time is over."""
        self._look()
        found = self._grants.get(digest(token))
        return found if found is not None and self._clock.now() < found.expires else None

    def _look(self) -> None:
        now = self._clock.boot()
        if now - self._looked < LOOK:
            return
        self._looked, stamp = now, self._state()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._grants = read(self.path)
        except ConfigError as error:
            log.warning("the tokens stay as they were: %s", error)

    def _state(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self.path)
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def digest(token: str) -> str:
    """A token as it is kept: what is looked up is a hash, so that the time of the look-up tells nothing of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def read(path: str) -> dict[str, Grant]:
    """The grants of a token file, by the digest of their tokens."""
    text = _text(path)
    lines = text.split()
    if len(lines) == 1 and "=" not in lines[0].rstrip("="):
        _strong(lines[0], path)
        return {digest(lines[0]): Grant("everything", EVERYTHING)}
    try:
        tables = tomllib.loads(text).get("token", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no token file: {error}; it must be one token on one line, or TOML") from None
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path} holds no [[token]]; nobody could use the server")
    return dict(_grant(table, number, path) for number, table in enumerate(tables, 1))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}); type: chmod 600 {path}")
            return file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {path} cannot be read: {error}") from None


_KNOWN = frozenset({"name", "token", "sha256", "expires", *Role})


def _grant(table: Any, number: int, path: str) -> tuple[str, Grant]:
    where = f"{path}: token {number}"
    if not isinstance(table, dict) or (unknown := sorted(table.keys() - _KNOWN)):
        named = "is no table" if not isinstance(table, dict) else f"has an unknown setting {shown(unknown[0])}"
        raise ConfigError(f"{where} {named}; it has: {' '.join(sorted(_KNOWN))}")
    token, key = table.get("token"), table.get("sha256")
    if isinstance(token, str) and key is None:
        _strong(token, where)
        key = digest(token)
    elif not (isinstance(key, str) and len(key) == 64 and token is None):
        raise ConfigError(f"{where} needs token, a text, or sha256, the 64 hex digits of its digest, and not both")
    queues = {}
    for role in Role:
        patterns = table.get(role, [])
        try:
            if not isinstance(patterns, list):
                raise BadValue(f"{role} is a list of queue patterns")
            queues[role] = check_patterns(patterns)
        except BadValue as error:
            raise ConfigError(f"{where}: {error}") from None
    expires = table.get("expires")
    if expires is not None and (not isinstance(expires, datetime) or expires.tzinfo is None):
        raise ConfigError(f"{where}: expires is a moment with its time zone, such as 2030-01-01T00:00:00Z")
    until = expires.timestamp() if expires else float("inf")
    return key.lower(), Grant(str(table.get("name", f"token {number}"))[:80], queues, until)


def _strong(token: str, where: str) -> None:
    if len(token) < SHORTEST:
        raise ConfigError(f"{where}: a token of {len(token)} characters can be guessed; take at least {SHORTEST}, better none of your own")


def first_token(path: str) -> tuple[str, bool]:
    """The token of this file, and whether it was made just now: at the first start, mode 0600."""
    token = secrets.token_urlsafe(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return _text(path).strip(), False
    except OSError as error:
        raise ConfigError(f"the token file {path} cannot be made: {error}; nothing was started") from None
    with open(handle, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    return token, True
