"""The rows of the SQLite engine's tables."""

from __future__ import annotations

from ..system import System

OURS = {"engine": "sqlite"}

SYSTEMS = {
    "floor": System(
        ".floor",
        "Floor",
        "one table in a WAL file, by apsw: an insert a commit; in bulk many in one transaction; acks and the next claim in one "
        "transaction. No order but the number, no lease that ends, no retry; wakes by a datagram. `os`: synchronous=NORMAL, `full`: FULL",
        bulk=20_000,
    ),
    "engine": System("..engine", "Engine", "the verbs of the `sqlite:` store: put, claim, ack", bulk=10_000, options=OURS),
    "ropeway": System(
        "..product",
        "Product",
        "the product: `Queue.put` of a value; `Broker.worker` with its four slots running a no-op task",
        bulk=10_000,
        options=OURS,
    ),
    "litequeue": System(
        ".lite",
        "Lite",
        "LiteQueue: put, pop, done, with text in and out; in bulk puts within its `transaction()`. It sets synchronous=NORMAL, the bench "
        "FULL after it for `full`. No lease, no waiting; done rows stay until `prune`",
        "litequeue",
        bulk=10_000,
        drains=500,
    ),
    "huey": System(
        ".huey_sqlite",
        "HueySqlite",
        "SqliteHuey: a task call; taken and executed one by one, in one thread without its consumer's pauses. The pop deletes, so a crash "
        "loses the job. `os`: fsync=False (synchronous=OFF), `full`: fsync=True",
        "huey",
        waits=True,
    ),
    "persist-queue": System(
        ".persist_sqlite",
        "PersistSqlite",
        "SQLiteAckQueue with auto_commit: put, get, ack of Python values, one process. WAL with SQLite's default synchronous=FULL, "
        "without a switch for it, so in the drain too",
        "persist-queue",
        ("full",),
        puts=1_000,
        drains=500,
    ),
}
