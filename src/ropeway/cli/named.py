"""What the commands with actions (`group`, `schedule`) have alike: options that an action does not know, and things that go by names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .verdict import NOTHING, USAGE, Failure

T = TypeVar("T")


class Named:
    """The things of one command: `what` is the command's name, and what one of them is called."""

    def __init__(self, what: str) -> None:
        self._what = what

    def only(self, options: Mapping[str, Any], action: str, *allowed: str) -> None:
        """Refuse options that mean nothing to this action."""
        for name, value in options.items():
            if value and name not in allowed:
                shown = {"headers": "header"}.get(name, name.replace("_", "-"))
                raise Failure(
                    USAGE, f"--{shown} means nothing to {self._what} {action}; nothing was done. See: ropeway {self._what} --help"
                )

    def all_of(self, names: Iterable[str], get: Callable[[str], T | None]) -> list[T]:
        """Each of these once, or Failure for one that is not there, or when none is named."""
        wanted = dict.fromkeys(names)
        if not wanted:
            raise Failure(USAGE, f"which {self._what}? Give its name; nothing was done. See: ropeway {self._what} ls")
        return [self._found(name, get(name)) for name in wanted]

    def _found(self, name: str, found: T | None) -> T:
        if found is None:
            raise Failure(NOTHING, f"there is no {self._what} {name[:80]!r}; nothing was done. See: ropeway {self._what} ls")
        return found
