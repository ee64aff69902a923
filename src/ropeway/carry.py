"""Carrying: all jobs of one store into another, as they stand, in order, in batches, in constant memory.

What the target could not keep is looked for before anything is done. A job is known by its id, so a carry that was killed is run again:
what is there is left as it stands. Nothing is changed in the source.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from .demands import lacking
from .errors import BadValue, Conflict, NotAllowed, StoreError, Unsupported
from .job import State
from .names import check_patterns, matching
from .source import copied
from .store import Counts, Entry, Feature, Query, Store

# What waits for its moment may become ready while we look, what is ready may be taken, what runs may end: so each is met at least once.
ORDER = (State.DELAYED, State.READY, State.RUNNING, State.DONE, State.DEAD)
_JOBS, _BYTES = 1000, 4 << 20  # of one batch, at most
_FIRST = 50  # jobs of the first page, before the size of the bodies is known
_SHOWN = 3
REDACTED = "ropeway-redacted"  # the header of a job that a server has shown without its secrets: that is not the job itself
_PROBE = 60.0  # seconds that the question whether both are one store stays, should nobody take it away

# What a job may need that a target may lack; a body that cannot be streamed is carried whole, if it is not too large.
_KEPT = frozenset({Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY})


class Carried(Struct):
    """What became of one queue. `jobs` were carried, or were there already; `refused` are not there, since live jobs of the target hold
    their keys (`ids` has the first of them); `running` were left out. `missing`: so many fewer than the source had in the end."""

    queue: str
    jobs: int = 0
    refused: int = 0
    running: int = 0
    missing: int = 0
    ids: list[str] = []


Told = Callable[[str, int], None]


def meant(store: Store, patterns: Sequence[str]) -> list[str]:
    """The queues of the store that the patterns mean. Without patterns all of them, ropeway's own too, which no glob means."""
    known = store.queues()
    if not patterns:
        return known
    some = patterns if any(not pattern.startswith("!") for pattern in patterns) else ("*", *patterns)
    there = set(known)
    return [name for name in matching(check_patterns(some), known) if name in there]


def jobs_of(store: Store, queues: Sequence[str], states: frozenset[State] | None = None) -> Iterator[Entry]:
    """All jobs of these queues, queue by queue, as pages whose size follows that of the bodies. One that moves on meanwhile may be met
    twice, in the state before and the one after."""
    for queue in queues:
        for state in ORDER:
            if states is None or state in states:
                yield from _pages(store, queue, state)


def _pages(store: Store, queue: str, state: State) -> Iterator[Entry]:
    limit, after = _FIRST, ""
    while page := store.browse(Query(queues=(queue,), states=frozenset({state}), limit=limit, after=after)):
        after = page[-1].cursor
        size = sum(len(entry.job.body) for entry in page) // len(page)
        if hidden := next((entry.job.id for entry in page if REDACTED in entry.job.headers), None):
            raise NotAllowed(f"the server hides what is in job {hidden}; it was not carried. Take a token that may do everything there")
        yield from page
        limit = max(1, min(_JOBS, _BYTES // max(1, size)))


def copy(
    source: Store, target: Store, queues: Sequence[str] | None = None, *, running: bool = False, told: Told | None = None
) -> list[Carried]:
    """Carry the jobs of these queues, or of all, from one store to the other: ids, priority, moments, attempts, deaths, history, headers,
    results and states, and the switches with their reasons, which are set first. The source is left as it is.

    `running`: also those that run now; in the target they wait, with the attempt counted, while they go on in the source. Without it a
    queue with running jobs is refused. `told` is called after each batch with the queue and how many of it there are by now.

    Raises Unsupported, saying what cannot be kept, BadValue for one store on both sides, and Conflict for jobs that run, before anything
    is done. Any other error may leave a part there: the same call may be repeated.
    """
    if same(source, target):
        raise BadValue(f"{source.url} and {target.url} are one store; nothing was copied")
    names = list(queues) if queues is not None else source.queues()
    before = source.counts(names) if names else {}
    busy = [name for name in names if before[name].running]
    if busy and not running:
        raise Conflict(
            f"{sum(before[name].running for name in busy)} jobs of {_some(busy)} are running, and would run in both stores; nothing was "
            "copied. Switch the queue off and wait for them, or say that they shall be copied too: they are copied as waiting"
        )
    _must_fit(source, target, names, before)
    for name in names:
        _switch(target, name, before[name])
    return [_queue(source, target, name, running, told) for name in names]


def same(source: Store, target: Store) -> bool:
    """Whether both are one and the same store, by whatever URL: a note that is left in the one shows in the other."""
    if source is target:
        return True
    if Feature.NOTES not in source.features or Feature.NOTES not in target.features:
        return source.url == target.url
    key = f"carry/{os.urandom(8).hex()}"
    target.notes.note(key, b"", _PROBE)
    try:
        return key in source.notes.notes("carry/")
    finally:
        target.notes.forget(key)


def _switch(target: Store, name: str, counts: Counts) -> None:
    if counts.put_stopped is not None:
        target.pause([name], put=True, reason=counts.put_stopped)
    if counts.claim_stopped is not None:
        target.pause([name], claim=True, reason=counts.claim_stopped)


# -- what the target can keep


def _must_fit(source: Store, target: Store, names: Sequence[str], before: dict[str, Counts]) -> None:
    """Unsupported when something could not be kept, with how many jobs that concerns. No job is looked at where all fits anyway."""
    off = [name for name in names if before[name].put_stopped is not None or before[name].claim_stopped is not None]
    if off and Feature.SWITCHES not in target.features:
        raise Unsupported(f"{_some(off)}: switched off, and {target.url} has no switches; nothing was copied. Resume first")
    small = target.max_body is not None and (source.max_body is None or source.max_body > target.max_body)
    if not small and not (source.features - target.features) & _KEPT:
        return
    found: dict[str, list[str]] = {}
    for entry in jobs_of(source, names):
        reasons = {f"no {name} for {what}": None for name, what in lacking(entry, target.features).items() if name in _KEPT}
        if target.max_body is not None and _size(entry) > target.max_body:
            reasons[f"no body over {target.max_body} bytes"] = None
        for reason in reasons:
            found.setdefault(reason, []).append(entry.job.id)
            found[reason][_SHOWN:] = [found[reason][-1]] if len(found[reason]) > _SHOWN else []
    if found:
        told = "; ".join(f"{reason}: {_some(ids)}" for reason, ids in found.items())
        raise Unsupported(f"{target.url} takes {told}; nothing was copied. Take another target, or other queues")


def _some(names: Sequence[str]) -> str:
    return " ".join(names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")


def _size(entry: Entry) -> int:
    return max(entry.job.size, len(entry.job.body))


# -- one queue


def _queue(source: Store, target: Store, name: str, running: bool, told: Told | None) -> Carried:
    out = Carried(name)
    for batch in _batches(source, name, running, out):
        answers = _bring(source, target, batch)
        out.jobs += answers.count(True)
        out.refused += answers.count(False)
        out.ids += [entry.job.id for entry, here in zip(batch, answers, strict=True) if here is False][: _SHOWN - len(out.ids)]
        if told is not None:
            told(name, out.jobs)
    there, here = target.counts([name])[name], source.counts([name])[name]  # in this order: what is forgotten meanwhile is no loss
    out.missing = max(0, _total(here) - out.refused - out.running - _total(there))
    return out


def _total(counts: Counts) -> int:
    return counts.ready + counts.delayed + counts.running + counts.dead + counts.done


def _batches(source: Store, name: str, running: bool, out: Carried) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in jobs_of(source, (name,)):
        if entry.state is State.RUNNING and not running:
            out.running += 1
            continue
        if entry.job.source is not None:
            if batch:
                yield batch
            yield [entry]
            batch, size = [], 0
            continue
        batch.append(entry)
        size += len(entry.job.body)
        if len(batch) >= _JOBS or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _bring(source: Store, target: Store, batch: list[Entry]) -> list[bool | None]:
    """Bring a batch; a job with a body beside it comes alone. None: it has left the source while its body was read."""
    try:
        return [*target.bring([_whole(entry, target) for entry in batch] if batch[0].job.source is not None else batch)]
    except (OSError, StoreError):
        one = batch[0].job
        if one.source is None or source.browse(Query(queues=(one.queue,), ids=(one.id,))):
            raise
        return [None]


def _whole(entry: Entry, target: Store) -> Entry:
    """The entry with its body as the target can take it: streamed, or all of it at once."""
    job = entry.job
    if Feature.STREAM in target.features:
        return replace(entry, job=replace(job, source=copied(job.source)))
    return replace(entry, job=replace(job, body=job.source.read(), source=None, size=-1, digest=""))


def complaint(carried: Sequence[Carried]) -> str:
    """What did not go well, as a sentence; empty when all did."""
    parts = []
    if refused := [one for one in carried if one.refused]:
        ids = [job_id for one in refused for job_id in one.ids]
        parts.append(f"{sum(one.refused for one in refused)} jobs stayed out, since live jobs hold their keys ({_some(ids)})")
    if left := [one.queue for one in carried if one.running]:
        parts.append(f"jobs of {_some(left)} began to run meanwhile and were left out")
    if short := [one for one in carried if one.missing]:
        parts.append(
            f"{sum(one.missing for one in short)} jobs of {_some([one.queue for one in short])} are in the source and not in the target: "
            "they came meanwhile, or a worker took them there"
        )
    return "; ".join(parts)
