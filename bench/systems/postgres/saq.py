"""SAQ on PostgreSQL."""

from __future__ import annotations

from saq.queue.postgres import PostgresQueue

from ..saqs import Saq


class SaqPostgres(Saq):
    """With its own pool; no results are kept."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(lambda: PostgresQueue.from_url(place, name="mails"))
