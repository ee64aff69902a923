"""The floors: the one table that says which module stands where. Imports only point down, or stay on their floor."""

from __future__ import annotations

# From the ground up. A name stands for the module, or for the package with all that is in it.
FLOORS: dict[str, tuple[str, ...]] = {
    "ground": ("errors", "names", "durations", "ids", "job", "codec", "retry", "cron", "events", "topics", "message"),
    "contracts": ("clock", "store", "notes", "bus", "url", "demands", "bells.choice", "bells.address"),  # what a URL may ask for is no I/O
    "bells": ("bells", "buses", "mounts", "living", "orphan"),
    "engines": ("stores",),
    "handles": (
        *("shell", "link", "codecs", "options", "source", "failure", "handle", "following", "claim", "carry", "operate", "sweep", "queue"),
        *("schedule", "schedules", "unique", "aio", "calls", "history", "metrics"),
        *("group", "groups", "census", "topic", "listening"),
    ),
    "work": ("sight", "tasks", "middleware", "hooks", "executor", "worker"),
    "lobby": ("config", "broker", "report", "otel", "why"),
    "doors": ("log", "door", "introspection", "top", "watch", "notifier", "bridges", "cli", "server", "__main__", ""),
}

# The side room: it may use every floor below the doors; of the house only the doors may know that it is there.
SIDE_ROOM = "testing"

# What the ground floor may take from the standard library and beyond: pure data, no I/O and no clock.
GROUND_MAY_IMPORT = frozenset(
    {"__future__", "abc", "collections", "datetime", "enum", "fnmatch", "functools", "itertools", "math"}
    | {"msgspec", "re", "string", "threading", "typing", "zlib"}
    | {"cronsim", "zoneinfo"}  # the zones are a table that comes with the system
)

# (importer, imported): why this one import may point upwards, or sideways between engines.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("broker", "server.mounted"): "broker.dashboard() is the one door that a program opens by itself, late, and only when it asks for it",
}


def floor_of(name: str) -> int | None:
    """The number of the floor that a module stands on; None when the table does not know it."""
    for number, rooms in enumerate(FLOORS.values()):
        for room in rooms:
            if name == room or (room and name.startswith(room + ".")):
                return number
    return None


def engine_of(name: str) -> str | None:
    """The engine that a module belongs to ("directory"), None outside stores/ and for the table of engines itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "stores" and len(parts) > 1 else None
