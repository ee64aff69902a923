"""What the model test needs of an engine: a fresh place, store objects on it, a death that looks real, what is left in the end."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob

from ...clock import Clock
from ...store import Holder, Store
from ...stores import open_store
from ...stores.directory.layout import read_holder

MEMORY = "/dev/shm"  # noqa: S108 - made there by mkdtemp


class Engine:
    """One fresh place of an engine under test. Subclass it; a new object is made for every run of the machine."""

    slack = 0.0
    """Seconds after the end of a lease, or after a death, by which its jobs must be to be had again."""
    suspects_alone = False
    """Whether a claim that meets a job with deaths answers with that job only, and one that has others already leaves it for the next."""
    lists_ahead = False
    """Whether a store object claims by a listing that it has made before, so that what others give back is seen a little later."""
    batches_together = False
    """Whether, of jobs that are due in the same microsecond, those that were put in one batch may stand together, before others' ids."""
    shared_leases = False
    """Whether jobs that were claimed by one call may share one lease: renewing one may renew the others too."""

    lanes_hand_over = False
    """Whether the place of a lane that gets free goes to the first of those that were passed over, before one that nobody has met yet."""

    def open(self, clock: Clock) -> Store:
        """Another store object on the place."""
        raise NotImplementedError

    def die(self, store: Store, holder: Holder) -> bool:
        """The process of this store object is dead: nothing is given back, nothing is said. False when that cannot be shown here."""
        return False

    def leftovers(self) -> list[str]:
        """What still lies in the place when every job is gone and every store object closed; nothing should."""
        return []

    def close(self) -> None:
        """Remove the place."""


_number = itertools.count()
EngineFactory = Callable[[], Engine]


class MemoryEngine(Engine):
    """The model itself as the engine under test: the machine must have nothing to say about it."""

    def __init__(self) -> None:
        self.name = f"model-{next(_number)}"

    def open(self, clock: Clock) -> Store:
        return open_store(f"memory:{self.name}", clock)


class DirectoryEngine(Engine):
    """A directory store in a temporary folder. A death is shown as the reuse of a pid: the holder's folder gets the name of a process
    that had our pid before, so that everybody can see that it is gone."""

    slack = 1.2
    suspects_alone = True
    lists_ahead = True
    batches_together = True
    shared_leases = True
    lanes_hand_over = True

    def __init__(self, options: str = "durability=os") -> None:
        self.path = tempfile.mkdtemp(prefix="ropeway-model-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self.url = f"dir:{self.path}/store?{options}"

    def open(self, clock: Clock) -> Store:
        return open_store(self.url, clock)

    def die(self, store: Store, holder: Holder) -> bool:
        for folder in glob(f"{self.path}/store/*/run/*"):
            run, _, name = folder.rpartition("/")
            parsed = read_holder(name)
            if parsed is not None and parsed.kind == "p" and _who(folder) == holder.name:
                parsed.start += 1
                os.rename(folder, f"{run}/{parsed}")
        store.close()  # lets go of its descriptors; what its holder held is out of its reach by now
        return True

    def leftovers(self) -> list[str]:
        """All but what a living process may keep: the name tag of a holder, the mark of the last rescue; notes and limits are no jobs."""
        return sorted(f for f in self.files() if f != "format" and not re.search(r"/run/(\.swept\.|.*/\.who$)|^\+notes/|/limits$", f))

    def files(self) -> Iterator[str]:
        """Every file in the store, by its path in it."""
        for folder, _, names in os.walk(f"{self.path}/store"):
            for name in names:
                yield os.path.relpath(f"{folder}/{name}", f"{self.path}/store")

    def close(self) -> None:
        shutil.rmtree(self.path)


def _who(folder: str) -> str:
    try:
        with open(f"{folder}/.who", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


@contextmanager
def place(make: EngineFactory) -> Iterator[Engine]:
    """A fresh place, removed in the end."""
    engine = make()
    try:
        yield engine
    finally:
        engine.close()
