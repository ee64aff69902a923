"""What the lanes and limits of the model leave room for: which of the ready jobs a claim may hand out now."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...store import ANY, Entry, Limits, Store
from ...stores.memory import MemoryStore
from ...stores.memory.space import Space


def space_of(model: Store) -> Space:
    """The jobs themselves: who has a place in a lane is nothing that a store tells."""
    assert isinstance(model, MemoryStore)
    return model._space  # noqa: SLF001


def limits_of(model: Store, queue: str) -> Limits:
    """What holds for the queue; ANY where nobody has said anything."""
    """The limits of a queue, those of none when it is not there."""
    found = space_of(model).queues.get(queue)
    return found.limits if found is not None else ANY


def left(model: Store, queue: str) -> int:
    """How many more of the queue may run."""
    limits = limits_of(model, queue)
    return limits.running - model.counts([queue])[queue].running if limits.running else 1 << 30


def holders(model: Store, queue: str, lane: str) -> set[str]:
    """The ids of those who have a place in the lane."""
    found = space_of(model).queues.get(queue)
    known = found.lanes.get(lane) if found is not None else None
    return set(known.holders) if known is not None else set()


def waiting_holders(model: Store, queue: str) -> bool:
    """Whether a job that does not run has a place in a lane."""
    space = space_of(model)
    found = space.queues.get(queue)
    ids = {job_id for lane in found.lanes.values() for job_id in lane.holders} if found is not None else set()
    return any(not space.rows[job_id].receipt or space.rows[job_id].receipt not in space.lent for job_id in ids)


def lendable(model: Store, queue: str, ready: Sequence[Entry], given: Collection[str] = (), *, any_next: bool = False) -> list[Entry]:
    """Those of the ready jobs, in order, whose lanes have a place for them. `any_next`: which of a lane's is next, the engine has said by
    what it has `given`; of a lane of which it gave none, the last."""
    width, kept = limits_of(model, queue).lane, {}
    for lane in {entry.job.lane for entry in ready} - {""}:
        holding = holders(model, queue, lane)
        free = max(0, width - len(holding))
        rest = [entry.job.id for entry in ready if entry.job.lane == lane and entry.job.id not in holding]
        if any_next:
            said = [job_id for job_id in rest if job_id in given][:free]
            others = [job_id for job_id in rest if job_id not in given]
            chosen = {*said, *others[len(others) - (free - len(said)) :]} if free > len(said) else {*said}
        else:
            chosen = {*rest[:free]}
        kept[lane] = chosen | holding
    return [entry for entry in ready if not entry.job.lane or entry.job.id in kept[entry.job.lane]]
