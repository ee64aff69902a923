"""What lies in a watched folder: which files, in which version, and whether somebody is writing to one."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # pragma: no cover - other systems
    fcntl = None  # type: ignore[assignment]


class Version(NamedTuple):
    """What a file was when it was looked at. A file written anew, or replaced by another of its name, is another version."""

    inode: int
    size: int
    modified: int  # nanoseconds since 1970


class Scope(NamedTuple):
    """Which files of the folder are meant. Names that begin with a dot never are: so producers name what is not ready yet."""

    folder: str
    globs: tuple[str, ...] = ()  # none: all; one with a slash is held against the path inside the folder, any other against the name
    recursive: bool = False
    without: str = ""  # a folder inside that is passed over

    def means(self, path: str) -> bool:
        """Whether a path, as it stands inside the folder, is one of those."""
        parts = path.split("/")
        if any(part.startswith(".") for part in parts) or (len(parts) > 1 and not self.recursive):
            return False
        if self.without and self.at(path).startswith(self.without + "/"):
            return False
        return not self.globs or any(fnmatchcase(path if "/" in glob else parts[-1], glob) for glob in self.globs)

    def at(self, path: str) -> str:
        return f"{self.folder}/{path}"

    def walk(self) -> Iterator[tuple[str, Version]]:
        """Every file that is meant, by its path inside the folder. Nothing is followed out of it, and what vanishes meanwhile is passed
        over. Raises OSError when the folder itself cannot be read."""
        for _, files in self._levels():
            for path, entry in files:
                if self.means(path):
                    try:
                        if entry.is_file(follow_symlinks=False):
                            yield path, version(entry.stat(follow_symlinks=False))
                    except OSError:
                        continue

    def folders(self) -> Iterator[str]:
        """The paths inside the folder of all folders that are looked into, "" first."""
        for path, _ in self._levels():
            yield path

    def _levels(self) -> Iterator[tuple[str, Sequence[tuple[str, os.DirEntry[str]]]]]:
        left = [""]
        while left:
            inside = left.pop()
            try:
                with os.scandir(self.at(inside) if inside else self.folder) as found:
                    entries = [(f"{inside}/{entry.name}" if inside else entry.name, entry) for entry in found]
            except OSError:
                if not inside:
                    raise
                continue
            yield inside, entries
            if self.recursive:
                left += [path for path, entry in entries if self._goes_into(path, entry)]

    def _goes_into(self, path: str, entry: os.DirEntry[str]) -> bool:
        try:
            deeper = entry.is_dir(follow_symlinks=False)
        except OSError:
            return False
        return deeper and not entry.name.startswith(".") and self.at(path) != self.without


def version(found: os.stat_result) -> Version:
    return Version(found.st_ino, found.st_size, found.st_mtime_ns)


def look(path: str) -> Version | None:
    """The version that lies there now; None when no plain file does."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return version(found) if stat.S_ISREG(found.st_mode) else None


def is_written(path: str) -> bool | None:
    """Whether some process has the file open for writing: the kernel lends a lease for reading only when none has.

    None where it cannot tell: a file of somebody else, a network file system, another system than Linux.
    """
    if fcntl is None or not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.fcntl(
            fd, fcntl.F_SETSIG, signal.SIGURG
        )  # who opens it meanwhile breaks the lease, and the usual signal of that ends a process
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(fd)
