"""A shell job: a job whose body is a command line, with its directory, its environment and what becomes of a failure.

    {"argv": ["make", "-j4"], "cwd": "/srv/shop", "env": {"PATH": "/usr/bin:/bin"}, "whole": true, "umask": 18}

Text that is not UTF-8 stands as {"base64": "..."}. With `whole`, `env` is the command's whole environment; else it is laid over that of the
worker. The content type says what the job is; who may put such a job runs commands wherever a worker takes them.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from ..durations import LONGEST
from ..errors import BadBody
from ..job import State
from ..store import Entry

CONTENT_TYPE = "application/vnd.ropeway.command+json"
LABEL = "ropeway-label"  # the header with the name that its owner gave it
TAKES = "ropeway-takes"  # and how many slots of its worker it takes, if more than one
MOST_TAKES = 1000
MOST_RETRIES = 1_000_000

SKIPPED = "never started: "  # how the error of one begins that was given up because of another
_NAME = re.compile(r"[^=\0]{1,256}\Z").match
_EXIT = re.compile(r"exit ([0-9]{1,3})\b", re.ASCII).match
_SIGNAL = re.compile(r"killed by signal ([0-9]{1,3})\b", re.ASCII).match


class Raw(Struct):
    """Bytes that are no UTF-8."""

    base64: str


Word = str | Raw


class Command(Struct, omit_defaults=True):
    """What is run. `retries`: runs in all; `timeout` in seconds, 0 is none. `apart`: what it says on standard error is kept apart."""

    argv: list[Word]
    cwd: Word = ""
    env: dict[str, Word] = {}
    whole: bool = False
    umask: int = -1
    retries: int = 1
    timeout: float = 0.0
    apart: bool = False


_decode = msgspec.json.Decoder(Command).decode


def word(data: bytes) -> Word:
    """Bytes as they stand in a body."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Raw(b64encode(data).decode())


def bytes_of(given: Word) -> bytes:
    """The bytes again. Raises BadBody for what are none."""
    try:
        return given.encode() if isinstance(given, str) else b64decode(given.base64, validate=True)
    except ValueError:  # also half a surrogate pair
        raise BadBody("a word of the command line is neither text nor base64; nothing was run") from None


def pack(command: Command) -> bytes:
    """The body of its job. Raises BadBody for a command that cannot be one."""
    _check(command)
    return msgspec.json.encode(command)


def unpack(body: bytes) -> Command:
    """The command in a body, which may be hostile. Raises BadBody."""
    try:
        command = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadBody(f"this is no command line: {error}; nothing was run") from None
    _check(command)
    return command


def _check(command: Command) -> None:
    words = [bytes_of(given) for given in (*command.argv, command.cwd, *command.env.values())]
    if not words or not command.argv or not words[0]:
        raise BadBody("there is no command to run; nothing was run")
    if any(b"\0" in data for data in words):
        raise BadBody("a command line cannot hold a NUL byte; nothing was run")
    if (cwd := bytes_of(command.cwd)) and not cwd.startswith(b"/"):
        raise BadBody("the directory of a command must be an absolute path; nothing was run")
    if not all(_NAME(name) for name in command.env):
        raise BadBody("the name of a variable holds no = and no NUL, and is not empty; nothing was run")
    if not (1 <= command.retries <= MOST_RETRIES and 0 <= command.timeout <= LONGEST and -1 <= command.umask <= 0o777):
        raise BadBody("retries are a number from 1, a timeout is seconds up to 100 years, a umask is 0 to 0777; nothing was run")


def shown(argv: Iterable[Word]) -> str:
    """The command line as a person would type it."""
    from shlex import quote

    return " ".join(quote(bytes_of(given).decode("utf-8", "backslashreplace")) for given in argv)


def line_of(body: bytes) -> str:
    """The command line in a body, for a list; nothing for a body that holds none."""
    try:
        return shown(unpack(body).argv)
    except BadBody:
        return ""


def folder_of(body: bytes) -> str:
    """The directory that it names; nothing for a body that is no command."""
    try:
        return bytes_of(unpack(body).cwd).decode("utf-8", "backslashreplace") or "/"
    except BadBody:
        return ""


def is_apart(body: bytes) -> bool:
    """Whether its standard error is kept apart."""
    try:
        return unpack(body).apart
    except BadBody:
        return False


def names_of(body: bytes) -> list[str]:
    """The names of the variables that it brings."""
    try:
        return sorted(unpack(body).env)
    except BadBody:
        return []


def code_of(entry: Entry) -> int | None:
    """The exit code of a shell job that has ended: its command's own, 128 and the signal's number, 124 for its timeout. None for one that
    goes on, or ended without having been run."""
    if entry.state is State.DONE:
        return 0
    if entry.state is not State.DEAD:
        return None
    if found := _EXIT(entry.error):
        return int(found[1])
    if found := _SIGNAL(entry.error):
        return 128 + int(found[1])
    return 124 if entry.error.startswith("timed out") else None
