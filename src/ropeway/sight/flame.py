"""The flame of the last minute: where the threads of this process were, ten times a second, and the picture of it.

What is counted is stacks, by second, so that the last minute can be told at any time and memory is bounded. Threads that only wait are
counted apart: the picture shows those that work, unless all are asked for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from .threads import PRIVATE

EACH = 0.1  # seconds between two samples
SPAN = 60  # seconds that are kept
DEEPEST = 64
MOST_STACKS = 500  # different ones in a second
MOST_THREADS = 64

Stack = tuple[CodeType | str, ...]
_IDLE = frozenset(
    {
        *("Condition.wait", "Event.wait", "Thread.join", "Thread._wait_for_tstate_lock", "EpollSelector.select", "PollSelector.select"),
        *(
            "SelectSelector.select",
            "Queue.get",
            "_worker",
            "socket.accept",
            "Popen._try_wait",
            "SocketIO.readinto",
            "_PollLikeSelector.select",
        ),
        *("Hand.wait", "Bell.wait", "in_thread", "SleepingPlace.wait", "Signals._listen", "Outlet._run", "Lifeline._run", "Clerk._run"),
    }
)


# A stack by thread and the ids of its codes: hashing a code itself takes a microsecond, and that ten times a stack. What was seen holds the
# codes, so that no id stands for another.
_Key = tuple[str | int, ...]


class _Seen:
    __slots__ = ("count", "stack", "waits")

    def __init__(self, waits: bool, stack: Stack) -> None:
        self.waits = waits
        self.stack = stack
        self.count = 1


class Flame:
    """Samples, in a thread of its own, from `start` until `stop`."""

    def __init__(self, each: float = EACH) -> None:
        self._each = each
        self._seconds: deque[tuple[int, dict[_Key, _Seen]]] = deque(maxlen=SPAN)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"{PRIVATE}-flame", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._ended.wait(self._each):
            self.sample(int(time.monotonic()))

    def sample(self, second: int) -> None:
        """Count where the threads stand now."""
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, {}))
        counts = self._seconds[-1][1]
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        frames = sys._current_frames()  # noqa: SLF001 - there is no other way to see another thread's frames
        for ident, frame in list(frames.items())[:MOST_THREADS]:
            name = names.get(ident, "?")
            if name.startswith(PRIVATE):
                continue
            stack = _stack(frame)
            key: _Key = (name, *map(id, stack))
            if (seen := counts.get(key)) is not None:
                seen.count += 1
            elif len(counts) < MOST_STACKS:
                counts[key] = _Seen(frame.f_code.co_qualname in _IDLE, (name, *stack[::-1]))
        del frames

    def shown(self, *, idle: bool = False) -> dict[str, Any]:
        """The tree of the last minute: name, value (samples), children; where nothing was sampled, an empty one."""
        now = int(time.monotonic())
        root: dict[str, Any] = {"name": "all", "value": 0, "children": {}}
        samples = waiting = 0
        for second, counts in list(self._seconds):
            if second <= now - SPAN:
                continue
            for seen in list(counts.values()):
                samples += seen.count
                waiting += seen.count if seen.waits else 0
                if idle or not seen.waits:
                    _add(root, seen.stack, seen.count)
        return {"each": self._each, "span": SPAN, "samples": samples, "waiting": waiting, "idle": idle, "tree": _ordered(root)}


def _stack(frame: FrameType | None) -> list[CodeType]:
    """The functions, the innermost first; of a deep stack those next to its root."""
    codes = []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    return codes[-DEEPEST:]


def _add(node: dict[str, Any], stack: Stack, count: int) -> None:
    node["value"] += count
    for code in stack:
        children = node["children"]
        if code not in children:
            if isinstance(code, str):
                children[code] = {"name": f"thread {code}", "value": 0, "children": {}}
            else:
                where = f"{code.co_filename}:{code.co_firstlineno}"
                children[code] = {"name": code.co_qualname, "file": where, "value": 0, "children": {}}
        node = children[code]
        node["value"] += count


def _ordered(node: dict[str, Any]) -> dict[str, Any]:
    children = sorted((_ordered(child) for child in node["children"].values()), key=lambda child: -child["value"])
    return {**{name: value for name, value in node.items() if name != "children"}, "children": children}


_WIDTH, _ROW, _LEAST = 1200, 18, 0.5


def picture(shown: dict[str, Any]) -> str:
    """The flame as SVG, drawn by hand: the root at the bottom, each box as wide as its share."""
    tree = shown["tree"]
    boxes = list(_boxes(tree, 0.0, float(_WIDTH), 0)) if tree["value"] else []
    depth = max((level for *_, level in boxes), default=0) + 1
    height = depth * _ROW + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="monospace" font-size="11">']
    title = f"{tree['value']} samples of {shown['samples']} in {shown['span']} s" + (
        "" if shown["idle"] else ", threads that wait left out"
    )
    out.append(f'<text x="4" y="14">{title}</text>')
    for node, left, width, level in boxes:
        top = height - (level + 1) * _ROW
        share = 100 * node["value"] / tree["value"]
        label = f"{node['name']} {share:.1f} %"
        words = _escaped(label if len(label) * 6.7 < width else node["name"][: max(0, int(width / 6.7) - 1)])
        more = f" ({node['file']})" if "file" in node else ""
        out.append(
            f"<g><title>{_escaped(label + more)}</title>"
            f'<rect x="{left:.1f}" y="{top}" width="{max(0.3, width - 0.5):.1f}" height="{_ROW - 1}" '
            f'fill="{_colour(node["name"])}"/>' + (f'<text x="{left + 3:.1f}" y="{top + 13}">{words}</text>' if width > 20 else "") + "</g>"
        )
    return "\n".join([*out, "</svg>", ""])


def _boxes(node: dict[str, Any], left: float, width: float, level: int) -> Iterator[tuple[dict[str, Any], float, float, int]]:
    yield node, left, width, level
    for child in node["children"]:
        part = width * child["value"] / node["value"]
        if part >= _LEAST:
            yield from _boxes(child, left, part, level + 1)
        left += part


def _colour(name: str) -> str:
    return f"hsl({20 + sum(name.encode('utf-8', 'replace')) % 35},75%,{62 + len(name) % 12}%)"


def _escaped(text: str) -> str:
    from html import escape

    return escape("".join(c if c.isprintable() else "?" for c in text))
