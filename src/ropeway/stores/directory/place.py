"""The store's own folder: found or made, looked over before it is trusted, with its `format` file, its clock and its sync policy."""

from __future__ import annotations

import errno
import os
import stat
import time

from ...clock import Clock
from ...errors import ConfigError, StoreError
from ...mounts import FileSystem, file_system
from ...names import shown
from ...store import Durability
from ...url import StoreUrl
from .disk import DIRECTORY, Disk
from .holders import identity

VERSION = 1
_FORMAT = "ropeway directory store\nversion {version}\nclock {clock}\n"
GRAINS = (2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02)  # seconds: of FAT, of old file systems, of slow clocks
CLOCK_EACH, CLOSE = 30.0, 0.5  # seconds between two looks at a server's clock; an uncertainty that is good enough
FORMAT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NAMESPACES, NOTES, LISTEN = "+namespace", "+notes", "+listen"  # the store's own folders; no queue's folder starts with a plus


class Place:
    """Where the queues lie. Opened at first use; raises ConfigError when the folder cannot be trusted or is from the future."""

    def __init__(self, url: StoreUrl, clock: Clock, disk: Disk | None = None) -> None:
        path = url.rest
        if not path or path.startswith("//"):
            raise ConfigError(f"{url.text}: name the folder, as in dir:spool or dir:/var/spool/jobs; nothing was opened")
        path = os.path.expanduser(path) if path.startswith("~") else path
        if url.namespace:
            path = f"{path}/{NAMESPACES}/{url.namespace}"
        self.path = os.path.abspath(path)
        self.text = url.text
        self.clock = clock
        self.file_mode = _mode(url.more.get("mode", "600"), url.text)
        self.folder_mode = self.file_mode | (self.file_mode & 0o444) >> 2
        self.shared_mode = "mode" in url.more
        self.full = url.durability == "full"
        self.acks_full = url.acks == "full"
        self.require = url.require
        self.dead_keep = url.dead_keep
        self.disk = disk or Disk()
        self._given_disk = disk is not None
        self.kind = FileSystem("unknown", shared=False, ordered=False)
        self.fd = -1
        self._offset = 0.0
        self._offset_at = -1.0
        self._error = 0.0

    def open(self) -> None:
        try:
            self._open()
        except (ConfigError, StoreError):
            raise
        except OSError as error:
            raise StoreError(
                f"the store {self.path} cannot be opened: {error.strerror or error}; nothing was done. Check the path and its permissions",
                definite=True,
            ) from error

    def _open(self) -> None:
        if not os.path.isdir(self.path):
            outer, inside, _ = self.path.rpartition(f"/{NAMESPACES}/")
            top = outer if inside else self.path
            os.makedirs(os.path.dirname(top), exist_ok=True)
            for folder in (top, f"{outer}/{NAMESPACES}", self.path) if inside else (top,):
                try:
                    os.mkdir(folder, self.folder_mode)
                except FileExistsError:
                    pass
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._trust(fd)
            self.kind = file_system(self.path)
            if not self._given_disk:
                self.disk = Disk(self.kind.shared)
            self.fd = fd
            self._read_format()
            self._require()
        except BaseException:
            os.close(fd)
            self.fd = -1
            raise

    def _trust(self, fd: int) -> None:
        info = os.fstat(fd)
        if info.st_mode & stat.S_IWOTH:
            raise ConfigError(f"{self.path} may be written by everybody; nothing was opened. Take that away: chmod o-w {self.path}")
        me = os.geteuid()
        if info.st_uid != me and me != 0 and not self.shared_mode:
            raise ConfigError(
                f"{self.path} belongs to user {info.st_uid}, you are {me}; nothing was opened. To share a store with a group, "
                "give its mode in the URL of everybody who uses it: ?mode=660"
            )

    def _read_format(self) -> None:
        try:
            text = self._format_text()
            if text is None:
                self._write_format()
                text = self._format_text() or ""
        except UnicodeDecodeError:
            text = ""
        lines = text.split("\n")
        if lines[0] != "ropeway directory store" or not lines[1].startswith("version "):
            raise ConfigError(
                f"{self.path}/format is not of a ropeway store: {shown(text[:40])}; nothing was opened. Choose another folder"
            )
        version = lines[1][8:]
        if version != str(VERSION):
            raise ConfigError(
                f"{self.path} is in format {shown(version)}, this ropeway knows {VERSION}; nothing was opened or changed. Update ropeway"
            )
        if lines[2] == "clock boot" and self.disk.shared:
            raise ConfigError(
                f"{self.path} was made on a local disk and is now reached over a network ({self.kind.kind}): its leases are by one "
                "machine's clock; nothing was opened. Copy its jobs into a new store with export and import"
            )
        if lines[2] == "clock server":
            self.disk.shared = True

    def _format_text(self) -> str | None:
        try:
            fd = int(self.disk.calls.open("format", FORMAT, dir_fd=self.fd))
        except FileNotFoundError:
            listed = self.disk.open_listed("format", self.fd, FORMAT)
            if listed is None:
                return None
            fd = listed
        try:
            return os.read(fd, 4096).decode("ascii")
        finally:
            os.close(fd)

    def _write_format(self) -> None:
        """Made once, by linking a finished file: of two makers one wins and both read the winner's."""
        foreign = [n for n in self.disk.names(self.fd) if not n.startswith((".", "+"))]
        if foreign and self._format_text() is not None:
            return  # another process has just made the store, and perhaps a queue in it
        if foreign:
            raise ConfigError(
                f"{self.path} holds other files ({shown(sorted(foreign)[0])}) and is no ropeway store; nothing was opened. "
                "Choose an empty or a new folder"
            )
        name = f".format.{identity('p').random}"
        text = _FORMAT.format(version=VERSION, clock="server" if self.disk.shared else "boot")
        out = self.disk.write_new(name, self.fd, text.encode(), self.file_mode)
        try:
            if self.full:
                self.disk.sync(out)
                self._sync_above()  # before there is a format: whoever finds one may trust the folder's own name
        finally:
            os.close(out)
        try:
            self.disk.link(name, self.fd, "format", self.fd)
        except OSError as error:
            raise ConfigError(
                f"{self.path} lies on {self.kind.kind}, which has no hard links ({error.strerror}); choose another disk"
            ) from None
        finally:
            self.disk.unlink(name, self.fd)
        self.sync(self.fd)
        if os.pathconf(self.path, "PC_NAME_MAX") < 255:
            raise ConfigError(
                f"{self.path} lies on {self.kind.kind}, whose names are too short; no store can live there. Choose another disk"
            )

    def _sync_above(self) -> None:
        """Sync the folders above this one, some of which may be new; as far up as we may look."""
        folder = self.path
        while folder != os.path.dirname(folder):
            folder = os.path.dirname(folder)
            try:
                fd = os.open(folder, DIRECTORY)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR):
                    return
                raise
            try:
                self.disk.sync(fd)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EROFS):
                    raise
            finally:
                os.close(fd)

    def _require(self) -> None:
        have = self.durability()
        if self.require and "PKR".index(self.require) > "-PKR".index(have) - 1:
            raise ConfigError(
                f"{self.text}: durability class {self.require} is required, this store on {self.kind.kind} gives {have}; nothing was opened"
            )

    def durability(self) -> Durability:
        if self.kind.kind in ("tmpfs", "ramfs"):
            return Durability.PROCESS
        return Durability.KERNEL if self.full and self.kind.ordered else Durability.PROCESS

    def sync(self, fd: int) -> None:
        """Make a folder's names safe, if the URL asks for that."""
        if self.full:
            self.disk.sync(fd)

    def now(self) -> float:
        """The store's clock, seconds since 1970: this machine's, or the file server's on a shared store."""
        return self.clock.now() + self._server()[0] if self.disk.shared else self.clock.now()

    def stamps(self) -> float:
        """The clock that stamps files: the kernel's own where the disk is local, whatever clock the store was given."""
        return self.now() if self.disk.shared else time.time()

    def lease_clock(self) -> tuple[int, int]:
        """(milliseconds, how many of them it may be wrong by): the clock that leases are written and judged by.

        Local: the boot clock, which no wall clock step moves. Shared: the server's, as an offset to our own.
        """
        if not self.disk.shared:
            return int(self.clock.boot() * 1000), 0
        offset, error = self._server()
        return int((self.clock.now() + offset) * 1000), int(error * 1000) + 1

    def _server(self) -> tuple[float, float]:
        """Offset and uncertainty of the file server's clock, looked at every 30 s; again at once when the answer took long."""
        boot = self.clock.boot()
        if self._offset_at < 0 or boot - self._offset_at > CLOCK_EACH:
            looks = [self._look_at_clock()]
            while min(looks)[0] > CLOSE and len(looks) < 3:
                looks.append(self._look_at_clock())
            self._error, self._offset = min(looks)
            self._offset_at = boot if self._error <= CLOSE else boot - CLOCK_EACH + 2
            self.disk.ahead = int(self._offset * 1e9)
        return self._offset, self._error

    def _look_at_clock(self) -> tuple[float, float]:
        """(uncertainty, offset): the mtime of an own file after a touch, read by open + fstat."""
        name = f".clock.{identity('p').random}"
        fd = self.disk.write_new(name, self.fd, b"", self.file_mode)
        try:
            before = self.clock.now()
            self.disk.calls.utime(fd)
            stamp = os.fstat(fd).st_mtime_ns
            after = self.clock.now()
        finally:
            os.close(fd)
            self.disk.unlink(name, self.fd)
        half = grain_of(stamp) / 2
        return (after - before) / 2 + half + 0.005, stamp / 1e9 + half - (before + after) / 2

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def grain_of(stamp: int) -> float:
    """Seconds by which the clock of this file server moves on, as far as one of its stamps (ns) can tell: it is cut off to that."""
    return next((grain for grain in GRAINS if not stamp % int(grain * 1e9)), 0.01)


def open_again(fd: int) -> int:
    """A descriptor of the same folder opened anew: over a network that is what makes its attributes fresh."""
    return os.open(".", DIRECTORY, dir_fd=fd)


def _mode(text: str, url: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if mode < 0 or mode > 0o666 or mode & 0o111 or mode & 0o600 != 0o600 or mode & 0o002:
        raise ConfigError(f"{url}: mode={shown(text)} is no mode for files; give 600 (default), 640 or 660; nothing was opened")
    return mode
