"""What is measured, engine by engine."""

from __future__ import annotations

from . import directory, served
from .measure import BULK, Measure, Row

__all__ = ["BULK", "Measure", "Row", "measures"]


def measures(engine: str, full: bool = False) -> list[Measure]:
    """All of an engine's; `full`: also with a million jobs waiting."""
    return directory.measures(full) if engine == "directory" else served.measures(engine, full)
