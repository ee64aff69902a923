"""A file system that is passed through, as a client of a bad file server would show it.

`python -m ropeway.testing.proof.layer OF AT RULES REPORT` mounts it. What it does wrong, it does as clients of NFS do:

    answers    a call is done, and answered with an error: its reply was lost, and what the repeated one met is what is told
    listings   one is kept until the folder's time of change moves on, which moves in ticks, or until `forget` is asked for
    names      what was not there is said to be missing for a while
    facts      the attributes of files and folders are remembered, until they are opened
    contents   what is written is there for others when it is synced or closed
    folders    one that another client has removed is stale

It ends at SIGTERM, which unmounts, and with the process that started it. Only this file needs mfusepy and libfuse 3, and only when it runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

ANSWERS = {
    "rename": errno.ENOENT,
    "unlink": errno.ENOENT,
    "rmdir": errno.ENOENT,
    "link": errno.EEXIST,
    "mkdir": errno.EEXIST,
    "create": errno.EEXIST,
}
ENDED = 8  # what libfuse says when a signal has ended it
FACTS = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks", "st_blksize")


FORGET = "user.forget"


def advise(fd: int, *_: int) -> None:
    """What `os.posix_fadvise` does to a listing that a kernel keeps, for one that a layer keeps: put it in its place."""
    try:
        os.getxattr(fd, FORGET)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


class Rules(Struct):
    """How bad it is. `chance` is of each change being done and denied; `errors` replaces the error that a lost reply would bring."""

    chance: float = 0.0
    errors: tuple[int, ...] = ()
    tick: float = 0.25  # seconds
    remember: float = 1.0  # seconds
    delay: float = 0.01  # seconds, at most, for one call in twenty
    seed: int = 0


class Layer:
    """The operations, as mfusepy calls them. Paths begin with a slash; handles are descriptors, or rather the whole of a fuse_file_info."""

    use_ns = True

    def __init__(self, root: str, rules: Rules) -> None:
        self.root, self.rules = root, rules
        self.denied = 0
        self._dice = Random(rules.seed)
        self._lock = threading.Lock()
        self._facts: dict[str, tuple[float, dict[str, int] | None]] = {}  # until when what is remembered; None: that there is none
        self._lists: dict[str, tuple[int, list[tuple[str, dict[str, int], int]]]] = {}
        self._unsynced: dict[int, list[tuple[bytes, int]]] = {}

    # -- how it is bad

    def _change(self, name: str, call: Any, *paths: str) -> Any:
        """Do it; then perhaps deny it, when it has a name."""
        with self._lock:
            for path in paths:
                self._forget(path)
            self._wait()
            lie = bool(name) and self._dice.random() < self.rules.chance
        try:
            answer = call()
        except FileNotFoundError:
            if not all(os.path.isdir(self.root + os.path.dirname(path)) for path in paths):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) from None
            raise
        finally:
            with self._lock:
                for path in paths:
                    self._forget(path)
        if lie:
            with self._lock:
                self.denied += 1
                number = self._dice.choice(self.rules.errors or (ANSWERS[name],))
            if name == "create":
                os.close(answer)
            raise OSError(number, os.strerror(number))
        return answer

    def _forget(self, path: str) -> None:
        for one in (path, os.path.dirname(path)):
            self._facts.pop(one, None)
            self._lists.pop(one, None)

    def _wait(self) -> None:
        if self._dice.random() < 0.05:
            time.sleep(self._dice.uniform(0, self.rules.delay))

    def _written(self, fd: int) -> None:
        """What was written is now there for everybody."""
        with self._lock:
            waiting = self._unsynced.pop(fd, ())
        for data, offset in waiting:
            os.pwrite(fd, data, offset)

    # -- looking

    def getattr(self, path: str, handle: Any = None) -> dict[str, int]:
        now = time.monotonic()
        with self._lock:
            known = self._facts.get(path)
        if known is None or known[0] <= now:
            return self._look(path, handle)
        if known[1] is None:
            raise FileNotFoundError(errno.ENOENT, "remembered as missing", path)
        return known[1]

    def _look(self, path: str, handle: Any = None) -> dict[str, int]:
        try:
            info = os.fstat(handle.fh) if handle is not None and handle.fh else os.lstat(self.root + path)
        except FileNotFoundError:
            with self._lock:
                self._facts[path] = time.monotonic() + self.rules.remember, None
            raise
        facts = {name: getattr(info, name) for name in FACTS}
        tick = int(self.rules.tick * 1e9)
        for name in ("st_atime", "st_mtime", "st_ctime"):
            facts[name] = getattr(info, f"{name}_ns") // tick * tick
        with self._lock:
            if len(self._facts) > 10_000:
                self._facts.clear()
            self._facts[path] = time.monotonic() + self.rules.remember, facts
        return facts

    def opendir(self, path: str) -> int:
        self._look(path)
        return 0

    def readdir(self, path: str, handle: Any) -> list[tuple[str, dict[str, int], int]]:
        changed = int(os.lstat(self.root + path).st_mtime / self.rules.tick)
        known = self._lists.get(path)
        if known is not None and known[0] == changed:
            return known[1]
        with os.scandir(self.root + path) as found:  # a number is needed: names without one are passed over
            names = [(entry.name, {"st_ino": entry.inode()}, 0) for entry in found]
        self._lists[path] = changed, names
        return names

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        if name == FORGET:
            self._lists.pop(path, None)
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))

    def statfs(self, path: str) -> dict[str, int]:
        info = os.statvfs(self.root + path)
        return {name: getattr(info, name) for name in dir(info) if name.startswith("f_") and name not in ("f_fsid",)}

    # -- files

    def open(self, path: str, info: Any) -> int:
        info.fh = os.open(self.root + path, info.flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW))
        self._look(path)
        return 0

    def create(self, path: str, mode: int, info: Any) -> int:
        only_new = info.flags & os.O_EXCL
        flags = os.O_RDWR | os.O_CREAT | only_new
        info.fh = self._change("create" if only_new else "", lambda: os.open(self.root + path, flags, mode), path)
        return 0

    def read(self, path: str, size: int, offset: int, info: Any) -> bytes:
        self._written(info.fh)
        return os.pread(info.fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, info: Any) -> int:
        with self._lock:
            self._unsynced.setdefault(info.fh, []).append((bytes(data), offset))
            self._forget(path)
        return len(data)

    def truncate(self, path: str, length: int, info: Any = None) -> int:
        os.truncate(self.root + path if info is None else info.fh, length)
        return 0

    def flush(self, path: str, info: Any) -> int:
        self._written(info.fh)
        return 0

    def fsync(self, path: str, datasync: int, info: Any) -> int:
        self._written(info.fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, handle: Any) -> int:
        return 0

    def release(self, path: str, info: Any) -> int:
        self._written(info.fh)
        os.close(info.fh)
        return 0

    # -- changes

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self.root + path, ns=times or (time.time_ns(),) * 2)
        self._look(path)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self.root + path, mode)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        self._change("mkdir", lambda: os.mkdir(self.root + path, mode), path)
        return 0

    def rmdir(self, path: str) -> int:
        self._change("rmdir", lambda: os.rmdir(self.root + path), path)
        return 0

    def unlink(self, path: str) -> int:
        self._change("unlink", lambda: os.unlink(self.root + path), path)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._change("rename", lambda: os.rename(self.root + old, self.root + new), old, new)
        return 0

    def link(self, target: str, source: str) -> int:
        self._change("link", lambda: os.link(self.root + source, self.root + target, follow_symlinks=False), source, target)
        return 0


def main(of: str, at: str, rules: str, report: str) -> None:
    """Mount and serve until told to end; how many answers were denied is written into `report` then."""
    os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
    import mfusepy  # type: ignore[import-not-found, import-untyped, unused-ignore]

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: whoever kills the proof ends its mounts
    layer = Layer(of, msgspec.json.decode(rules, type=Rules))
    try:
        options = {"raw_fi": True, "use_ino": True, "attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
        mfusepy.FUSE(layer, at, foreground=True, **options)
    except RuntimeError as error:
        if error.args != (ENDED,):
            raise
    finally:
        Path(report).write_text(str(layer.denied))


if __name__ == "__main__":
    main(*sys.argv[1:])
