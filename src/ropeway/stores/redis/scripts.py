"""The verbs as the server knows them: Lua files put together from their parts, and commands made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple, cast

from hiredis import pack_command

Argument = bytes | str | int
_pack = cast("Callable[[tuple[Argument, ...]], bytes]", pack_command)


class Script(NamedTuple):
    """A script, and the name that the server gives it."""

    name: str
    source: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script of that name, put together."""
    source = "\n".join(_lines(_text(name)))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _lines(body: str) -> Iterator[str]:
    """The parts that it `needs` come first; others at the place of their line, behind what most calls end with, since a function costs when
    it is made; and what it needs `rarely` in one function that makes the named ones."""
    for line in body.splitlines():
        _, _, rest = line.partition(": ")
        if line.startswith(("-- needs: ", "-- parts: ")):
            yield from (_text(part) for part in rest.split())
        elif line.startswith("-- rarely: "):
            parts, _, names = rest.partition(": ")
            yield "local function rarely(now, boot, channel)"
            yield _text("words")
            yield from (_text(part) for part in parts.split())
            yield "return {" + ", ".join(f"{one} = {one}" for one in names.split()) + "}"
            yield "end"
        else:
            yield line


def _text(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Front(NamedTuple):
    """What every call of a script on the same keys begins with, packed once. `head`: the first arguments, the same for every script."""

    script: Script
    keys: tuple[bytes, ...]
    head: tuple[Argument, ...]
    data: bytes
    words: int


def front(script: Script, keys: tuple[bytes, ...], head: tuple[Argument, ...]) -> Front:
    """The front of that script on these keys, with these first arguments."""
    words = ("EVALSHA", script.sha, len(keys), *keys, *head)
    return Front(script, keys, head, _bare(_pack(words)), len(words))


class Request(NamedTuple):
    """One command on its way: a script with its arguments, or (without a front) plain words. `slot`: where in a cluster."""

    front: Front | None
    args: tuple[Argument, ...]
    slot: int = -1

    def packed(self, whole: bool = False) -> bytes:
        """As it goes over the wire. `whole`: with the script itself, for a server that does not have it yet."""
        front, args = self.front, self.args
        if front is None:
            return _pack(args)
        if whole:
            return _pack(("EVAL", front.script.source, len(front.keys), *front.keys, *front.head, *args))
        count = len(args)
        packed = _pack(args)
        return b"*%d\r\n%b%b" % (front.words + count, front.data, packed[4:] if count < 10 else _bare(packed))


def _bare(packed: bytes) -> bytes:
    """Without the line that says how many words there are."""
    return packed[packed.index(b"\n") + 1 :]
