"""How a situation is planted: a job, the code that must decide, and what its text and its way out must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ropeway.job import State
from ropeway.store import Query
from ropeway.worker.usher import Usher
from worker.fleet.conftest import Manned

from .stage import Stage


class Planted(NamedTuple):
    """What a situation expects. `also`: codes that must be named too, behind the first."""

    job: str
    text: tuple[str, ...] = ()
    unblock: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    queue: str | None = None


SITUATIONS: dict[str, tuple[str, Callable[[Stage], Planted], bool]] = {}  # name: (code, how it is planted, whether time must pass in it)

Plant = Callable[[Stage], Planted]


def situation(code: str, *, timeless: bool = False) -> Callable[[Plant], Plant]:
    """One of them. `timeless`: no time has to pass in it, so every engine can carry it on its own clock."""

    def keep(plant: Plant) -> Plant:
        SITUATIONS[plant.__name__] = (code, plant, timeless)
        return plant

    return keep


def ushered(stage: Stage, worker: Manned, *, commands: bool = False, others: bool = True) -> Manned:
    """A worker that looks at what may start, as whole workers do; its note says for what it is."""
    worker.ferry.usher = Usher(worker.shift, worker.journal, worker.pool.judge, commands=commands, others=others)
    worker.post._presence.touch()
    worker.post.beat()
    return worker


def state_of(stage: Stage, job: str) -> State | None:
    """Where the job stands, by the store itself."""
    found = stage.store.browse(Query(ids=(job,)))
    return found[0].state if found else None
