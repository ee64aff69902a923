"""The worker: takes jobs, runs them, settles what came of it. `Worker` is the entry, `CommandRunner` runs commands instead of tasks."""

from .command import CommandRunner
from .loop import Worker

__all__ = ["CommandRunner", "Worker"]
