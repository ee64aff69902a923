"""The Redis engine: every verb is one Lua call, the server owns the clock, and all keys of a queue share a slot."""

from __future__ import annotations

from .store import RedisStore

__all__ = ["RedisStore"]
