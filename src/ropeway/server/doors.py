"""The doors of the server: one table of method, path, role and handler. What is not in it does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from .grants import Grant, Role

Handler = Callable[["Call"], Awaitable[Response]]
Talker = Callable[["Talk"], Awaitable[None]]


class Passed(HTTPConnection):
    """What has passed the gate."""

    @property
    def grant(self) -> Grant:
        """What its bearer may do."""
        found: Grant = self.scope["ropeway.grant"]
        return found

    @property
    def queue(self) -> str:
        """The queue that its path names."""
        name: str = self.path_params["q"]
        return name

    @property
    def heads(self) -> dict[bytes, bytes]:
        """The headers as they came, the last of each name; read once."""
        known: dict[bytes, bytes] | None = self.scope.get("ropeway.heads")
        if known is None:
            known = self.scope["ropeway.heads"] = dict(self.scope["headers"])
        return known

    @property
    def still(self) -> Callable[[], bool]:
        """Of a door that lasts: whether the bearer may stay."""
        found: Callable[[], bool] = self.scope["ropeway.still"]
        return found

    def which(self, **what: object) -> None:
        """For the audit record: what the request is about, where its path does not say it."""
        self.scope["ropeway.which"] = {name: value for name, value in what.items() if value}

    def operates(self, **what: object) -> None:
        """For the audit record: this is an operator's act, though its door is not only for those."""
        self.scope["ropeway.operates"] = True
        self.which(**what)


class Call(Passed, Request):
    """A request that has passed the gate."""


class Talk(Passed, WebSocket):
    """A WebSocket that has passed the gate; not accepted yet. `whole` sends a message at once, where it can (sockets.Socket)."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.whole: Callable[[bytes], bool] = getattr(getattr(send, "__self__", None), "whole", lambda _: False)


SOCKET = "WEBSOCKET"  # the method of a door for upgrades


class Door(NamedTuple):
    """One way in. A path with `{q}` asks for the role on that queue, any other for the role on some queue. `role` None: for anyone who is
    let in at all. `open`: without any token, for those who only ask whether the server lives."""

    method: str
    path: str
    role: Role | None
    handler: Handler | Talker
    open: bool = False
    says: str = ""  # one line for the description of the API
    changes: bool = True  # whether it changes anything: then it is recorded, and the Origin is looked at
    lasts: bool = False  # whether its answer goes on for as long as somebody reads

    @property
    def methods(self) -> tuple[str, ...]:
        """What it opens to. HEAD asks what GET would say, so it is not there where that would take a job along, or never end."""
        looks = self.method == "GET" and (self.open or not self.changes) and not self.lasts
        return ("GET", "HEAD") if looks else (self.method,)


REMEMBERED = 1000  # paths
LONG = 300  # characters of a path that is not worth it


class Table:
    """All doors, found by the words of their paths: what a request costs does not grow with the doors. A word that stands in a path as it
    is goes before a `{name}`, which is any word but an empty one."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self.doors = tuple(doors)
        self._root = _Node()
        self._found: dict[tuple[str, str], tuple[Door, dict[str, str]]] = {}  # paths that were asked for lately
        for door in self.doors:
            names, node = [], self._root
            for word in door.path.split("/")[1:]:
                if word.startswith("{"):
                    names.append(word[1:-1])
                    node.any = node = node.any or _Node()
                else:
                    node = node.words.setdefault(word, _Node())
            for method in door.methods:
                node.doors.setdefault(method, (door, tuple(names)))

    def find(self, scope: Scope) -> tuple[Door, dict[str, str]] | list[str]:
        """The door and what its path says; or the methods that this path knows, none when there is no such path."""
        method = SOCKET if scope["type"] == "websocket" else scope["method"]
        known: list[str] = []
        path, above = scope["path"], scope.get("root_path", "")
        if not above and (found := self._found.get((method, path))) is not None:
            return found[0], found[1].copy()
        if above and (path == above or path.startswith(f"{above}/")):
            path = path[len(above) :] or "/"  # mounted into another application
        if not path.startswith("/"):
            return known
        found = _walk(self._root, path.split("/"), 1, (), method, known)
        if found is not None and not above and len(path) < LONG:
            if len(self._found) >= REMEMBERED:
                self._found.clear()  # by the names of many queues, or by somebody who tries to fill it: all come again
            self._found[method, path] = found[0], found[1].copy()
        return found or known

    def __iter__(self) -> Iterator[Door]:
        return iter(self.doors)


class _Node:
    """What may follow here."""

    __slots__ = ("any", "doors", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.doors: dict[str, tuple[Door, tuple[str, ...]]] = {}


def _walk(
    node: _Node, words: list[str], at: int, values: tuple[str, ...], method: str, known: list[str]
) -> tuple[Door, dict[str, str]] | None:
    if at == len(words):
        if (found := node.doors.get(method)) is None:
            known += node.doors
            return None
        return found[0], dict(zip(found[1], values, strict=True))
    word = words[at]
    if (exact := node.words.get(word)) is not None:
        there = _walk(exact, words, at + 1, values, method, known)
        if there or known:
            return there  # a path that stands in the table as it is means nothing else, whatever the method
    if word and node.any is not None:
        return _walk(node.any, words, at + 1, (*values, word), method, known)
    return None
