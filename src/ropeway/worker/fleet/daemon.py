"""Going on in the background, and the file that says which process that is."""

from __future__ import annotations

import fcntl
import os
import sys
from types import TracebackType

from ...errors import ConfigError, Conflict

FAILED = 1


class Background:
    """What the process in the background holds of the one that started it, which waits until `started` and then ends."""

    def __init__(self, told: int) -> None:
        self._told = told

    def started(self) -> None:
        """All is well: let the command in the foreground end, with our pid as its word."""
        if self._told >= 0:
            _write(self._told, f"{os.getpid()}\n".encode())
            os.close(self._told)
            self._told = -1


def go_to_background(log: str = "") -> Background:
    """Detach this process from terminal, session and parent. Returns in the new process only; the old one waits until it is told that all
    is well, prints the new one's pid and exits 0, or says that it failed and exits 1.

    Standard input is closed. Output goes to the file `log`, appended; without one, what went to a terminal goes nowhere, and what went to a
    file or pipe still does. The working directory and the umask stay. To be called before there are threads. Raises ConfigError when
    the log cannot be opened.
    """
    out = _open_log(log) if log else None
    heard, told = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os.close(told)
        os._exit(_wait_for(heard, log))
    os.close(heard)
    os.setsid()
    if os.fork():
        os._exit(0)  # so that the daemon leads no session, and can never get a terminal again
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    for number in (1, 2):
        if out is not None or os.isatty(number):
            os.dup2(out if out is not None else null, number)
    for opened in (null, out):
        if opened is not None and opened > 2:
            os.close(opened)
    return Background(told)


def _wait_for(heard: int, log: str) -> int:
    """In the foreground: what the daemon says, and the exit code that means."""
    with open(heard, "rb") as file:
        text = file.read()
    if text:
        _write(1, text)
        return 0
    _write(
        2, f"ropeway: it did not start. {f'See {log}' if log else 'Run it without --background to see why, or give --log FILE'}\n".encode()
    )
    return FAILED


def _write(number: int, text: bytes) -> None:
    try:
        os.write(number, text)
    except OSError:
        pass  # nobody reads it


def _open_log(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(f"the log {path} cannot be opened: {error.strerror}; nothing was started") from None


class PidFile:
    """A file with this process's pid, locked while it lives: a file that a dead one left behind stands in nobody's way."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._file = -1

    def __enter__(self) -> PidFile:
        """Take it. Raises Conflict when a living process holds it, ConfigError when it cannot be written."""
        while True:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            except OSError as error:
                raise ConfigError(f"the pid file {self._path} cannot be opened: {error.strerror}; nothing was started") from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pid = os.read(file, 32).decode("ascii", "replace").strip()
                os.close(file)
                raise Conflict(f"process {pid or 'another'} runs with the pid file {self._path}; nothing was started") from None
            if self._is_there(file):
                break
            os.close(file)  # its last owner removed it between our opening and our lock
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._is_there(self._file):
                os.unlink(self._path)
        except OSError:
            pass
        os.close(self._file)

    def _is_there(self, file: int) -> bool:
        try:
            there, ours = os.stat(self._path), os.fstat(file)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
