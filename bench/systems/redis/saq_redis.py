"""SAQ on Redis."""

from __future__ import annotations

from saq.queue.redis import RedisQueue

from ..saqs import Saq


class SaqRedis(Saq):
    """As its pages show."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(lambda: RedisQueue.from_url(place, name="mails"))
