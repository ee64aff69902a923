"""What stands where on the page: its files, the views as JSON, the numbers, the flame, and output and logs as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from time import monotonic
from typing import Any

from ..failure import one_line
from ..names import shown
from ..sight import views
from ..sight.flame import picture
from ..sight.secrets import censored
from .gate import Gate
from .numbers import prometheus
from .requests import PAGE, Answer, Refused, Request

FOLLOWERS = 8  # of those that are answered at once: others are to get an answer too
EACH = 0.25  # seconds between two looks for those who follow
ALIVE = 10.0  # seconds after which one that has heard nothing is told that we live
KINDS = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


class Routes:
    """Answers requests, each in a thread of its own. `ended`: the page closes."""

    def __init__(self, gate: Gate, ended: threading.Event) -> None:
        self._gate = gate
        self._ended = ended
        self._followers = threading.BoundedSemaphore(FOLLOWERS)
        self._files = _files()

    def __call__(self, request: Request) -> Answer:
        """The answer. Raises Refused."""
        path, in_path = self._gate.let_in(request)
        try:
            return self._answer(request, path, in_path)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever cannot be looked at, the program goes on, and so does the page
            raise Refused(500, f"this view could not be made: {censored(one_line(error))}") from None

    def _answer(self, request: Request, path: tuple[str, ...], in_path: bool) -> Answer:
        if not path:
            if in_path and not request.slash:
                return Answer(b"", "text/plain", 303, headers=(f"Location: /{request.path[0]}/",))
            return self._file("index.html")
        if path[0] == "page" and len(path) == 2:
            return self._file(path[1])
        if len(path) == 1:
            name, _, kind = path[0].rpartition(".")
            if path[0] == "metrics":
                return Answer(prometheus(), "text/plain; version=0.0.4; charset=utf-8")
            if path[0] == "flame.svg":
                return Answer(picture(views.flame(idle="idle" in request.query)).encode(), "image/svg+xml")
            if kind == "json" and name in views.VIEWS:
                return self._view(name, request)
        raise Refused(
            404, f"there is nothing at {shown('/'.join(path))}; there are: {' '.join(f'{one}.json' for one in views.VIEWS)} metrics"
        )

    def _view(self, name: str, request: Request) -> Answer:
        if "follow" in request.query and name in ("output", "logs"):
            return self._follow(_output if name == "output" else _logs)
        if name == "flame" and "idle" in request.query:
            return Answer(views.encode(views.flame(idle=True)))
        return Answer(views.as_json(name))

    def _file(self, name: str) -> Answer:
        if name not in self._files:
            raise Refused(404, "the page has no such file")
        return Answer(self._files[name], KINDS[name.rpartition(".")[2]], policy=PAGE)

    def _follow(self, look: Callable[[dict[str, int]], list[dict[str, Any]]]) -> Answer:
        if not self._followers.acquire(blocking=False):
            raise Refused(503, f"{FOLLOWERS} follow this process already; nothing was shown. Ask without ?follow")

        def parts() -> Iterator[bytes]:
            seen: dict[str, int] = {}
            said = monotonic()
            try:
                yield b": here\n\n"
                while not self._ended.is_set():
                    for row in look(seen):
                        said = monotonic()
                        yield b"data: " + views.encode(row) + b"\n\n"
                    if monotonic() - said > ALIVE:
                        said = monotonic()
                        yield b": alive\n\n"
                    self._ended.wait(EACH)
            finally:
                self._followers.release()

        return Answer(parts(), "text/event-stream; charset=utf-8")


def _output(seen: dict[str, int]) -> list[dict[str, Any]]:
    """The lines that are new: {"stream", "line", "n"}."""
    shown = views.output(seen)
    out = []
    for stream in views.STREAMS:
        told = shown[stream]
        out += [{"stream": stream, "n": told["first"] + number, "line": line} for number, line in enumerate(told["lines"])]
        seen[stream] = told["next"]
    return out


def _logs(seen: dict[str, int]) -> list[dict[str, Any]]:
    shown = views.logs(seen.get("logs", 0))
    seen["logs"] = shown["next"]
    records: list[dict[str, Any]] = shown["records"]
    return records


def _files() -> dict[str, bytes]:
    """The page's files: the style and the modules that the dashboard has too, and its own."""
    out = {}
    for folder in (files("ropeway") / "server" / "page", files("ropeway") / "introspection" / "files"):
        for file in folder.iterdir():
            if file.name.rpartition(".")[2] in KINDS:
                out[file.name] = file.read_bytes()
    return out
