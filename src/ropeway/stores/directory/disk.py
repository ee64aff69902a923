"""The few things asked of the file system.

Every change of state is one rename, link or unlink of one exact name. On a shared (network) store the answer to such a call can be wrong:
the server did it, the reply was lost, the repeated request says "no such file" or "it exists". So there the answer is found by looking
for the target, whose name is unique in all our renames and links: it is there, so it was done (measured: with every reply lost in
turn, trusting errno ended wrong 14 times in 44, looking never).

A client of a file server also believes what it has seen. A listing made in the very tick of the server's clock in which a name was added
stays without that name for good, and a name that was not there is said to be missing for up to a minute (measured on Linux, NFSv3). So on a
shared store each listing is asked for anew, and what a look by name says to be missing is looked for in one.
"""

from __future__ import annotations

import errno
import os
import stat
from threading import Lock
from typing import Any

from ...errors import StoreError

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

GONE = (errno.ENOENT, errno.ESTALE)  # ESTALE: the file server knows no such file or folder any more
REPEATS = 3  # of a call whose reply is lost
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Disk:
    """The calls, with looking where the store is shared. `calls` is the os module, or a test's stand-in that lies about it."""

    def __init__(self, shared: bool = False, calls: Any = os) -> None:
        self.shared = shared
        self.calls = calls
        self.ahead = 0  # ns: how far the clock that stamps files is ahead of ours
        self._rename, self._unlink = calls.rename, calls.unlink
        self._open, self._write = calls.open, calls.write
        self._listing = Lock()

    def rename(self, old: str, old_fd: int, new: str, new_fd: int) -> bool:
        """True when it was done; False when the old name is not there (somebody else was faster), or the new folder. Other errors pass."""
        try:
            self._rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        except OSError as error:
            if not self._gone(error):
                raise
            if not self.shared or self.exists(new, new_fd):
                return self.shared
            if error.errno == errno.ESTALE and self.exists(old, old_fd) and self._lives(new_fd):
                raise
            return False
        return True

    def link(self, old: str, old_fd: int, new: str, new_fd: int) -> bool:
        """True when the new name is a link to this very file; False when the old name is gone or the new one is another file."""
        try:
            self.calls.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EEXIST and not self._gone(error):
                raise
            return self.shared and self.same(old, old_fd, new, new_fd)
        return True

    def unlink(self, name: str, fd: int) -> bool:
        """True when this call removed the name; False when it was not there. On a shared store the answer proves nothing."""
        try:
            self._unlink(name, dir_fd=fd)
        except OSError as error:
            if not self._gone(error):
                raise
            return False
        return True

    def _gone(self, error: OSError) -> bool:
        """Whether it says that something is not there; on a local disk ESTALE would be a fault like any other."""
        return error.errno == errno.ENOENT or (self.shared and error.errno == errno.ESTALE)

    def _lives(self, fd: int) -> bool:
        """Whether the open folder has not been removed."""
        try:
            self.calls.close(self.calls.open(".", DIRECTORY, dir_fd=fd))
        except OSError as error:
            if not self._gone(error):
                raise
            return False
        return True

    def mkdir(self, name: str, fd: int, mode: int) -> bool:
        """True when the folder is there now and this call made it (as far as one can tell)."""
        try:
            self.calls.mkdir(name, mode, dir_fd=fd)
        except FileExistsError:
            return False
        return True

    def rmdir(self, name: str, fd: int) -> bool:
        """True when the folder is gone; False when it is not empty."""
        try:
            self.calls.rmdir(name, dir_fd=fd)
        except OSError as error:
            if self._gone(error):
                return True
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY):
                return False
            raise
        return True

    def exists(self, name: str, fd: int) -> bool:
        try:
            self.calls.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if not self._gone(error):
                raise
            return self.shared and name in self.names(fd)
        return True

    def stat(self, name: str, fd: int) -> os.stat_result:
        """Of a regular file of ours, not of what this client remembers of it: over a network it is opening a file that makes this fresh."""
        if not self.shared:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        try:
            return os.fstat(file)
        finally:
            os.close(file)

    def same(self, a: str, a_fd: int, b: str, b_fd: int) -> bool:
        try:
            one = self.calls.stat(a, dir_fd=a_fd, follow_symlinks=False)
            two = self.calls.stat(b, dir_fd=b_fd, follow_symlinks=False)
        except OSError as error:
            if not self._gone(error):
                raise
            return False
        return bool(one.st_ino == two.st_ino and one.st_dev == two.st_dev)

    def open_folder(self, name: str, fd: int) -> int | None:
        """A descriptor of the folder (never of a link to one); None when it is not there."""
        try:
            return int(self.calls.open(name, DIRECTORY, dir_fd=fd))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise StoreError(f"{name!a} in the store is not a folder but something foreign: remove it; nothing was done") from None
            if not self._gone(error):
                raise
        return self.open_listed(name, fd, DIRECTORY)

    def open_listed(self, name: str, fd: int, flags: int) -> int | None:
        """Open what is listed, though this client remembers that it was not there; None when it is not listed, as ever on a local disk.
        Trying to make it is what lets the client forget."""
        if not self.shared or name not in self.names(fd):
            return None
        try:
            self.calls.mkdir(name, 0o700, dir_fd=fd)
        except OSError as error:
            if error.errno != errno.EEXIST and not self._gone(error):
                raise
        else:
            self.rmdir(name, fd)  # it has gone meanwhile
            return None
        try:
            return int(self.calls.open(name, flags, dir_fd=fd))
        except OSError as error:
            if not self._gone(error):
                raise
            return None

    def write_new(self, name: str, fd: int, data: bytes, mode: int) -> int:
        """Make the file with this content, all of it, and leave it open; on failure nothing is left behind."""
        out = self.create(name, fd, mode) if self.shared else int(self.calls.open(name, NEW_FILE, mode, dir_fd=fd))
        try:
            written = self._write(out, data)
            while written < len(data):
                written += self._write(out, memoryview(data)[written:])
        except BaseException:
            self.calls.close(out)
            self.unlink(name, fd)
            raise
        return out

    def create(self, name: str, fd: int, mode: int) -> int:
        """A new file, open for writing. Its name is one that nobody else makes: where it "exists", it was made and the reply was lost."""
        for _ in range(REPEATS if self.shared else 0):
            try:
                return int(self.calls.open(name, NEW_FILE, mode, dir_fd=fd))
            except FileExistsError:
                self.unlink(name, fd)
        return int(self.calls.open(name, NEW_FILE, mode, dir_fd=fd))

    def names(self, fd: int) -> list[str]:
        """What a folder holds; nothing when it was removed. Names that are no text cannot be ours and are left out.

        One at a time: a descriptor has one place in its folder. Two threads that list by the same one move it under each other's hands, and
        either sees nothing, or everything twice (measured: 19 listings of 800 by four threads).
        """
        try:
            if self.shared:
                self.calls.posix_fadvise(
                    fd, 0, 0, os.POSIX_FADV_DONTNEED
                )  # forget the last listing: it may lack what was added in its tick
            with self._listing:
                names = self.calls.listdir(fd)
        except OSError as error:
            if not self._gone(error):
                raise
            return []
        return [n for n in names if n.isascii()]

    def begin_sync(self, fd: int) -> None:
        """Have the file's bytes written from now on, without waiting for them. Said of several files before the first of them is synced, it
        lets one commit of the file system's journal serve them all, where each sync would wait for one of its own."""
        try:
            self.calls.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except (AttributeError, OSError):
            return  # advice, and no more

    def sync(self, fd: int) -> None:
        self.calls.fsync(fd)


def regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)
