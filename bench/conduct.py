"""Taking the samples: the processes of a measure started together, and asked for their slices in turn."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from . import environments
from .measures import Measure, Row
from .places import Place
from .systems import systems

HOME = Path(__file__).resolve().parent.parent
LONGEST = 300.0  # seconds, a slice; the first one, or preparing it, may take longer with a large backlog
PREPARING = 1200.0

Samples = dict[str, list[dict[str, Any]]]  # by row, what each slice answered


class Failed(Exception):
    """A side that did not answer."""


class Side:
    """One row's process. Whatever it starts is of its process group, and goes with it."""

    def __init__(self, row: Row, room: str) -> None:
        self.row, self.room = row, room
        peer = systems(row.spec["engine"])[row.spec["system"]].peer
        python = environments.interpreter(peer) if peer else sys.executable
        command = [python, "-m", "bench.sample", json.dumps(row.spec | {"place": room})]
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, start_new_session=True
        )
        self.taken = 0

    def ready(self) -> None:
        if self._line(PREPARING) != "ready":
            raise Failed(self._last_words())

    def slice(self) -> dict[str, Any]:
        """Ask for one."""
        asked: IO[str] | None = self._process.stdin
        assert asked is not None
        try:
            asked.write("go\n")
            asked.flush()
        except BrokenPipeError:
            raise Failed(self._last_words()) from None
        self.taken += 1
        answer: dict[str, Any] = json.loads(self._line(LONGEST if self.taken > 1 else PREPARING))
        return answer

    def _line(self, timeout: float) -> str:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if not selector.select(timeout):
                raise Failed(f"no answer within {timeout:.0f} s")
        line = out.readline().strip()
        if not line:
            raise Failed(self._last_words())
        return line

    def _last_words(self) -> str:
        self._errors.seek(0)
        return (self._errors.read().strip().splitlines() or ["no word"])[-1][:300]

    def close(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            try:
                assert pipe is not None
                pipe.close()
            except BrokenPipeError:
                continue


def conduct(measure: Measure, place: Place, repeat: int, said: Callable[[str], None]) -> Samples:
    """`repeat` slices of each row, in turn. A row whose system is not there, or that fails, is left out, and that is said."""
    out: Samples = {}
    sides: list[Side] = []
    rooms: list[str] = []

    def drop(row: Row, error: Exception) -> None:
        out.pop(row.label, None)
        said(f"{measure.name}: {row.label} left out: {error}")

    try:
        for row in measure.rows:
            rooms.append(place.room(row.spec["durability"]))
            try:
                sides.append(Side(row, rooms[-1]))
            except environments.NotMade as error:
                drop(row, error)
        for number in range(-1, repeat):  # the first slice of each only warms it up
            for side in list(sides):
                try:
                    if number < 0:
                        side.ready()
                        out[side.row.label] = []
                        if side.row.spec["act"] in ("idle", "crowd", "call"):  # these begin afresh with each slice
                            continue
                    elif len(out[side.row.label]) >= side.row.at_most:
                        continue
                    if side.row.spec["act"] == "drain":
                        place.settled(side.room)
                    answer = side.slice()
                    if number >= 0:
                        out[side.row.label].append(answer)
                except Failed as error:
                    sides.remove(side)
                    side.close()
                    drop(side.row, error)
    finally:
        for side in sides:
            side.close()
        place.leave(rooms)
    return out
