"""The rows of the directory engine's tables."""

from __future__ import annotations

from ..system import System

OURS = {"engine": "directory"}

SYSTEMS = {
    "floor": System(
        ".floor",
        "Floor",
        "the system calls that a store of files cannot do without, in plain Python, files opened by name: create, write, close, rename "
        "(`full`: with both syncs); rename, open, read, close, unlink. No order, no lease, no check, no retry",
    ),
    "engine": System("..engine", "Engine", "the verbs of the `dir:` store: put, claim, ack", options=OURS),
    "ropeway": System(
        "..product",
        "Product",
        "the product: `Queue.put` of a value; `Broker.worker` with its four slots running a no-op task",
        options=OURS,
    ),
    "dirq": System(
        ".dirq_simple", "DirqSimple", "QueueSimple: bytes in, a lock by hard link. No lease, no retry, no waiting", "dirq", ("os",)
    ),
    "huey": System(
        ".huey_file",
        "HueyFile",
        "file storage: a task call; taken and executed one by one. The pop deletes, so a crash loses the job",
        "huey",
        ("os",),
        puts=300,
        drains=100,
        waits=True,
    ),
    "persist-queue": System(
        ".persist_file",
        "PersistFile",
        "the file queue: one process, put, get, task_done. Syncs its index, not its data",
        "persist-queue",
        ("os",),
        puts=300,
        drains=100,
    ),
    "kombu": System(
        ".kombu_files",
        "KombuFiles",
        "the filesystem transport under Celery: SimpleQueue, put, get, ack",
        "kombu",
        ("os",),
        puts=300,
        drains=100,
    ),
}
