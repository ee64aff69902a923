"""One look at the whole process: its threads, its tasks, and how they belong together. What the views of stacks and jobs are made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import tasks as of_tasks
from . import threads as of_threads
from .frames import Row
from .threads import MOMENT, Standing

MOST_TASKS = 500


class Whole:
    """What was seen. A task that runs blocks its loop, or works in it: then it does what its thread does."""

    def __init__(self, moment: float = MOMENT) -> None:
        self.at = time.time()
        self.threads: list[Standing] = of_threads.look(moment)
        self._by_ident = {one.ident: one for one in self.threads}
        self._by_frame: dict[int, Standing] = {id(frame): one for one in self.threads for frame in one.frames}
        found = of_tasks.living()
        self.left_out = max(0, len(found) - MOST_TASKS)
        self._tasks = [(task, of_tasks.chain(task)) for task in found[:MOST_TASKS]]

    def thread(self, ident: int) -> Row:
        """What that thread does."""
        standing = self._by_ident.get(ident)
        return standing.doing() | {"thread": standing.name} if standing is not None else {"state": "unknown", "text": "its thread is gone"}

    def task(self, task: Any) -> Row:
        """What that task does."""
        frames = of_tasks.chain(task)
        standing = self._carrier(task, frames)
        does = of_tasks.doing(task, frames) if standing is None else standing.doing() | {"thread": standing.name}
        return does | {"task": str(task.get_name())[:200]}

    def find(self, wanted: Callable[[FrameType], bool]) -> list[tuple[Standing, FrameType]]:
        """In each thread the innermost frame that is wanted."""
        out = []
        for one in self.threads:
            frame = next((frame for frame in one.frames if wanted(frame)), None)
            if frame is not None:
                out.append((one, frame))
        return out

    def shown(self) -> Row:
        """All stacks, as they are shown."""
        out: Row = {"at": self.at, "threads": [one.shown() for one in sorted(self.threads, key=_rank)]}
        out["tasks"] = [of_tasks.shown(task, frames, self.task(task)) for task, frames in self._tasks]
        if self.left_out:
            out["tasks_left_out"] = self.left_out
        return out

    def _carrier(self, task: Any, frames: list[FrameType]) -> Standing | None:
        """The thread that a task runs in at this moment."""
        if not of_tasks.is_running(task):
            return None
        return next((self._by_frame[id(frame)] for frame in frames if id(frame) in self._by_frame), None)


def _rank(one: Standing) -> tuple[bool, bool, str]:
    """The main thread first, ropeway's own last."""
    return one.name != "MainThread", one.name.startswith("ropeway-") and not one.name.startswith("ropeway-slot"), one.name


def text(shown: Row) -> str:
    """Stacks as text, from what `shown` made, here or elsewhere."""
    parts = [f"thread {one['name']}{', daemon' if one.get('daemon') else ''}{_does(one)}" for one in shown.get("threads", ())]
    parts += [f"task {one['name']}, {one['coroutine']}{_does(one)}" for one in shown.get("tasks", ())]
    for child in shown.get("children", ()):
        head = f"process {child.get('pid')} of the pool"
        inner = text(child["stacks"]) if isinstance(child.get("stacks"), dict) else str(child.get("error", "")) + "\n"
        parts.append(f"{head}\n" + "".join(f"  {line}\n" for line in inner.splitlines()))
    return "\n".join(parts)


def _does(one: Row) -> str:
    return f": {one['doing'].get('text', '')}\n{_frames(one)}"


def _frames(one: Row) -> str:
    lines = []
    for frame in reversed(one.get("frames", ())):
        lines.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}\n')
        if frame.get("code"):
            lines.append(f"    {frame['code']}\n")
    return "".join(lines)
