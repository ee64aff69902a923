"""The URL by which ropeway reaches a place of the bench."""

from __future__ import annotations

SCHEMES = {"directory": "dir", "sqlite": "sqlite", "postgres": "postgresql", "mariadb": "mysql", "redis": "redis"}


def is_built(engine: str) -> bool:
    """Whether this ropeway has that engine."""
    from ropeway.stores import ENGINES

    return SCHEMES[engine] in ENGINES


def url(engine: str, place: str, durability: str) -> str:
    """Files lie in the place; a server's place is the address of a database that is the row's own."""
    if engine == "directory":
        return f"dir:{place}/store?durability={durability}"
    if engine == "sqlite":
        return f"sqlite:{place}/jobs.db?durability={durability}"
    if engine == "redis":  # how safe a put is, is the server's own setting
        return place
    return f"{place}?durability={durability}"
