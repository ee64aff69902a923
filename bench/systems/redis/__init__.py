"""The rows of the Redis engine's tables. All use servers of the run's own: a log synced each second (`os`), or at each write (`full`)."""

from __future__ import annotations

from ..system import System

OURS = {"engine": "redis"}

SYSTEMS = {
    "floor": System(
        ".floor",
        "Floor",
        "redis-py with hiredis, one Lua call each: put a job into a hash and its id into a list; in bulk many in one call; acks and the "
        "next claim in one call, which marks what is lent. No order but the list's, no lease that ends, no retry; wakes by BLPOP",
        bulk=10_000,
    ),
    "engine": System("..engine", "Engine", "the verbs of the `redis:` store: put, claim, ack", bulk=10_000, options=OURS),
    "ropeway": System(
        "..product",
        "Product",
        "the product: `Queue.put` of a value; `Broker.worker` with its four slots running a no-op task",
        bulk=10_000,
        options=OURS,
    ),
    "huey": System(
        ".huey_redis",
        "HueyRedis",
        "RedisHuey: a task call; taken and executed one by one, in one thread. The pop deletes, so a crash loses the job",
        "huey",
        waits=True,
    ),
    "taskiq, list": System(
        ".taskiqs",
        "TaskiqList",
        "taskiq's ListQueueBroker, uvloop, orjson: kiq; its receiver with up to 100 async no-ops. The pop deletes: a crash loses the job",
        "taskiq",
        puts=1_500,
        waits=True,
    ),
    "taskiq, stream": System(
        ".taskiqs",
        "TaskiqStream",
        "taskiq's RedisStreamBroker, the same; acknowledges each",
        "taskiq",
        puts=1_500,
        waits=True,
    ),
    "saq": System(
        ".saq_redis",
        "SaqRedis",
        "SAQ's RedisQueue and uvloop: enqueue; its worker with its default concurrency of 10 runs an async no-op",
        "saq",
        puts=1_500,
        drains=1_000,
        waits=True,
    ),
    "arq": System(
        ".arq_peer",
        "Arq",
        "arq as it is by default: enqueue_job; its worker looks each 0.5 s; async no-ops, no results kept",
        "arq",
        puts=1_500,
        drains=300,
        waits=True,
    ),
    "arq, 100 jobs, poll 10 ms": System(
        ".arq_peer",
        "Arq",
        "the same with max_jobs=100 and poll_delay=0.01",
        "arq",
        puts=0,
        drains=1_000,
        waits=True,
        options={"settings": {"max_jobs": 100, "poll_delay": 0.01}},
    ),
    "celery": System(
        ".celery_peer",
        "CeleryPeer",
        "Celery: apply_async, results off; a worker with the solo pool, its fastest, prefetching 64, acknowledging early as by default",
        "celery",
        puts=800,
        drains=800,
        waits=True,
    ),
    "dramatiq": System(
        ".dramatiq_peer",
        "DramatiqPeer",
        "Dramatiq with its default middleware: send; its worker with its default of 8 threads",
        "dramatiq",
        puts=1_500,
        drains=800,
        waits=True,
    ),
    "rq": System(
        ".rq_peer",
        "RqPeer",
        "RQ: enqueue, enqueue_many in bulk, no results kept; its SimpleWorker, which does not fork a process for each job",
        "rq",
        puts=800,
        bulk=1_500,
        drains=400,
        waits=True,
    ),
}
