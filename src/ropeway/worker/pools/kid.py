"""A child process as its worker sees it: started, written to without ever blocking, read from until it is dry, ended and reaped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from ..run import NEVER, Run
from .cell import new_cell
from .frames import Buffer, Leave, ToChild, framed, from_child
from .groups import Group

STALLED = 0.02  # seconds that jobs may wait behind one in a child, while there are other children
_READ = 1 << 18
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from ropeway.worker.pools.child import main; main()"


class Kid:
    """One child. All of it is for the hub's thread; only `outstanding` may be looked at from others.

    It must be made in a thread that lives as long as the child should: the kernel ends the child with that thread.
    Raises OSError when no process can be started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        cell_fd, self.cell = new_cell()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        fds = theirs.fileno(), cell_fd
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter that runs us
                [sys.executable, "-P", "-c", _START, json.dumps(sys.path), *map(str, fds), str(os.getpid())],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=out_end,
                stderr=err_end,
                start_new_session=True,
            )
        except BaseException:
            for fd in (out, err):
                os.close(fd)
            ours.close()
            self.cell.close()
            raise
        finally:
            for fd in (cell_fd, out_end, err_end):
                os.close(fd)
            theirs.close()
        ours.settimeout(0)
        self.pid = self._process.pid
        self.outputs = {out: 1, err: 2}  # its pipes, and where they lead
        self.outstanding: dict[int, Run] = {}  # by number, in order: sent, and not answered for
        self.batch = False  # these are one batch:
        self.group: Group | None = None
        self.ready = False
        self.error = ""  # why it is not
        self.given = self.done = 0  # jobs sent, and answered for
        self.recalled = False  # it was asked for what it has not begun, and has not answered yet
        self.to_hand = False  # what comes back then is for another child, not for the store
        self.fed = 0.0  # when it last got jobs
        self.late = 0  # the number of a run that was seen past its deadline
        self.retiring = False  # it is to be replaced
        self.leaving = False  # it gets no more jobs
        self.told_to_leave = False
        self.kill_at = NEVER
        self.killed = False  # by us
        self.gone = False
        self.weighed = 0.0  # when its memory was looked at
        self._socket = ours
        self._buffer = Buffer(from_child)
        self._out: list[memoryview] = []
        self.cell_at_death = 0, 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def code(self) -> int | None:
        """Its exit code, minus the signal that killed it; None while it runs."""
        return self._process.poll()

    @property
    def pending(self) -> int:
        """How many of its jobs have not begun, as far as is known here."""
        return 0 if self.recalled or self.batch else max(0, len(self.outstanding) - 1)

    def whose(self) -> str:
        """The id of the job that it is in; for the thread that reads its output."""
        try:
            run = self.outstanding.get(self.cell.begun()[0])
        except ValueError:  # it was closed
            return ""
        return run.lent.job.id if run is not None else ""

    def over(self) -> None:
        """The batch that it had, if it had one, has left it."""
        if self.group is not None:
            self.group.over()
        self.group, self.batch = None, False

    def stalled(self, now: float) -> bool:
        """It has been in one run for so long that nothing should wait behind that."""
        return bool(self.outstanding) and now - max(self.cell.begun()[1], self.fed) >= STALLED

    def send(self, message: ToChild) -> None:
        """Write as much as it takes now, and keep the rest for `flush`."""
        self._out.append(memoryview(framed(message)))
        self.flush()

    @property
    def behind(self) -> bool:
        """There is something left to write."""
        return bool(self._out)

    def flush(self) -> None:
        while self._out:
            try:
                sent = self._socket.send(self._out[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # it is dead, which is as normal as the end of what it says
                self._out.clear()
                return
            self._out[0] = self._out[0][sent:]
            if not self._out[0]:
                del self._out[0]

    def read(self, *, dry: bool) -> Iterator[Any]:
        """Its messages, until there is nothing more to read for now (`dry`: ask again to be sure); `gone` when there never will be.
        Raises Broken."""
        while True:
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.gone = True
                return
            yield from self._buffer.feed(data)
            if len(data) < _READ and not dry:
                return

    def leave(self) -> None:
        """It may end once it has done what it has."""
        if not self.told_to_leave:
            self.told_to_leave = self.leaving = True
            self.send(Leave())

    def terminate(self) -> None:
        """SIGTERM, which it heeds only for the run that stands in the cell."""
        self._signal(signal.SIGTERM, group=False)

    def kill(self) -> None:
        """SIGKILL for it and what it has started."""
        self.killed = True
        self._signal(signal.SIGKILL, group=True)

    def memory(self) -> int:
        """Bytes of memory that it has to itself or shares; 0 when that cannot be told."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE
        except (OSError, ValueError, IndexError):
            return 0

    def wait(self, seconds: float) -> None:
        """Reap it; kill it when it takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def close(self) -> None:
        self._socket.close()
        self.cell.close()

    def _signal(self, number: int, *, group: bool) -> None:
        if self._process.poll() is None:  # else its pid may be another's by now
            try:
                (os.killpg if group else os.kill)(self.pid, number)
            except (ProcessLookupError, PermissionError):
                pass


def exit_fd(pid: int) -> int:
    """A descriptor that is readable once the process has ended, where the system has such; else -1."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
