"""A real terminal for a process: a pseudo-terminal that is its controlling one, and an emulator that says what a person sees."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyte

from ropeway.bells.place import readable

COMMAND = [sys.executable, "-m", "ropeway"]
_START = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """`text()` is what stands on the screen now, `sent` all bytes that ever came."""

    def __init__(self, args: Sequence[str], environment: Mapping[str, str], columns: int = 80, lines: int = 24) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, self._theirs = pty.openpty()
        self.sent = b""
        self._set_size(columns, lines)
        self.before = self.modes()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *args],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**environment, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
            start_new_session=True,
        )

    def modes(self) -> list[Any]:
        """How the terminal is set: echo, line by line, and all the rest."""
        return termios.tcgetattr(self._theirs)

    def resize(self, columns: int, lines: int) -> None:
        """The window gets another size; the kernel tells the process."""
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read(self, timeout: float = 0.05) -> bool:
        """Take in what has come; whether anything has."""
        if not readable([self._ours], timeout):
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.sent += data
        self._stream.feed(data)
        return True

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, seen: Callable[[str], Any] | str, timeout: float = 40.0) -> str:
        """Read until this is on the screen; the screen."""
        end = time.monotonic() + timeout
        while not (seen in self.text() if isinstance(seen, str) else seen(self.text())):
            assert time.monotonic() < end, f"not on the screen within {timeout} s: {seen}\n{self.text()}"
            self.read()
        return self.text()

    def settle(self) -> None:
        """Read on until nothing has come for a moment."""
        while self.read(0.1):
            pass

    def end(self, timeout: float = 40.0) -> int:
        """Its exit code, once it has ended by itself."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it has not ended\n{self.text()}"
            self.read()
        self.settle()
        return self.process.returncode

    @property
    def taken(self) -> bool:
        """Whether the process has the terminal for itself: keys come unseen, one by one."""
        return not self.modes()[3] & (termios.ECHO | termios.ICANON)

    @property
    def whole(self) -> bool:
        """Whether all is as it was: the modes, the first screen, the cursor, and wrapping."""
        last = [self.sent.rfind(on) > self.sent.rfind(off) for on, off in _PAIRS]
        return self.modes() == self.before and all(last)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


# What gives something back, and what took it.
_PAIRS = ((b"\x1b[?1049l", b"\x1b[?1049h"), (b"\x1b[?25h", b"\x1b[?25l"), (b"\x1b[?7h", b"\x1b[?7l"))
