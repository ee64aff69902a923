"""strace as a tool: one run recorded, then runs that are killed at, or lied to by, one chosen system call.

A kill lands before the call. The traced process first loads and opens all that it will need, and then waits until strace watches it: so the
calls are counted from the first one of the engine, whatever the interpreter did to start, and no fault can hit an import.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from .report import LeftOut

CHANGING = (
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
    *("open", "openat", "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "utimensat", "close"),
)
PATIENCE = 60.0
READY = b"ready\n"
SET_PTRACER, ANYBODY = 0x59616D61, 2**64 - 1
_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|\?)(?:<([^>]*)>)?(?: (E\w+))?")


class Call(Struct):
    """One recorded system call: its name, how many of that name came before it and itself, its arguments as strace prints them."""

    name: str
    number: int
    text: str
    result: int
    path: str = ""  # of the descriptor that it answered
    error: str = ""

    def changes(self) -> bool:
        """Whether it changes the disk, or makes a change safe."""
        if self.name == "close":
            return False
        return "O_CREAT" in self.text if self.name in ("open", "openat") else True


class Traced(Struct):
    """How a traced process ended: its exit code (negative: the signal), and what it said on stderr."""

    code: int
    said: str


def record(command: Sequence[str], log: Path) -> list[Call]:
    """Run the command to its end; all its changing calls, in order. Raises RuntimeError when it fails."""
    done = _strace(["-y", "-s", "400", "-e", f"trace={','.join(CHANGING)}"], command, log)
    if done.code:
        raise RuntimeError(f"the recorded run failed with {done.code}: {done.said[-2000:]}")
    return calls_of(log)


def calls_of(log: Path) -> list[Call]:
    """The calls of a log. Lines that are no complete call (signals, the exit) are passed over."""
    counts: Counter[str] = Counter()
    out = []
    for line in log.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found:
            counts[found[1]] += 1
            result = int(found[3]) if found[3] != "?" else -1
            out.append(Call(found[1], counts[found[1]], found[2], result, found[4] or "", found[5] or ""))
    return out


def inject(command: Sequence[str], log: Path, name: str, what: str, when: str, also: str = "") -> Traced:
    """Run the command; the `when`-th call (strace's syntax: 3, or 3+ for it and all after it) of that name gets `what`. The log has these
    calls, and those of the names in `also`."""
    return _strace(["-s", "120", "-e", f"trace={also or name}", "-e", f"inject={name}:{what}:when={when}"], command, log)


def _strace(options: Sequence[str], command: Sequence[str], log: Path) -> Traced:
    """Start the command, watch it from where it waits in `await_tracer` to its end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            if process.stdout.readline() != READY:
                return Traced(1, f"it did not come as far as being traced: {process.communicate()[1].decode(errors='replace')}")
            words = ["strace", "-f", "-o", str(log), *options, "-p", str(process.pid)]
            with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as tracer:
                assert tracer.stderr is not None
                try:
                    said = ""
                    while "attached" not in said:
                        said = tracer.stderr.readline() or _cannot(said)
                    answer = process.communicate(b"\n", timeout=PATIENCE)[1]
                    tracer.communicate(timeout=PATIENCE)  # the log is complete when it has ended
                finally:
                    tracer.kill()
        except subprocess.TimeoutExpired as error:
            return Traced(124, f"hung: {error}")
        finally:
            process.kill()
    return Traced(process.returncode, answer.decode(errors="replace"))


def _cannot(said: str) -> NoReturn:
    raise LeftOut(f"strace cannot attach to a process here: {said.strip()}")


def await_tracer() -> None:
    """In the process that is to be traced, when it has opened what it needs: load what is loaded late, and go on when strace watches."""
    from ropeway.bells import datagram  # noqa: F401  (all this is used by who is traced)
    from ropeway.stores.directory import (  # noqa: F401
        beside,
        bodies,
        edits,
        keys,
        lanes,
        lending,
        looking,
        notes,
        operating,
        receipts,
        rescue,
        seats,
        settling,
        tree,
        walks,
    )

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)  # where only parents may look, as Ubuntu has it: our parent is not strace
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    sys.stdin.buffer.readline()


def python(module: str, *args: object) -> list[str]:
    """The command that runs a module of this package in a process of its own, the same way each time. It must call `await_tracer`."""
    return [sys.executable, "-B", "-m", f"ropeway.testing.proof.{module}", *map(str, args)]
