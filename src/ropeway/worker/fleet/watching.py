"""Watching the program's source: when a Python file under a folder has changed, and then nothing for a moment, somebody is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

STILL = 0.3  # seconds without a change after a change
EACH = 1.0  # seconds between two looks, without watchfiles
PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})


class Watching:
    """A thread that calls `changed` with the paths; ends with `close`. By watchfiles where that is installed, else by looking at the
    files' times."""

    def __init__(self, folder: str, changed: Callable[[list[str]], object], *, native: bool | None = None) -> None:
        self._folder = folder
        self._changed = changed
        self._end = threading.Event()
        self.native = _has_watchfiles() if native is None else native
        self._thread = threading.Thread(target=self._watch if self.native else self._look, name="ropeway-reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(5.0)

    def _watch(self) -> None:
        from watchfiles import PythonFilter, watch

        for changes in watch(
            self._folder, watch_filter=PythonFilter(), debounce=int(5000 * STILL), step=int(1000 * STILL), stop_event=self._end,
            raise_interrupt=False,
        ):  # fmt: skip
            self._changed(sorted({path for _, path in changes}))

    def _look(self) -> None:
        before = times(self._folder)
        while not self._end.wait(EACH):
            now = times(self._folder)
            if now == before:
                continue
            changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
            while not self._end.wait(STILL) and (again := times(self._folder)) != now:
                now = again
            before = now
            self._changed(changed)


def times(folder: str) -> dict[str, int]:
    """When each Python file under the folder was last written; hidden folders and those of others are passed over."""
    out: dict[str, int] = {}
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in PASSED_OVER]
        for name in files:
            if name.endswith(".py"):
                path = f"{where}/{name}"
                try:
                    out[path] = os.stat(path).st_mtime_ns
                except OSError:
                    continue  # gone between the listing and the look
    return out


def _has_watchfiles() -> bool:
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None
