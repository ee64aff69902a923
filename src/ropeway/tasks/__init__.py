"""Tasks: functions that can be put as jobs. What is not registered does not run; nothing is imported by a name that a job carries."""

from __future__ import annotations

from .batched import BatchOptions, BatchTask, DecorateBatch
from .context import TaskClaim, current_claim
from .putting import Put
from .registry import Decorate, Tasks
from .task import CallOptions, Chosen, Handles, Task, TaskOptions

__all__ = [
    "BatchOptions",
    "BatchTask",
    "CallOptions",
    "Chosen",
    "Decorate",
    "DecorateBatch",
    "Handles",
    "Put",
    "Task",
    "TaskClaim",
    "TaskOptions",
    "Tasks",
    "current_claim",
]
