"""Damaged files: flipped, cut off, emptied, swapped. What is damaged is set aside, never dropped and never handed out; the rest flows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Holder
from ropeway.stores import open_store

from .forks import in_child
from .report import Outcome

QUEUE = "line"
new_id = IdMaker(time.time_ns, os.urandom)
HARM: dict[str, Callable[[bytes, Random], bytes]] = {
    "flipped": lambda data, dice: _flipped(data, dice.randrange(len(data) * 8)),
    "cut off": lambda data, dice: data[: dice.randrange(len(data))],
    "emptied": lambda data, dice: b"",
    "zeroed": lambda data, dice: bytes(len(data)),
    "swapped": lambda data, dice: data[len(data) // 2 :] + data[: len(data) // 2],
    "foreign": lambda data, dice: dice.randbytes(len(data)),
}


def _flipped(data: bytes, bit: int) -> bytes:
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def one(root: Path, kind: str, count: int, seed: int, bug: str = "") -> list[str]:
    """Two parts, one of them harmed: what is wrong after all was claimed."""
    if bug:
        from .planted import plant

        plant(bug)
    store = open_store(f"dir:{root}?durability=os")
    bodies: dict[str, bytes] = {}
    for _ in range(2):
        part = [Job(new_id(), QUEUE, os.urandom(50)) for _ in range(count)]
        bodies.update((job.id, job.body) for job in part)
        store.put(part)
    files = sorted(path for path in root.glob(f"{QUEUE}/jobs/*/*/*/*") if path.is_file())
    victim = files[0]
    victim.write_bytes(HARM[kind](victim.read_bytes(), Random(seed)))
    harmed = set(list(bodies)[:count])
    given: dict[str, bytes] = {}
    for _ in range(10):
        given.update((lent.job.id, lent.job.body) for lent in store.claim([QUEUE], 1000, 60.0, Holder("finder")))
    wrong = [f"{job_id} was handed out damaged" for job_id, body in given.items() if bodies.get(job_id) != body]
    missing = bodies.keys() - given.keys() - harmed
    wrong += [f"{job_id} was not handed out, though its file was sound" for job_id in missing]
    if harmed - given.keys() and not any(root.glob(f"{QUEUE}/bad/*")) and not _still_there(root, victim.name[:47]):
        wrong.append("the damaged file was dropped")
    store.close()
    return wrong


def _still_there(root: Path, stem: str) -> bool:
    """Left where it is: a file of a later format is nobody's damage."""
    return any(stem in path.name for path in root.rglob("*"))


def run(amount: int, bug: str = "") -> Outcome:
    """`amount` is how many files are harmed."""
    wrong: list[str] = []
    kinds = list(HARM)
    for number in range(amount):
        kind, count = kinds[number % len(kinds)], (1, 3, 100)[number // len(kinds) % 3]
        with TemporaryDirectory(prefix="ropeway-damage-") as folder:
            found = in_child(lambda f=folder, k=kind, c=count, n=number: one(Path(f) / "store", k, c, n, bug))  # type: ignore[misc]
        wrong += [f"{kind}, a part of {count}: {text}" for text in found]
    return Outcome("damage", f"{amount} harmed files", wrong)
