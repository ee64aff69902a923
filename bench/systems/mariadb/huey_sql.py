"""Huey on MariaDB, by peewee."""

from __future__ import annotations

from huey.contrib.sql_huey import SqlHuey

from ..hueys import Huey


class HueySql(Huey):
    """Its consumer looks from time to time."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(SqlHuey("mails", database=place, results=False))
