"""The rows of the PostgreSQL engine's tables. All connect to one database, whose synchronous_commit is set for everybody."""

from __future__ import annotations

from ..system import System

OURS = {"engine": "postgres"}

SYSTEMS = {
    "floor": System(
        ".floor",
        "Floor",
        "one table, by psycopg 3: a prepared insert a commit; in bulk one insert of arrays (unnest); acks and the next claim "
        "(`for update skip locked`) in one statement. No order but the number, no lease that ends, no retry; LISTEN and NOTIFY",
        bulk=5_000,
        puts=1_000,
    ),
    "floor, COPY": System(".floor", "FloorCopy", "the same, in bulk by a binary COPY", bulk=5_000, puts=0),
    "engine": System("..engine", "Engine", "the verbs of the `postgresql:` store: put, claim, ack", bulk=5_000, puts=1_000, options=OURS),
    "ropeway": System(
        "..product",
        "Product",
        "the product: `Queue.put` of a value; `Broker.worker` with its four slots running a no-op task",
        bulk=5_000,
        puts=1_000,
        options=OURS,
    ),
    "pgqueuer": System(
        ".pgqueuer",
        "PgQueuerPeer",
        "PgQueuer on asyncpg and uvloop, with its default batch of 10: enqueue, many by lists; its worker runs an async no-op, "
        "acknowledges in batches and keeps a log in a table",
        "pgqueuer",
        puts=1_000,
        bulk=5_000,
        drains=3_000,
        waits=True,
        options={"batch": 10},
    ),
    "pgqueuer, batch 100": System(
        ".pgqueuer", "PgQueuerPeer", "the same, its worker with a batch of 100", "pgqueuer", puts=0, drains=5_000, options={"batch": 100}
    ),
    "procrastinate": System(
        ".procrastinate",
        "Procrastinate",
        "Procrastinate by psycopg: defer, batch_defer; its worker with a concurrency of 10 runs an async no-op and deletes what is done",
        "procrastinate",
        puts=500,
        bulk=2_000,
        drains=500,
        waits=True,
    ),
    "saq": System(
        ".saq",
        "SaqPostgres",
        "SAQ's PostgresQueue and uvloop: enqueue; its worker with its default concurrency of 10 runs an async no-op",
        "saq",
        puts=500,
        drains=700,
        waits=True,
    ),
    "huey": System(
        ".huey_postgres",
        "HueyPostgres",
        "PostgresHuey: a task call; taken and executed one by one, in one thread. The pop deletes, so a crash loses the job",
        "huey",
        puts=500,
        drains=700,
        waits=True,
    ),
}
