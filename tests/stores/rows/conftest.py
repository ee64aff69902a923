"""A store in a folder, jobs for it, and its names as they lie on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Holder, Lent
from ropeway.stores import open_store
from ropeway.stores.directory import DirectoryStore
from ropeway.testing.clock import FakeClock

HOLDER = Holder("host-1:77:rows")
new_id = IdMaker(time.time_ns, os.urandom)


def job(body: bytes = b"x", queue: str = "q", **fields: object) -> Job:
    return Job(id=new_id(), queue=queue, body=body, **fields)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    """All files below, by their path in it."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def waiting(spool: Path, queue: str = "q") -> list[Path]:
    return sorted(p for p in (spool / queue / "jobs").rglob("*") if p.is_file())


def drain(store: DirectoryStore, queue: str = "q", limit: int = 100) -> list[Lent]:
    out: list[Lent] = []
    while lents := store.claim([queue], limit, 30.0, HOLDER):
        assert all(store.ack([Ack(lent.receipt) for lent in lents]))
        out += lents
    return out


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def opened(spool: Path) -> Iterator[Callable[..., DirectoryStore]]:
    """Opens the store, as often as asked, with options of the URL."""
    stores: list[DirectoryStore] = []

    def open_it(options: str = "durability=os", clock: FakeClock | None = None) -> DirectoryStore:
        url = f"dir:{spool}?{options}"
        store = open_store(url, clock) if clock else open_store(url)
        assert isinstance(store, DirectoryStore)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def in_child(spool: Path) -> Callable[[str], str]:
    """Runs lines of Python in a process of its own, with `store`, `job`, `HOLDER` and what a contract needs at hand; its output."""

    def run(lines: str, kill: bool = False) -> str:
        head = (
            "import os, sys, signal\n"
            f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
            "from stores.rows.conftest import *\n"
            f"store = open_store('dir:{spool}?durability=os')\n"
        )
        tail = "\nsys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)\n" if kill else ""
        done = subprocess.run([sys.executable, "-c", head + lines + tail], capture_output=True, text=True, timeout=60)
        assert done.returncode == (-9 if kill else 0), done.stderr
        return done.stdout

    return run
