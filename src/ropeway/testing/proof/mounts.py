"""Small disks of our own: a tmpfs, an ext4 in a file; mounted for a while, checked to be ours before anything is done, gone at the end.

A fault aimed at a folder that is not a mount point would hit the file system above it. So every act asks first.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .report import LeftOut

SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def command(*words: str) -> None:
    """Run a system tool; RuntimeError with what it said when it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")


def is_mounted(point: Path) -> bool:
    return os.path.ismount(point)


def insist(point: Path) -> None:
    """Raise unless this very folder is a mount point."""
    if not is_mounted(point):
        raise RuntimeError(f"{point} is no mount point: nothing was done to it")


def mount(point: Path, *words: str) -> None:
    """Mount on a folder of our own; RuntimeError when something is mounted there already."""
    point.mkdir(exist_ok=True)
    if is_mounted(point):
        raise RuntimeError(f"{point} is mounted already")
    command("mount", *words, str(point))
    insist(point)


def unmount(point: Path) -> None:
    """Unmount, patiently: a child that was just killed may still hold it for a moment."""
    for _ in range(100):
        if not is_mounted(point):
            return
        try:
            command("umount", str(point))
        except RuntimeError:
            time.sleep(0.05)
    command("umount", "--lazy", str(point))
    raise RuntimeError(f"{point} was busy for 5 s: somebody kept a file open in it")


@contextmanager
def tmpfs(options: str) -> Iterator[Path]:
    """A tmpfs with these mount options, such as size=64k,nr_inodes=20."""
    with tempfile.TemporaryDirectory(prefix="ropeway-tmpfs-") as folder:
        point = Path(folder) / "disk"
        try:
            mount(point, "-t", "tmpfs", "-o", options, "ropeway-proof")
        except RuntimeError as error:
            raise LeftOut(f"no tmpfs can be mounted here ({error})") from None
        try:
            yield point
        finally:
            unmount(point)


class Ext4:
    """An ext4 in a file, on a loop device that goes with its mount."""

    def __init__(self, folder: Path, megabytes: int, options: Sequence[str] = ()) -> None:
        self.image, self.point = folder / "image", folder / "disk"
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        command("mkfs.ext4", "-q", "-F", *options, str(self.image))

    def mount(self) -> None:
        mount(self.point, "-o", "loop", str(self.image))

    def cut(self) -> None:
        """The power fails: nothing that was not written by now is written any more, not even the journal in memory."""
        insist(self.point)
        fd = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        unmount(self.point)


@contextmanager
def ext4(megabytes: int, options: Sequence[str] = ()) -> Iterator[Ext4]:
    """A mounted one; unmounted and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="ropeway-ext4-") as folder:
        disk = Ext4(Path(folder), megabytes, options)
        try:
            disk.mount()
        except RuntimeError as error:
            raise LeftOut(f"no ext4 can be mounted from a file here ({error})") from None
        try:
            yield disk
        finally:
            disk.unmount()
