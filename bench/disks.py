"""Where it is measured: a folder of the disk as it is, and a journaled ext4 that the benchmark makes in a file, mounts and takes down.

The second is the one to trust for a store of files: on an ext4 without a journal a sync is cheap, and creates have slow spells after
thousands of unlinks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ropeway.mounts import file_system

GIB = 1 << 30


class Disk:
    """A folder to measure in. `name` is plain or journal; `clean`: remove each sample's files at once."""

    def __init__(self, name: str, folder: Path, what: str, clean: bool) -> None:
        self.name, self.what = name, what
        self._folder, self._clean = folder, clean

    def room(self, durability: str) -> str:
        return tempfile.mkdtemp(dir=self._folder)

    def settled(self, room: str) -> None:
        pass

    def leave(self, rooms: list[str]) -> None:
        for room in rooms if self._clean else ():
            shutil.rmtree(room, ignore_errors=True)


@contextmanager
def plain(above: str) -> Iterator[Disk]:
    """A new folder there. Its files are removed at the end only: thousands of unlinks would slow what is measured next."""
    folder = Path(tempfile.mkdtemp(prefix="ropeway-bench-", dir=above))
    kind = file_system(str(folder))
    journal = "" if kind.kind not in ("ext3", "ext4") else ", with a journal" if kind.ordered else ", without a journal"
    try:
        yield Disk("plain", folder, f"{kind.kind}{journal}", clean=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def journal(above: str, large: bool) -> Iterator[Disk | None]:
    """A new ext4 with a journal, in a file, on a loop device; None where that cannot be done (it takes root, and mkfs.ext4)."""
    image = Path(tempfile.mkdtemp(prefix="ropeway-bench-", dir=above))
    folder = image / "mounted"
    folder.mkdir()
    mounted = False
    try:
        why = _mount(image / "image", folder, large)
        mounted = not why
        if why:
            print(f"no journaled ext4 to measure on: {why}")
            yield None
        else:
            inner = folder / "bench"
            inner.mkdir()
            yield Disk("journal", inner, "ext4 with a journal, on a loop device", clean=True)
    finally:
        if mounted:
            _unmount(folder)
        shutil.rmtree(image, ignore_errors=True)


def _mount(image: Path, folder: Path, large: bool) -> str:
    """Why it cannot be; nothing when it is done."""
    if os.geteuid() != 0:
        return "only root may mount"
    if not shutil.which("mkfs.ext4") or not shutil.which("mount"):
        return "mkfs.ext4 or mount is missing"
    size, files = (12 * GIB, 1_400_000) if large else (6 * GIB, 500_000)
    if shutil.disk_usage(image.parent).free < size:
        return f"{image.parent} has less than {size // GIB} GiB free"
    with image.open("wb") as file:
        file.truncate(size)
    for step in (
        ["mkfs.ext4", "-q", "-F", "-N", str(files), "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)],
        ["mount", "-o", "loop", str(image), str(folder)],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{step[0]} failed: {done.stderr.strip()[:200]}"
    return ""


def _unmount(folder: Path) -> None:
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "--lazy", str(folder)], check=False)
    print(f"{folder} was busy: it goes when its last user does")
