"""Huey on Redis."""

from __future__ import annotations

from huey import RedisHuey

from ..hueys import Huey


class HueyRedis(Huey):
    """A list; it waits by BRPOP."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(RedisHuey("mails", url=place, results=False))
