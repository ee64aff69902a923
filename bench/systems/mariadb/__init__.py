"""The rows of the MariaDB engine's tables. How safe a commit is, is the server's setting, the same for all."""

from __future__ import annotations

from ..system import System

OURS = {"engine": "mariadb"}

SYSTEMS = {
    "floor": System(
        ".floor",
        "Floor",
        "one table, by PyMySQL: an insert a commit; in bulk one insert of many rows; acks, a select `for update skip locked` and an update "
        "in one transaction. No order but the number, no lease that ends, no retry; wakes by a datagram",
        puts=1_000,
        bulk=5_000,
    ),
    "engine": System("..engine", "Engine", "the verbs of the `mysql:` store: put, claim, ack", bulk=5_000, puts=1_000, options=OURS),
    "ropeway": System(
        "..product",
        "Product",
        "the product: `Queue.put` of a value; `Broker.worker` with its four slots running a no-op task",
        bulk=5_000,
        puts=1_000,
        options=OURS,
    ),
    "huey": System(
        ".huey_sql",
        "HueySql",
        "SqlHuey by peewee and PyMySQL: a task call; taken and executed one by one, in one thread. The pop deletes: a crash loses the job",
        "huey",
        puts=500,
        drains=300,
        waits=True,
    ),
    "persist-queue": System(
        ".persist_mysql",
        "PersistMysql",
        "MySQLQueue: put and get of Python values. The get deletes, so a crash loses the job",
        "persist-queue",
        puts=500,
        drains=300,
    ),
    "kombu": System(
        ".kombu_sql",
        "KombuSql",
        "the SQLAlchemy transport under Celery: SimpleQueue, put, get, ack, as JSON",
        "kombu",
        puts=300,
        drains=150,
    ),
}
