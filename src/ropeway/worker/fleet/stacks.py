"""Where everything stands in this process: the stack of every thread, and of every asyncio task, as text."""

from __future__ import annotations

import sys
import threading
import traceback
from types import FrameType
from typing import Any

LIMIT = 200_000  # characters in all
DEEPEST = 40  # frames of one stack


def stacks() -> str:
    """The text. Nothing is stopped for it: a frame may have moved on while it was read."""
    names = {thread.ident: thread for thread in threading.enumerate()}
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):  # noqa: SLF001 - there is no other way to see another thread's frames
        if ident == threading.get_ident():
            continue  # this very walk
        thread = names.get(ident)
        name = f"{thread.name}{', daemon' if thread.daemon else ''}" if thread else f"{ident}, not of threading"
        parts.append(f"thread {name}\n{_text(frame)}")
    parts += [f"task {_title(task)}\n{_task_text(task)}" for task in _tasks()]
    text = "\n".join(parts)
    return text if len(text) <= LIMIT else text[:LIMIT] + "\n... cut here"


def _text(frame: FrameType | None) -> str:
    return "".join(traceback.format_stack(frame)[-DEEPEST:]) if frame is not None else "  no frame\n"


def _tasks() -> list[Any]:
    """The tasks of all loops that have not ended. Found by the collector's list, since asyncio tells of one loop at a time only."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    import gc

    found = []
    for thing in gc.get_objects():
        try:
            if isinstance(thing, asyncio.Task) and not thing.done():
                found.append(thing)
        except ReferenceError:
            continue  # a weak proxy whose object is gone
    return sorted(found, key=lambda task: str(task.get_name()))


def _title(task: Any) -> str:
    coroutine = getattr(task.get_coro(), "__qualname__", "")
    return f"{task.get_name()}, {coroutine}"[:200]


def _task_text(task: Any) -> str:
    try:
        frames = task.get_stack(limit=DEEPEST)
    except RuntimeError:  # it moves on while we look
        return "  it runs\n"
    return "".join("".join(traceback.format_stack(frame, 1)) for frame in frames) or "  no frame\n"
