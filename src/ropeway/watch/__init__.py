"""Files become jobs: one for each file that is finished, none for one that is being written, over restarts and kills."""

from .watcher import Watcher

__all__ = ["Watcher"]
