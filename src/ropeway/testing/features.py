"""The table of what each engine can do, from the engines themselves: `python -m ropeway.testing.features` prints the page of the docs.

The contract suite holds every engine to its row: what is marked works there, and what is not is refused with Unsupported.
"""

from __future__ import annotations

from typing import Any

from ..store import Feature
from ..stores.directory import DirectoryStore
from ..stores.memory import MemoryStore
from ..stores.redis import RedisStore
from ..stores.sql.mysql import MysqlStore
from ..stores.sql.postgres import PostgresStore
from ..stores.sql.sqlite import SqliteStore

ENGINES: dict[str, Any] = {
    "memory": MemoryStore,
    "dir": DirectoryStore,
    "sqlite": SqliteStore,
    "postgresql": PostgresStore,
    "mysql": MysqlStore,
    "redis": RedisStore,
}

HEAD = """# What each engine can do

Made from the code by `python -m ropeway.testing.features`. One suite of tests runs on each engine: what has a dot here works on it as the
suite demands, and what has none is refused with `Unsupported` before anything is done.
"""

MEANINGS = {
    Feature.PRIORITY: "order by priority",
    Feature.DELAY: "delayed jobs, of any length",
    Feature.KEYS: "unique keys",
    Feature.KEEP: "done jobs kept with their result",
    Feature.HISTORY: "attempts kept, with error and traceback",
    Feature.BROWSE: "looking at jobs, searching, requeue and delete by filter",
    Feature.PICK: "one waiting job taken by its id",
    Feature.STREAM: "bodies of any size, in constant memory",
    Feature.SWITCHES: "a queue stopped for puts, or for claims",
    Feature.NOTES: "notes: progress, cancelling, presence",
    Feature.ATOMIC: "all verbs of a `commit` done, or none",
    Feature.JOIN: "put and settle inside the application's own transaction",
    Feature.LANES: "lanes: strict order per key, one at a time",
    Feature.LIMITS: "how many of a queue, and of a lane, run at once, over the fleet",
    Feature.TOPICS: "topics: news to all who listen now, and to durable groups",
    Feature.EDIT: "a waiting job given another content: replace, debounce, edit",
}


def page() -> str:
    """The page, as text."""
    head = "| | " + " | ".join(f"`{scheme}:`" for scheme in ENGINES) + " |"
    lines = [HEAD, head, "|---" * (len(ENGINES) + 1) + "|"]
    for feature in Feature:
        marks = ["●" if feature in engine.features else "" for engine in ENGINES.values()]
        lines.append(f"| {MEANINGS[feature]} | " + " | ".join(marks) + " |")
    sizes = [f"{engine.max_body // 1024:,} KiB" if engine.max_body else "any" for engine in ENGINES.values()]
    lines.append("| largest body | " + " | ".join(sizes) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
