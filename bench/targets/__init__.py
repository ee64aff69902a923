"""What each engine is held to: a room each."""

from __future__ import annotations

from importlib import import_module

from .target import Target, Value, judge, line

__all__ = ["Target", "judge", "line", "pace", "targets"]


def targets(engine: str) -> list[Target]:
    """The engine's, in the order of its measures."""
    found: list[Target] = import_module(f".{engine}", __name__).TARGETS
    return found


def pace(engine: str) -> Value:
    """How fast a run's floor is, put one by one, by the study's."""
    found: Value = import_module(f".{engine}", __name__).put_pace
    return found
