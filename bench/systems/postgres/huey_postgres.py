"""Huey on PostgreSQL."""

from __future__ import annotations

from huey import PostgresHuey

from ..hueys import Huey


class HueyPostgres(Huey):
    """Its consumer waits by LISTEN."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(PostgresHuey("mails", dsn=place, results=False))
