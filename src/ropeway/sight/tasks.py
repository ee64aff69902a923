"""What every asyncio task awaits: the chain of its coroutines, from the first to the one that waits."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from . import frames as seen
from .frames import DEEPEST, Row, is_library, is_program, row
from .reasons import FUTURE, Reason, by_frames

MOST = 500  # tasks that are shown
_PASSED = frozenset({"wait_for", "wait", "gather", "_wait", "shield"})  # what waits for another, and says nothing by itself


def living() -> list[Any]:
    """The tasks of all loops that have not ended."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    tasks = getattr(asyncio, "tasks", None)
    known: Iterable[Any]
    if sys.version_info < (3, 14):  # the sets of asyncio itself; all_tasks tells of one loop at a time only
        sets = [getattr(tasks, name, ()) for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")]
        known = [task for one in sets for task in _copied(one)]
    else:
        import gc

        known = gc.get_objects()
    found: dict[int, Any] = {}
    for thing in known:
        try:
            if isinstance(thing, asyncio.Task) and not thing.done():
                found[id(thing)] = thing
        except ReferenceError:
            continue  # a weak proxy whose object is gone
    return sorted(found.values(), key=lambda task: str(task.get_name()))


def _copied(tasks: Any) -> list[Any]:
    for _ in range(10):  # another thread may make one while we look
        try:
            return list(tasks)
        except RuntimeError:
            continue
    return []


def chain(task: Any) -> list[FrameType]:
    """The frames of its coroutines, the innermost first. Those of a task that runs are its thread's."""
    out: list[FrameType] = []
    at = task.get_coro()
    while at is not None and len(out) < 1000:
        frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None) or getattr(at, "ag_frame", None)
        if frame is None:
            break
        out.append(frame)
        at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None) or getattr(at, "ag_await", None)
    return out[::-1]


def is_running(task: Any) -> bool:
    """Whether its coroutine runs at this moment, or blocks its loop."""
    at = task.get_coro()
    return bool(getattr(at, "cr_running", False) or getattr(at, "gi_running", False))


def reason(task: Any, frames: list[FrameType]) -> Reason:
    """What it waits for."""
    trailing = []
    for frame in frames:
        if not is_library(frame.f_code):
            break
        trailing.append(frame)
    told = [frame for frame in trailing if frame.f_code.co_qualname not in _PASSED]
    if found := by_frames(told):
        return found
    awaited = getattr(task, "_fut_waiter", None)
    asyncio = sys.modules["asyncio"]
    if isinstance(awaited, asyncio.Task):
        return FUTURE, f"task {awaited.get_name()}"
    if awaited is None:
        return FUTURE, "its turn"
    return FUTURE, "a future"


def doing(task: Any, frames: list[FrameType]) -> Row:
    """What the task does, as it is shown, in the words of threads.Standing.doing."""
    if not frames:
        return {"state": "unknown", "text": "unknown"}
    begun = frames[-1].f_lasti >= 0
    kind, text = reason(task, frames) if begun else (FUTURE, "its turn; it has not begun")
    at = next((frame for frame in frames if is_program(frame.f_code)), frames[0])
    what = seen.doing(at)
    out: Row = {"state": "waits", "waits_for": kind, "text": f"awaits {text}" + (f": {what}" if what else ""), **row(at, words=False)}
    return out | ({"code": what} if what else {})


def shown(task: Any, frames: list[FrameType], does: Row) -> Row:
    """The task as it is shown; its frames with the innermost first, as those of a thread."""
    coroutine = getattr(task.get_coro(), "__qualname__", "")
    out: Row = {"name": str(task.get_name())[:200], "coroutine": str(coroutine)[:200], "doing": does}
    out["frames"] = [row(frame) for frame in frames[:DEEPEST]]
    return out
