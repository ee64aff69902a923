"""Where the pages of this user's processes are: a file for each in the state folder, by pid, which the command line finds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ..config import state_folder
from ..living import is_dead

LARGEST = 1 << 16


class Place(Struct, omit_defaults=True):
    """How to reach the page of one process. `who` tells it from all others of its pid; `url` leads to the page, with its token; or `path`
    is its socket. `signal`: sending this has the process write its stacks into `stacks`, whatever it is stuck in."""

    pid: int
    who: str
    url: str = ""
    path: str = ""
    signal: int = 0
    stacks: str = ""
    title: str = ""


def folder() -> str:
    """Where the files are, for this user alone. Raises OSError."""
    path = f"{state_folder()}/processes"
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.stat(path)
    if found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)
    return path


def announce(place: Place) -> str:
    """Make it known; the path of its file. Raises OSError."""
    path = f"{folder()}/{place.pid}.json"
    fresh = f"{path}.{os.urandom(4).hex()}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as file:
        file.write(msgspec.json.encode(place))
    os.rename(fresh, path)
    return path


def withdraw(path: str) -> None:
    """It is no longer there."""
    try:
        os.unlink(path)
    except OSError:
        pass


def find(pid: int) -> Place | None:
    """The page of that process, if it lives and has one."""
    try:
        return _read(f"{folder()}/{pid}.json")
    except OSError:
        return None


def all_of() -> Iterator[Place]:
    """Those of all processes that live. What dead ones have left is cleared away."""
    try:
        root = folder()
        names = os.listdir(root)
    except OSError:
        return
    for name in sorted(names):
        if name.endswith(".json") and (place := _read(f"{root}/{name}")) is not None:
            yield place


def _read(path: str) -> Place | None:
    try:
        with open(path, "rb") as file:
            place = msgspec.json.decode(file.read(LARGEST), type=Place)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if is_dead(place.who):
        withdraw(path)
        for left in (place.stacks, place.path):
            if left.startswith(os.path.dirname(path)):
                withdraw(left)
        return None
    return place
