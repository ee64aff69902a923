"""A store that is reached over two bad clients of a file server, by hosts at work: calls done and denied, stale listings, late contents.

Each of two mounts is a client of its own (layer.py), with memories of its own. First every lost reply is one that looking can tell from
a real one, and not one call of the store may fail. Then calls are done and answered with EIO and ESTALE: they may fail, and nothing may be
lost or done twice. In the end the store is drained on the real folder below.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ropeway.clock import SYSTEM

from ..ledger import read
from . import hosts
from .forks import Child, children
from .hosts import Folders
from .layer import Rules, advise
from .mounts import is_mounted, unmount
from .report import LeftOut, Outcome

PATIENCE = 60.0
CHANCE = 0.02
PASSES: dict[str, tuple[int, ...]] = {"denied": (), "failed": (errno.EIO, errno.ESTALE)}


def need_fuse() -> None:
    """Raise LeftOut when no file system of our own can be mounted here."""
    if os.geteuid() != 0:
        raise LeftOut("needs root, for mounts")
    if find_spec("mfusepy") is None or find_library("fuse3") is None:
        raise LeftOut("needs mfusepy (pip) and libfuse 3 (Debian: fuse3)")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        raise LeftOut(f"/dev/fuse cannot be opened ({error.strerror})") from None


@contextmanager
def client(folder: Path, name: str, rules: Rules) -> Iterator[Path]:
    """A mount of folder/real, for as long as it is needed."""
    point, report = folder / name, folder / f"{name}.denied"
    point.mkdir()
    words = [sys.executable, "-m", "ropeway.testing.proof.layer", str(folder / "real"), str(point), msgspec.json.encode(rules).decode()]
    log = (folder / f"{name}.log").open("wb")
    process = subprocess.Popen([*words, str(report)], stdout=log, stderr=log)
    log.close()
    try:
        end = time.monotonic() + PATIENCE
        while not is_mounted(point):
            if process.poll() is not None or time.monotonic() > end:
                raise LeftOut(f"no file system of our own can be mounted here: {(folder / f'{name}.log').read_text()[-300:].strip()}")
            time.sleep(0.01)
        yield point
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        unmount(point)


def one_pass(above: Path, errors: tuple[int, ...], seconds: float, bug: str = "") -> tuple[str, list[str]]:
    """Hosts at work on both clients for so long; what was done, and what was violated."""
    (above / "real").mkdir()
    folders = Folders(above).make()
    with ExitStack() as stack:
        points = [
            stack.enter_context(client(above, name, Rules(chance=CHANCE, errors=errors, seed=number)))
            for number, name in enumerate(("one", "two"))
        ]

        def url(number: int, more: str = "") -> str:
            return f"dir:{points[number]}/store?durability=full{more}"

        roles = [("storm", 0, ""), ("storm", 1, ""), ("ping", 1, ""), ("wait", 0, "&poll=0.05")]
        started = [lambda r=r, n=n, m=m: _host(r, url(n, m), folders, f"{r}-{n}", bug) for r, n, m in roles]
        with children(*started) as crew:
            since = SYSTEM.boot()
            time.sleep(seconds)
            wrong = _home(folders, crew)
    count, latest, late = hosts.lateness(folders, since)
    if not errors:
        wrong += late + [f"an answer was {text}" for text in folders.errors()]
    real = above / "real" / "store"
    wrong += hosts.verdict(f"dir:{real}?durability=os", real, folders)
    denied = sum(int((above / f"{name}.denied").read_text()) for name in ("one", "two"))
    put = sum(len(line.ids) for line in read(folders.ledger) if line.what == "put.ok")
    if denied < seconds or count < 2:
        wrong.append(f"only {denied} calls were denied and {count} jobs looked for: too few to prove anything")
    found = f", found after {latest:.1f} s at most" if not errors else ""
    return f"{put:,} puts, {denied} answers {'lost' if not errors else 'failed'}{found}", wrong


def _host(role: str, url: str, folders: Folders, name: str, bug: str) -> None:
    if bug:
        from .planted import plant

        plant(bug)
    os.posix_fadvise = advise
    hosts.host(role, url, folders, name)


def _home(folders: Folders, crew: list[Child]) -> list[str]:
    """Let them end: who puts first, who waits last."""
    folders.stop.touch()
    wrong = []
    for number, child in enumerate(crew):
        if number == 2:
            folders.calm.touch()
        try:
            child.result()
        except RuntimeError as error:
            wrong.append(f"a host ended badly: {error}")
    return wrong


def run(amount: int) -> Outcome:
    """`amount` is how many seconds of work with replies lost, and then with calls failed; one second is for the first alone."""
    need_fuse()
    done, wrong = [], []
    for errors in PASSES.values() if amount > 1 else ((),):
        with tempfile.TemporaryDirectory(prefix="ropeway-shared-") as folder:
            what, found = one_pass(Path(folder), errors, amount)
        done.append(what)
        wrong += found
    return Outcome("shared", "; ".join(done), wrong)
