"""The verbs as the server knows them: Lua files put together from their parts, and commands made of them."""

from __future__ import annotations

from collections.abc import Callable
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
    """The script of that name, with the parts that it needs in front."""
    body = _text(name)
    first = body.partition("\n")[0]
    parts = first.removeprefix("-- needs:").split() if first.startswith("-- needs:") else []
    source = "\n".join([*(_text(part) for part in parts), body])
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _text(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Request(NamedTuple):
    """One command on its way: a script with its keys and arguments, or (without a script) plain words. `slot`: where in a cluster."""

    script: Script | None
    keys: tuple[bytes, ...]
    args: tuple[Argument, ...]
    slot: int = -1

    def packed(self, whole: bool = False) -> bytes:
        """As it goes over the wire. `whole`: with the script itself, for a server that does not have it yet."""
        if self.script is None:
            return _pack(self.args)
        if whole:
            return _pack(("EVAL", self.script.source, len(self.keys), *self.keys, *self.args))
        return _pack(("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args))
