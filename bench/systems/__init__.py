"""Who is measured, engine by engine: a table in each folder. A side is imported in the process that measures it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from .system import System

ENGINES = ("directory", "sqlite", "postgres", "mariadb", "redis")
OURS = ("engine", "ropeway")


def systems(engine: str) -> dict[str, System]:
    """All rows of an engine's tables, the floors first."""
    table: dict[str, System] = import_module(f".{engine}", __name__).SYSTEMS
    return table


def load(engine: str, name: str) -> Callable[[str, str], Any]:
    """What makes this side: call it with a place and a durability."""
    system = systems(engine)[name]
    module = import_module(system.module, f"{__name__}.{engine}")
    return partial(getattr(module, system.attribute), **system.options)


def floors(engine: str) -> list[str]:
    return [name for name in systems(engine) if is_floor(name)]


def peers(engine: str) -> list[str]:
    return [name for name, system in systems(engine).items() if system.peer]


def is_floor(name: str) -> bool:
    return name.startswith("floor")
