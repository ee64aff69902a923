"""The bell of one host: idle processes announce themselves by a file in a folder, whoever puts sends each of them a unix datagram.

The file's name is the address: `<boot>.<netns>.<random>.idle` stands for the abstract socket "\\0ropeway.<random>", which vanishes with its
process and needs no path. A datagram is never answered: a lost one costs a poll, a forged one a look. Its content is a hint and no more:
"due" spares whoever is rung the look before its claim. A process announces itself *and then looks once more*, or a put between its look
and its announcement would wait for the poll.

Whoever rings takes the announcement away (`.idle` becomes `.busy`, one rename), and so does a process that stops waiting, before it claims:
a second put rings another, and no ring goes to somebody at work while an idle one sleeps. A ring that met somebody who had just woken
for another job would still be lost on it: so whoever claimed after a wake, and saw more due jobs than it took, rings once more.
"""

from __future__ import annotations

import _socket  # the C half of socket: a sixth of its import time, and all of what is needed here
import os
import threading
import time

from .place import SleepingPlace

AF_UNIX = getattr(_socket, "AF_UNIX", None)
_FLAGS = _socket.SOCK_DGRAM | getattr(_socket, "SOCK_NONBLOCK", 0) | getattr(_socket, "SOCK_CLOEXEC", 0)
_YOUNG = 20_000_000  # ns, as for every listing
DUE = b"due"
_RINGS = 64  # idle processes rung by one put at most: each that finds more than it can take is followed by the next poll


def world() -> str:
    """What a process must share with us so that our datagrams reach it: the boot, and the network namespace (abstract names live there)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().replace("-", "").strip()[:12]
        return f"{boot}.{os.stat('/proc/self/ns/net').st_ino:x}"
    except OSError:
        return ""


def available() -> bool:
    """Whether this system has abstract unix sockets (Linux); elsewhere the poll must do."""
    return AF_UNIX is not None and bool(world())


class Sleeper(SleepingPlace):
    """A sleeping place: a datagram socket beside the event of `wake`. `due`: the last ring said that something is due already."""

    def __init__(self) -> None:
        super().__init__()
        self.due = False
        self.name = os.urandom(12).hex()
        self._socket = _socket.socket(_socket.AF_UNIX, _FLAGS)
        self._socket.bind(f"\0ropeway.{self.name}".encode())
        self._watch(self._socket.fileno())

    def _heard(self) -> bool:
        """One ring; what else has come is drained before the next sleep, when nothing waits for it."""
        try:
            self.due = self._socket.recv(16) == DUE
        except BlockingIOError:
            pass
        return True

    def drain(self) -> None:
        """Forget the rings of the past: somebody looks now."""
        self.due = False
        try:
            for _ in range(64):
                self._socket.recv(16)
        except BlockingIOError:
            return

    def close(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
        super().close()


class Bell:
    """One folder of announcements: rung by putters, announced in by those who wait."""

    def __init__(self, folder_fd: int, mode: int) -> None:
        self._fd = folder_fd
        self._mode = mode
        self._world = world()
        self._announced: dict[str, str] = {}  # by sleeper, its file without the ending
        self._listed: tuple[int, list[str]] = (-1, [])
        self._last = ""  # whom this process rang last
        self._out: _socket.socket | None = None
        self._opening = threading.Lock()

    def announce(self, sleeper: Sleeper) -> None:
        """Say that we are (about to be) idle; one must look once more before sleeping. Where it cannot be said (a full disk), the poll
        must do."""
        stem = self._announced[sleeper.name] = f"{self._world}.{sleeper.name}"
        try:
            self._announce(stem)
        except OSError:
            return

    def _announce(self, stem: str) -> None:
        try:
            os.rename(f"{stem}.busy", f"{stem}.idle", src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except FileNotFoundError:
            os.close(os.open(f"{stem}.idle", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, self._mode, dir_fd=self._fd))

    def withdraw(self, sleeper: Sleeper) -> None:
        """We stop waiting: before the first look for jobs, or a ring for a job that this look does not see would be ours alone."""
        stem = self._announced.get(sleeper.name)
        if stem is not None:
            try:
                os.rename(f"{stem}.idle", f"{stem}.busy", src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except OSError:
                return  # taken away by who rang; or it stands, and a ring too many is heard by nobody

    def lost(self) -> bool:
        """Whether the folder was removed."""
        return not os.fstat(self._fd).st_nlink

    def ring_all(self) -> None:
        """Wake everybody who is idle: what has happened may be what any of them waits for. As `ring`, never fails and never waits."""
        try:
            mtime = os.fstat(self._fd).st_mtime_ns
            idle = self._idle(mtime) if mtime != self._listed[0] else self._listed[1]
            if idle:
                self._send(idle, len(idle), due=False)
        except OSError:
            return

    def ring(self, jobs: int, due: bool = False) -> None:
        """Wake as many idle processes as there are jobs; `due`: these can be claimed now. Never fails, never waits, says nothing."""
        try:
            mtime, (known, idle) = os.fstat(self._fd).st_mtime_ns, self._listed
            if mtime != known:
                if jobs == 1 and self._last and self._send([self._last], 1, due):
                    return  # idle again, as it was when it was rung last: no need to list who else is
                idle = self._idle(mtime)
            if idle:
                self._send(idle, min(jobs, _RINGS), due)
        except OSError:
            return

    def _idle(self, mtime: int) -> list[str]:
        began = time.time_ns()
        prefix = f"{self._world}."
        names = [n for n in os.listdir(self._fd) if n.endswith(".idle") and n.startswith(prefix)]
        self._listed = (mtime if began - mtime > _YOUNG else -1, names)
        return names

    def _send(self, names: list[str], wanted: int, due: bool) -> bool:
        """Ring so many of these; True when there were as many."""
        out = self._out
        if out is None:
            with self._opening:  # two threads may ring for the first time at once
                out = self._out = self._out or _socket.socket(_socket.AF_UNIX, _FLAGS)
        for name in names:
            if not wanted:
                break
            stem = name[:-5]
            try:
                os.rename(name, f"{stem}.busy", src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except FileNotFoundError:
                continue  # another put was faster with this one
            try:
                out.sendto(DUE if due else b"", f"\0ropeway.{stem[len(self._world) + 1 :]}".encode())
                wanted -= 1
                self._last = name
            except ConnectionRefusedError:
                os.unlink(f"{stem}.busy", dir_fd=self._fd)  # its process is gone, and its socket with it
            except (BlockingIOError, InterruptedError):
                continue  # its queue is full: it has been rung often enough, and does not come
            self._listed = (-1, [])
        return not wanted

    def tidy(self, shared: bool) -> None:
        """Remove what processes that are gone have left: their address refuses a connection, or their boot is over (where no other
        machine can be meant)."""
        boot = self._world.partition(".")[0]
        out = _socket.socket(_socket.AF_UNIX, _FLAGS)
        try:
            for name in os.listdir(self._fd):
                stem, _, state = name.rpartition(".")
                if state not in ("idle", "busy") or stem in self._announced.values():
                    continue
                ours = name.startswith(f"{self._world}.")
                if (ours and self._gone(out, stem)) or not (ours or shared or name.partition(".")[0] == boot):
                    self._remove(name)
        finally:
            out.close()

    def _gone(self, out: _socket.socket, stem: str) -> bool:
        try:
            out.connect(f"\0ropeway.{stem[len(self._world) + 1 :]}".encode())
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except OSError:
            return

    def close(self) -> None:
        for stem in self._announced.values():
            for state in ("idle", "busy"):
                try:
                    os.unlink(f"{stem}.{state}", dir_fd=self._fd)
                except OSError:
                    continue
        self._announced.clear()
        self.shut()

    def shut(self) -> None:
        """Let go of the socket, and leave the announcements as they stand."""
        if self._out is not None:
            self._out.close()
            self._out = None
