"""One worker process as its supervisor sees it: started by exec, heard on its lifeline, signalled."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence

from .lifeline import AGAIN, READY


class Child:
    """A process. `born` and `heard` are moments of the boot clock; `ready` says that it runs, `again` that it wants to be started anew,
    `leaving` that it was told to end."""

    def __init__(self, command: Sequence[str], boot: Callable[[], float]) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(0.0)
        self._boot = boot
        self.line = ours
        self.born = self.heard = boot()
        self.ready = self.again = self.leaving = False
        self.killed_at = 0.0
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - the command is our own
                [*command, "--lifeline", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the supervisor, which passes it on once
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        return self.process.poll()

    def hear(self) -> bool:
        """Take what it said; False when there is nobody any more."""
        try:
            said = self.line.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if said:
            self.heard = self._boot()
            self.ready = self.ready or READY in said
            self.again = self.again or AGAIN in said
        return bool(said)

    def send(self, number: int) -> None:
        """Signal it."""
        try:
            os.kill(self.pid, number) if self.code is None else None
        except ProcessLookupError:
            pass

    def kill(self, now: float) -> None:
        """End it: first so that it tells where it stood, then for sure."""
        self.send(signal.SIGKILL if self.killed_at else signal.SIGABRT)
        self.killed_at = self.killed_at or now

    def close(self) -> None:
        self.line.close()
