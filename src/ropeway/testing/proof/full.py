"""Full disks: new work is refused with certainty and leaves nothing behind, the old can be finished, and all is well when there is room.

A tmpfs that runs out of bytes, one that runs out of inodes, a small ext4 whose folders cannot grow, a limit on file sizes, and a disk that
becomes read-only under a working process.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Query
from ropeway.stores import open_store

from . import audit
from .forks import in_child
from .mounts import command, ext4, tmpfs
from .report import Outcome, need
from .told import Told

QUEUE = "line"
new_id = IdMaker(time.time_ns, os.urandom)


def jobs(count: int, size: int = 200) -> list[Job]:
    return [Job(new_id(), QUEUE, os.urandom(size)) for _ in range(count)]


def _files(root: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(root))


def fill(told: Told, root: Path, size: int, wrong: list[str]) -> int:
    """Put until it is refused; how many were stored. Each refusal must be definite and leave no file behind."""
    stored = refused = 0
    while refused < 6:
        before = _files(root) if refused else 0  # the first refusal ends the filling, those after it are looked at closely
        batch = jobs(1 + refused % 3, size)
        try:
            answers = told.store.put(batch)
        except StoreError as error:
            refused += 1
            if not error.definite:
                wrong.append(f"a put on a full disk is said to be unknown: {error}")
            if before and _files(root) > before:
                wrong.append(f"a refused put left {_files(root) - before} files behind")
            continue
        stored += sum(answers)
        if stored > 100_000:
            wrong.append("the disk is never full")
            return stored
    return stored


def on_full_disk(root: Path, ledger: Path, size: int) -> tuple[int, list[str]]:
    """Claim some in parts, fill the disk, finish what was claimed in every way, make room, go on; how many jobs, and what went wrong."""
    wrong: list[str] = []
    store = open_store(f"dir:{root}?durability=full")
    told = Told(store, ledger, "walker")
    told.put(jobs(200, 20))
    lent = told.claim(QUEUE, 150, 600.0)
    ballast = root.parent / "ballast"
    ballast.write_bytes(b"\0" * 100_000)
    stored = fill(told, root, size, wrong)
    with suppress(OSError), ballast.open("ab", buffering=0) as file:  # the last bytes too
        while file.write(b"\0" * 512):
            pass
    stored += fill(told, root, 1, wrong)
    for one in lent[:100:2]:  # partial acks: each makes the part's name another one, and some longer
        if told.ack([one]) != [True]:
            wrong.append(f"an ack on a full disk failed: {told.errors[-1:]}")
            break
    told.extend(lent[101:102], 600.0)
    if told.keep(lent[102:104], 0.0, b"result") != [True, True]:
        wrong.append(f"an ack with a result failed on a full disk: {told.errors[-1:]}")
    if told.ack(lent[104:]) != [True] * len(lent[104:]):
        wrong.append(f"the last acks failed on a full disk: {told.errors[-1:]}")
    if not store.browse(Query(queues=(QUEUE,), limit=5)):
        wrong.append("a full disk cannot be looked at")
    for _ in range(3):  # the disk is full, and what waits is worked off
        again = told.claim(QUEUE, 50, 600.0)
        if told.ack(again) != [True] * len(again) or not again:
            wrong.append(f"what waited could not be worked off on a full disk: {told.errors[-1:]}")
    ballast.unlink()
    if told.put(jobs(1)) != [True]:
        wrong.append("there is room again, and a put is still refused")
    return stored, wrong


def _filled(point: Path, size: int) -> tuple[int, list[str]]:
    """On this disk, in a child that ends while it holds jobs; then another drains."""
    with TemporaryDirectory(prefix="ropeway-ledger-") as folder:
        ledger, root = Path(folder), point / "store"
        stored, wrong = in_child(lambda: on_full_disk(root, ledger, size))
        rest = in_child(lambda: audit.drain(open_store(f"dir:{root}?durability=os"), ledger, root).wrong)
        return stored, wrong + rest


def bytes_out() -> tuple[str, list[str]]:
    """A tmpfs that runs out of bytes."""
    """A tmpfs that runs out of bytes while jobs are put: what was answered stays, and what waits can be ended."""
    with tmpfs("size=1m,nr_inodes=20000") as point:
        stored, wrong = _filled(point, 2000)
    return f"{stored} jobs on a tmpfs of 1 MiB", wrong


def inodes_out() -> tuple[str, list[str]]:
    """A tmpfs that runs out of inodes."""
    """The same with inodes, of which each single job needs one."""
    with tmpfs("size=16m,nr_inodes=300") as point:
        stored, wrong = _filled(point, 100)
    return f"{stored} jobs on 300 inodes", wrong


def blocks_out() -> tuple[str, list[str]]:
    """An ext4 of 1 KiB blocks: the names of a half acked part grow until the holder's folder needs one block more."""
    with ext4(4, ("-b", "1024", "-N", "2000")) as disk:
        stored, wrong = _filled(disk.point, 900)
    return f"{stored} jobs on an ext4 of 4 MiB", wrong


def _limited(root: Path) -> list[str]:
    """RLIMIT_FSIZE: a body that is too large for it is refused, nothing is left, and the next smaller one is taken."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = open_store(f"dir:{root}?durability=full")
    store.put(jobs(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    wrong = []
    before = _files(root)
    for size in (60_000 * 4, 300_000):
        try:
            store.put(jobs(3, size))
            wrong.append(f"a put of {size} bytes was answered above the limit of file sizes")
        except StoreError as error:
            if not error.definite:
                wrong.append(f"a put above the limit of file sizes is said to be unknown: {error}")
    if _files(root) > before:
        wrong.append(f"a put above the limit of file sizes left {_files(root) - before} files")
    if store.put(jobs(1)) != [True]:
        wrong.append("a small put was refused")
    return wrong


def file_sizes() -> tuple[str, list[str]]:
    with TemporaryDirectory(prefix="ropeway-limit-") as folder:
        return "a limit on file sizes", in_child(lambda: _limited(Path(folder) / "store"))


def _read_only(root: Path, point: Path) -> list[str]:
    """Remounted read-only in the middle: looking works, nothing is said to be done that was not."""
    url = f"dir:{root}?durability=full"
    store, wrong = open_store(url), []
    store.put(jobs(5))
    from ropeway.store import Holder

    lent = store.claim([QUEUE], 2, 600.0, Holder("walker"))
    command("mount", "-o", "remount,ro", str(point))
    try:
        seen = {entry.job.id for entry in store.browse(Query(queues=(QUEUE,), limit=None))}
        if len(seen) != 5 or store.counts([QUEUE])[QUEUE].running != 2:
            wrong.append(f"on a read-only disk only {len(seen)} of 5 jobs are seen")
        acts: list[Callable[[], object]] = [
            lambda: store.put(jobs(1)),
            lambda: store.ack([Ack(lent[0].receipt)]),
            lambda: store.claim([QUEUE], 1, 60.0, Holder("walker")),
            lambda: store.delete(Query(queues=(QUEUE,), limit=None)),
        ]
        for number, act in enumerate(acts):
            try:
                answer = act()
            except StoreError:
                continue
            if answer not in ([False], [], 0):
                wrong.append(f"act {number} on a read-only disk was answered {answer!r:.200}")
        if not list(open_store(url).browse(Query(queues=(QUEUE,), limit=None))):
            wrong.append("a read-only store cannot be opened and looked at")
    finally:
        command("mount", "-o", "remount,rw", str(point))
    if store.ack([Ack(one.receipt) for one in lent]) != [True, True]:
        wrong.append("after the disk was writable again the acks failed")
    return wrong


def read_only() -> tuple[str, list[str]]:
    with ext4(8) as disk:
        point = disk.point
        return "read-only in the middle", in_child(lambda: _read_only(point / "store", point))


def run(_: int) -> Outcome:
    """Each once; there is no amount to choose."""
    need("mount", "umount", "mkfs.ext4", root=True)
    done, wrong = [], []
    for one in (bytes_out, inodes_out, blocks_out, file_sizes, read_only):
        what, found = one()
        done.append(what)
        wrong += [f"{what}: {text}" for text in found]
    return Outcome("full", "; ".join(done), wrong)
