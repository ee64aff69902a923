"""A shared store whose server does what it is asked, and whose answer is lost: each rename, link, unlink and mkdir in turn is done, and
then answered with the error that a repeated request would get.

The scenario runs in this process, on a `Disk` that looks instead of trusting the error. With a bug planted, it trusts.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from ropeway.clock import SYSTEM
from ropeway.store import Store
from ropeway.stores.directory.disk import Disk
from ropeway.stores.directory.store import DirectoryStore
from ropeway.url import parse_url

from . import audit
from .forks import in_child
from .report import Outcome
from .scenario import Scenario
from .steps import Ground
from .told import Told

ANSWERS = {
    "rename": FileNotFoundError,
    "unlink": FileNotFoundError,
    "rmdir": FileNotFoundError,
    "link": FileExistsError,
    "mkdir": FileExistsError,
}


Lie = tuple[str, int]  # the n-th call of this name
NONE: Lie = ("", 0)


class Lying:
    """The os module, but the n-th call of one name is answered with an error after it was done. `made` has the names of all."""

    def __init__(self, lie: Lie = NONE) -> None:
        self.made: list[str] = []
        self.lied, self._lie = "", lie

    def __getattr__(self, name: str) -> Any:
        call = getattr(os, name)
        return self._doubtful(name, call) if name in ANSWERS else call

    def _doubtful(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def doubtful(*args: Any, **kwargs: Any) -> Any:
            self.made.append(name)
            mine = name, self.made.count(name)
            answer = call(*args, **kwargs)
            if mine == self._lie:
                self.lied = f"{name} {args[0]}"
                raise ANSWERS[name](2 if name != "link" else 17, "the reply was lost", args[0])
            return answer

        return doubtful


def _store(ground: Ground, lying: Lying, shared: bool) -> Store:
    url = parse_url(ground.url("durability=os&bell=off"), {"dir": frozenset({"mode"})})
    return cast("Store", DirectoryStore(url, SYSTEM, disk=Disk(shared, lying)))


def _walk(ground: Ground, lie: Lie, shared: bool, bug: str) -> tuple[list[str], str, list[str]]:
    if bug:
        from .planted import plant

        plant(bug)
    lying = Lying(lie)
    told = Told(_store(ground, lying, shared), ground.ledger, "walker")
    try:
        Scenario(told).run()
        wrong = [f"an answer was {text}" for text in told.errors]
    except OSError as error:
        wrong = [f"an error that is not ours came out: {error!r}"]
    return lying.made, lying.lied, wrong


def one_lie(above: Path, lie: Lie = NONE, shared: bool = True, bug: str = "") -> tuple[list[str], list[str]]:
    """The scenario with this one lie, in a child that dies at its end; the calls that it made, and what is wrong then."""
    ground = Ground(above, f"lie-{lie[0]}-{lie[1]}")
    made, lied, wrong = in_child(lambda: _walk(ground, lie, shared, bug))
    audit.tell_kill(ground.ledger, "walker")
    rest = audit.drain(_store(ground, Lying(), shared), ground.ledger, ground.store)
    wrong += audit.compare(ground.ledger, rest)
    ground.clear()
    return made, [f"{lied or 'nothing'} was done and denied: {text}" for text in wrong]


def sweep(above: Path, amount: int) -> tuple[int, list[str]]:
    """`amount` lies evenly spread, 0 for each call."""
    made, wrong = one_lie(above)
    every = lies(made)
    chosen = every[:: max(1, len(every) // amount) if amount else 1]
    for lie in chosen:
        wrong += one_lie(above, lie)[1]
    return len(chosen), wrong


def lies(made: list[str]) -> list[Lie]:
    """One for each call that was made; of many of one name on end, which only make room in a folder, the first will do."""
    out: list[Lie] = []
    counts: Counter[str] = Counter()
    for name, group in groupby(made):
        number = len([*group])
        out += [(name, counts[name] + n) for n in range(1, 2 if number > 50 else number + 1)]
        counts[name] += number
    return out


def run(amount: int) -> Outcome:
    """`amount` is how many lies are told, 0 for one at each call."""
    with tempfile.TemporaryDirectory(prefix="ropeway-replies-") as folder:
        count, wrong = sweep(Path(folder), amount)
    return Outcome("replies", f"{count} calls done and denied", wrong)
