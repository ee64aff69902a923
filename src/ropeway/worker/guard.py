"""The worker's side of the guardian: what was started is told to it first, so that no command outlives a worker that is killed.

A command begins as a shell that waits for a line on its standard input (`HELD`). It is told to the guardian, and only then let go. A worker
that dies before that closes the line, and nothing is run; one that dies later leaves a guardian that knows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress

from ..living import start_time
from . import guardian

HELD = (b"/bin/sh", b"-c", b'read -r _ && exec "$@" </dev/null', b"sh")  # + argv
GO = b"\n"


class Guard:
    """The guardian of this worker, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, bytes] = {}
        self._guardian: subprocess.Popen[bytes] | None = None

    def add(self, pid: int) -> None:
        """This group has been started. Raises OSError when nobody can be told: then it must not go on."""
        line = b"+%d %d\n" % (pid, start_time(pid) or 0) if start_time(pid) not in (None, -1) else b"+%d -\n" % pid
        with self._lock:
            self._groups[pid] = line
            self._tell(line)

    def drop(self, pid: int) -> None:
        """Its command has ended."""
        with self._lock:
            self._groups.pop(pid, None)
            if self._guardian is not None:
                try:
                    self._write(b"-%d\n" % pid)
                except OSError:
                    pass  # it is gone, and the next one is told all

    def close(self) -> None:
        """The worker ends, and has nothing running."""
        with self._lock:
            if self._guardian is not None and self._guardian.stdin is not None:
                self._guardian.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    self._guardian.wait(5.0)
                self._guardian = None

    def _tell(self, line: bytes) -> None:
        if self._guardian is not None and self._guardian.poll() is None:
            try:
                self._write(line)
                return
            except OSError:
                pass
        if self._guardian is not None:  # somebody has killed it
            if self._guardian.stdin is not None:
                self._guardian.stdin.close()
            self._guardian.kill()
            self._guardian.wait()
        self._guardian = subprocess.Popen(  # noqa: S603 - a file of our own
            [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
            cwd="/",
        )
        self._write(b"".join(self._groups.values()))

    def _write(self, data: bytes) -> None:
        assert self._guardian is not None and self._guardian.stdin is not None
        self._guardian.stdin.write(data)
