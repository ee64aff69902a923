"""Huey on SQLite."""

from __future__ import annotations

from huey import SqliteHuey

from ..hueys import Huey


class HueySqlite(Huey):
    """WAL, as it is by default; `os` is synchronous=OFF, which survives a killed process too."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(SqliteHuey("mails", filename=f"{place}/huey.db", fsync=durability == "full", results=False))
