"""What the process prints, heard on its way out: on the level of descriptors, or of Python's streams.

By descriptors: stdout and stderr lead into pipes, and a small process beside this one (tail.py) passes on what comes, byte for byte, and
keeps its end. So C code and child processes are heard too. Whatever becomes of the program, nothing is lost on the way.
By streams: the write of Python's own streams is looked at. Nothing is put between the program and its output. So it is where stdout is a
terminal, which a pipe in between would not be any more.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any

from ..errors import BadValue
from . import tail
from .tail import ASK, SHOWN, Tail

MODES = ("auto", "descriptors", "streams", "none")
NAMES = {"stdout": 1, "stderr": 2}
STARTING = 10.0  # seconds for the process beside
ANSWERING = 3.0


class Output:
    """Hears from `start` until `close`. `mode`: auto takes descriptors, and streams for what is a terminal."""

    def __init__(self, mode: str = "auto") -> None:
        if mode not in MODES:
            raise BadValue(f"output is one of {' '.join(MODES)}, not {ascii(mode)[:40]}; nothing was started")
        self._mode = mode
        self._streams: dict[str, Watched] = {}
        self._beside: Beside | None = None
        self._pid = os.getpid()

    @property
    def kind(self) -> str:
        """What is heard: descriptors, streams, both, or nothing."""
        return {(True, True): "both", (True, False): "descriptors", (False, True): "streams"}.get(
            (self._beside is not None, bool(self._streams)), "nothing"
        )

    @property
    def death(self) -> int:
        """A descriptor that is readable when the process beside has ended; then call `fall_back`. -1: there is none."""
        return self._beside.death if self._beside is not None else -1

    def start(self) -> None:
        """Begin. Where no process can be started beside, only streams are heard."""
        if self._mode == "none":
            return
        deep = [
            name
            for name, fd in NAMES.items()
            if self._mode != "streams" and _open(fd) and (self._mode == "descriptors" or not os.isatty(fd))
        ]
        if deep and sys.executable:
            try:
                self._beside = Beside(deep)
            except (OSError, subprocess.SubprocessError):
                deep = []
        for name in NAMES:
            if name not in deep and (watched := Watched.of(getattr(sys, name))) is not None:
                self._streams[name] = watched

    def look(self, stream: str, since: int = 0) -> tuple[int, bytes]:
        """What that stream has printed after its first `since` lines, and how many lines came before that. Raises OSError when the process
        beside does not answer."""
        watched = self._streams.get(stream)
        if watched is not None:
            return watched.tail.look(since)
        if self._beside is None or stream not in self._beside.names:
            return 0, b""
        return self._beside.look(stream, since)

    def passed(self, fd: int, data: bytes) -> None:
        """This was written to stdout (1) or stderr (2) for somebody else, past Python's streams. By descriptors it is heard anyway."""
        watched = self._streams.get("stdout" if fd == 1 else "stderr")
        if watched is not None:
            watched.tail.feed(data)

    def fall_back(self) -> None:
        """The process beside has ended: what is printed goes where it went before."""
        if self._beside is not None and os.getpid() == self._pid:
            beside, self._beside = self._beside, None
            beside.restore(drain=True)

    def close(self) -> None:
        """Everything as it was. What was printed is passed on before this returns, if whoever reads it takes it within two seconds."""
        if os.getpid() != self._pid:
            return  # a forked child prints where its parent does
        for watched in self._streams.values():
            watched.close()
        self._streams.clear()
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.close()


class Beside:
    """The process beside this one, and the pipes to it. Raises OSError when it cannot be started."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._lock = threading.Lock()
        self._ear, theirs = socket.socketpair()
        self.death, life = os.pipe()
        self._kept: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._ours: dict[str, tuple[int, int]] = {}  # what our ends are
        ends = {}
        words = {}
        for name in names:
            self._kept[name] = os.dup(NAMES[name])
            self._sources[name], ends[name] = os.pipe()
            words[name] = f"{self._sources[name]},{self._kept[name]}"
            self._ours[name] = _file(ends[name])
        with theirs:
            fds = (theirs.fileno(), life, *self._kept.values(), *self._sources.values())
            try:
                command = [
                    sys.executable,
                    "-I",
                    "-S",
                    tail.__file__,
                    str(theirs.fileno()),
                    str(life),
                    *(words.get(name, "-") for name in NAMES),
                ]
                subprocess.run(command, pass_fds=fds, stdin=subprocess.DEVNULL, check=True, timeout=STARTING)  # noqa: S603 - our own file
                self._ear.settimeout(STARTING)
                if self._ear.recv(1) != b"+":
                    raise OSError("the process beside did not start")
            except BaseException:
                for fd in (self.death, life, *self._kept.values(), *self._sources.values(), *ends.values()):
                    os.close(fd)
                self._ear.close()
                raise
        os.close(life)
        self._ear.settimeout(ANSWERING)
        for name in names:
            _flush(name)
            os.dup2(ends[name], NAMES[name])
            os.close(ends[name])

    def look(self, stream: str, since: int) -> tuple[int, bytes]:
        """The end of one stream. Raises OSError."""
        far = 1 << 62  # no line of the other one
        asked = ASK.pack(b"t", since if stream == "stdout" else far, since if stream == "stderr" else far)
        with self._lock:
            self._ear.sendall(asked)
            first, size, second, more = SHOWN.unpack(self._receive(SHOWN.size))
            data = self._receive(size + more)
        return (first, data[:size]) if stream == "stdout" else (second, data[size:])

    def restore(self, *, drain: bool) -> None:
        """Let stdout and stderr lead where they led. `drain`: nobody passes on what is in the pipes, so it is done here."""
        self._lead_back()
        for name in self.names:
            if drain:
                _drain(self._sources[name], self._kept[name])
        for fd in (self.death, *self._kept.values(), *self._sources.values()):
            os.close(fd)
        self._ear.close()

    def close(self) -> None:
        """Restore, once all is passed on."""
        self._lead_back()
        drain = False
        try:
            with self._lock:
                self._ear.sendall(ASK.pack(b"s", 0, 0))
                self._receive(SHOWN.size)
        except TimeoutError:
            pass  # whoever reads the output does not; the process beside waits for him
        except OSError:
            drain = True
        self.restore(drain=drain)

    def _lead_back(self) -> None:
        """Where the program has not led them elsewhere meanwhile."""
        for name in self.names:
            _flush(name)
            if _open(NAMES[name]) and _file(NAMES[name]) == self._ours[name]:
                os.dup2(self._kept[name], NAMES[name])

    def _receive(self, size: int) -> bytes:
        parts = []
        while size:
            data = self._ear.recv(min(size, 1 << 20))
            if not data:
                raise OSError("the process that keeps the output has ended")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


class Watched:
    """A stream of Python's whose writes are looked at."""

    def __init__(self, buffer: Any, tail: Tail) -> None:
        self.tail = tail
        self._buffer = buffer

    @classmethod
    def of(cls, stream: Any) -> Watched | None:
        """Look at this one; None when it does not let us."""
        buffer = getattr(stream, "buffer", None)
        write = getattr(buffer, "write", None)
        if buffer is None or write is None:
            return None
        kept = Tail()

        def watched(data: Any) -> Any:
            written = write(data)
            kept.feed(memoryview(data).cast("B")[:written] if isinstance(written, int) else data)  # a bare file may take a part only
            return written

        try:
            buffer.write = watched
        except AttributeError:
            return None
        return cls(buffer, kept)

    def close(self) -> None:
        """No longer."""
        vars(self._buffer).pop("write", None)


def _open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _file(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _flush(name: str) -> None:
    try:
        getattr(sys, name).flush()
    except (AttributeError, OSError, ValueError):
        pass


def _drain(source: int, target: int) -> None:
    os.set_blocking(source, False)
    try:
        while data := os.read(source, 1 << 16):
            os.write(target, data)
    except OSError:
        return
