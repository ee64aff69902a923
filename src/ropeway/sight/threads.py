"""What every thread does now: told by two looks a moment apart, since one look cannot tell a busy thread from one that waits."""

from __future__ import annotations

import sys
import threading
import time
from types import FrameType

from . import kernel
from .frames import DEEPEST, Row, doing, place, row, stack
from .reasons import LOCK, Reason, by_frames, by_kernel, by_words

MOMENT = 0.06  # seconds between the two looks
BUSY = 0.001  # seconds of processor time in that moment from which on a thread is at work
MOST = 500  # threads that are looked at
PRIVATE = "ropeway-sight"  # how the names of those threads begin that do the looking


class Standing:
    """One thread at the second look: its frames (the innermost first) and what it does."""

    __slots__ = ("cpu", "daemon", "frames", "ident", "name", "native", "reason", "state")

    def __init__(self, ident: int, name: str, native: int, daemon: bool, frames: list[FrameType]) -> None:
        self.ident = ident
        self.name = name
        self.native = native
        self.daemon = daemon
        self.frames = frames
        self.cpu = 0.0
        self.state = "unknown"
        self.reason: Reason | None = None

    def doing(self) -> Row:
        """What it does, as it is shown: `state` runs or waits, `waits_for` what kind of thing, `text` in words, and where."""
        at = place(self.frames)
        out: Row = {"state": self.state}
        if self.reason is not None:
            out["waits_for"] = self.reason[0]
        text = "runs" if self.state == "runs" else f"waits for {self.reason[1]}" if self.reason else self.state
        if at is None:
            return out | {"text": text}
        what = doing(at)
        where = row(at, words=False)
        out |= {"text": f"{text}: {what}" if what else text, **where}
        return out | ({"code": what} if what else {})

    def shown(self) -> Row:
        """The whole thread, as it is shown."""
        out: Row = {"name": self.name, "ident": self.ident, "native": self.native, "daemon": self.daemon, "cpu": round(self.cpu, 3)}
        out["doing"] = self.doing()
        out["frames"] = [row(frame) for frame in self.frames[:DEEPEST]]
        if len(self.frames) > DEEPEST:
            out["left_out"] = len(self.frames) - DEEPEST
        return out


def look(moment: float = MOMENT) -> list[Standing]:
    """All threads but those that look. Takes `moment` seconds; nothing is stopped for it."""
    first = _walk()
    time.sleep(moment)
    second = _walk()
    for ident, (standing, seen, at) in second.items():
        before = first.get(ident)
        spent = seen.cpu - before[1].cpu if before is not None else 0.0
        _judge(standing, seen, spent, moved=before is None or before[2] != at)
    return [standing for standing, _, _ in second.values()]


_Walked = tuple[Standing, kernel.Seen, tuple[int, int]]


def _walk() -> dict[int, _Walked]:
    names = {thread.ident: thread for thread in threading.enumerate()}
    out: dict[int, _Walked] = {}
    for ident, frame in list(sys._current_frames().items())[:MOST]:  # noqa: SLF001 - there is no other way to see another thread's frames
        thread = names.get(ident)
        if ident == threading.get_ident() or (thread is not None and thread.name.startswith(PRIVATE)):
            continue
        at = id(frame), frame.f_lasti  # before anything that gives the interpreter away
        native = (thread.native_id if thread is not None else 0) or 0
        seen = kernel.look(native) if native else kernel.Seen()
        name = thread.name if thread is not None else f"{ident}, not of threading"
        out[ident] = Standing(ident, name, native, thread.daemon if thread is not None else True, stack(frame)), seen, at
    return out


def _judge(standing: Standing, seen: kernel.Seen, spent: float, *, moved: bool) -> None:
    standing.cpu = seen.cpu
    frames = standing.frames
    kernels = by_kernel(seen)
    if spent >= (BUSY if kernels is None or kernels[0] == LOCK else MOMENT / 2):  # who waits for the interpreter seems to wait for a lock
        standing.state = "runs"
        return
    reason = by_frames(frames)
    if reason is None and (kernels is None or kernels[0] == LOCK):
        if moved and kernels is not None:
            standing.state = "runs"  # it waits for the interpreter and for nothing else
            return
        reason = (frames and by_words(frames[0])) or kernels
    standing.reason = reason or kernels
    standing.state = "waits" if standing.reason is not None or seen.state in ("S", "D") else "runs" if seen.state == "R" else "unknown"
