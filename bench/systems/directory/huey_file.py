"""Huey on its file storage. Nothing is synced."""

from __future__ import annotations

from huey import FileHuey

from ..hueys import Huey


class HueyFile(Huey):
    """A file a job in one folder, which is listed for each pop."""

    def __init__(self, place: str, durability: str) -> None:
        super().__init__(FileHuey("mails", path=f"{place}/huey", results=False))
