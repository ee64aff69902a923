"""The durable groups of a store, and what is retained for those who come later: look, add, edit, replay, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from msgspec.structs import replace

from .aio import twin
from .census import census
from .durations import Duration, seconds
from .errors import BadValue, Conflict, Unsupported
from .group import (
    AT,
    LOOK,
    NEEDS,
    PAGE,
    QUEUE,
    RETAINED,
    Group,
    Record,
    Retention,
    Roll,
    check_group,
    check_retention,
    copy,
    entries,
    kind,
    look,
    read_record,
    record_job,
    retained,
)
from .job import State
from .link import Link
from .names import check_name, shown
from .store import Counts, Entry, Feature, Query, Store
from .topics import check_patterns

Patterns = str | Iterable[str]
K = TypeVar("K", Group, Retention)

_TRIES = 20
_DONE = frozenset({State.DONE})
_NOT_RUNNING = frozenset(State) - {State.RUNNING}


class Groups:
    """The groups of one connection's store. Raises Unsupported on an engine that cannot keep them, before anything is done."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def browse(self) -> list[Group]:
        """All groups, by name."""
        return [group for _, group in sorted(self._seen().groups.items())]

    def get(self, name: str) -> Group | None:
        """The group of that name, or None."""
        return self._seen().groups.get(check_name(name, "group"))

    def counts(self) -> dict[str, Counts]:
        """By group, how many of its messages stand where: `ready`, `delayed` and `running` are those that it has not handled yet."""
        groups = self.browse()
        found = self._store().counts([group.queue for group in groups]) if groups else {}
        return {group.name: found.get(group.queue) or Counts() for group in groups}

    def add(self, name: str, patterns: Patterns, *, keep: Duration | None = None, replay: Duration | None = None) -> Group:
        """Make a durable group: from when this answers, each message whose topic one of the patterns means goes into it, once, and stays
        until the group has handled it. `keep`: how long it stays after that, to be replayed. `replay`: it also gets what was published
        so lately and is retained.

        Raises Conflict when there is a group of that name, BadValue or BadName for what is none; nothing is done then.
        """
        group = self._added(self._made(name, patterns, keep))
        if replay is not None:
            self._fill(group, self._since(replay))
        return group

    def put(self, name: str, patterns: Patterns, *, keep: Duration | None = None) -> Group:
        """As `add`; where there is a group of that name, it is changed to be this one, and keeps its messages."""
        wanted = self._made(name, patterns, keep)
        try:
            return self._added(wanted)
        except Conflict:
            return self._edit(wanted, lambda old: replace(wanted, created=old.created))

    def edit(self, name: str, patterns: Patterns | None = None, *, keep: Duration | None = None) -> Group:
        """Change which topics a group means, or how long it keeps what it has handled: from the next publish on. What it has stays.
        Raises BadValue when there is no such group."""
        old = self.get(name)
        if old is None:
            raise _unknown(name)

        def change(old: Group) -> Group:
            new = replace(old, patterns=old.patterns if patterns is None else _listed(patterns))
            return check_group(new if keep is None else replace(new, keep=self._length(keep)))

        return self._edit(old, change)

    def delete(self, name: str) -> bool:
        """Remove the group with its messages, handled or not; what runs just now runs on. False when there was none. One that the code
        asks for comes back, empty, with the next worker that starts."""
        store, found = self._store(), False
        name = check_name(name, "group")
        while ids := [entry.job.id for entry in self._entries(Group) if _name(entry) == name]:
            store.delete(Query(queues=(QUEUE,), ids=tuple(ids), limit=None))
            found = True
        if found:
            self._changed()  # from here on nobody publishes to it
        queue = Group(name, ()).queue
        self._clear(name, queue)
        store.drop((queue,))
        return found

    def replay(self, name: str, since: Duration | None = None) -> int:
        """Have the group handle again what it has handled and still keeps, and what is retained of its topics: all of it, or what was
        published in the time `since`. How many messages. They come in the order in which they were published."""
        store, group = self._store(), self.get(name)
        if group is None:
            raise _unknown(name)
        limit, after, ids = self._since(since), "", list[str]()
        while page := store.browse(Query(queues=(group.queue,), states=_DONE, limit=PAGE, after=after)):
            ids += [entry.job.id for entry in page if _published(entry) >= limit]
            after = page[-1].cursor
        again = 0
        for at in range(0, len(ids), PAGE):
            again += store.requeue(Query(queues=(group.queue,), states=_DONE, ids=tuple(ids[at : at + PAGE]), limit=None))
        return again + self._fill(group, limit)

    # What is retained

    def retain(self, pattern: str, keep: Duration) -> Retention:
        """From now on keep the messages of the topics that the pattern means for that long, for listeners and groups that come later and
        ask for a replay. Where two patterns mean a topic, the longer time holds. Raises Unsupported where done jobs are not kept."""
        wanted = check_retention(Retention(pattern, self._length(keep), self._link.clock.now()))
        if not wanted.keep:
            raise BadValue("retain needs a time longer than none; nothing was done. To end it, use release")
        try:
            return self._added(wanted)
        except Conflict:
            return self._edit(wanted, lambda old: replace(wanted, created=old.created))

    def release(self, pattern: str) -> bool:
        """Retain these no longer: what is retained already stays until its time is over. False when that pattern was not retained."""
        store, found = self._store(), False
        while ids := [entry.job.id for entry in self._entries(Retention) if _name(entry) == pattern]:
            store.delete(Query(queues=(QUEUE,), ids=tuple(ids), limit=None))
            found = True
        if found:
            self._changed()
        return found

    def retained(self) -> list[Retention]:
        """The patterns whose messages are retained."""
        return [one for _, one in sorted(self._seen().retained.items())]

    def forget(self) -> int:
        """Remove all that is retained now, of all topics. How many messages."""
        return self._store().delete(Query(queues=(RETAINED,), states=_NOT_RUNNING, limit=None))

    abrowse = twin(browse)
    aget = twin(get)
    acounts = twin(counts)
    aadd = twin(add)
    aput = twin(put)
    aedit = twin(edit)
    adelete = twin(delete)
    areplay = twin(replay)
    aretain = twin(retain)
    arelease = twin(release)
    aretained = twin(retained)
    aforget = twin(forget)

    # What the code asks for

    def code(self, name: str, patterns: Sequence[str], keep: float | None = None) -> str:
        """Write down what the code asks for. What became of it: "added", "changed", "same", or "operator" when a group of that name was
        added by hand, which stays as it is.

        The code writes only when it says something else than it last wrote: so what an operator has edited stands until then.
        """
        wanted = replace(self._made(name, sorted(set(patterns)), keep or 0.0), source="code")
        wanted.code = _digest(wanted)
        old = self.get(name)
        if old is None:
            try:
                self._added(wanted)
                return "added"
            except Conflict:  # another worker that started at the same time
                old = self.get(name) or wanted
        if old.source != "code":
            return "operator"
        if old.code == wanted.code:
            return "same"
        self._edit(old, lambda old: replace(wanted, created=old.created) if old.source == "code" else old)
        return "changed"

    # The records

    def _store(self) -> Store:
        store = self._link.store
        if not store.features >= NEEDS:
            raise Unsupported(
                f"{store.url} keeps no durable groups: it lacks {', '.join(sorted(NEEDS - store.features))}; nothing was done. "
                "Use another engine, or listen"
            )
        return store

    def _seen(self) -> Roll:
        """What is there, and known to all who publish from now on."""
        self._store()
        return census(self._link).seen()

    def _changed(self) -> None:
        """Answer when all who publish from now on know what was changed."""
        census(self._link).changed()

    def _made(self, name: str, patterns: Patterns, keep: Duration | None) -> Group:
        return check_group(Group(name, _listed(patterns), self._length(keep or 0), self._link.clock.now()))

    def _length(self, keep: Duration) -> float:
        length = seconds(keep, "keep")
        if length and Feature.KEEP not in self._store().features:
            raise Unsupported(f"{self._link.store.url} keeps nothing that is done, so nothing can be replayed there; nothing was done")
        return length

    def _since(self, since: Duration | None) -> float:
        return 0.0 if since is None else self._link.clock.now() - seconds(since, "time")

    def _entries(self, what: type[Record]) -> list[Entry]:
        prefix = "group:" if what is Group else "retain:"
        return [entry for entry in entries(self._store()) if entry.job.key.startswith(prefix)]

    def _added(self, record: K) -> K:
        """Put the first generation. What lies in the queue of a group that is not there belongs to one that was deleted: it goes first."""
        store = self._store()
        taken = Conflict(f"there is a {_spoken(record)} already; nothing was added. Change it with edit or put", key=record.name)
        if self._last(record) is not None:
            self._seen()
            raise taken
        if isinstance(record, Group):
            self._clear(record.name, record.queue)
        job = record_job(record, self._link.new_id())
        if not store.put([job])[0]:
            self._seen()
            raise taken
        last = self._last(record)
        if last is not None and last.generation > record.generation:  # it was added, edited and cleaned up since we looked
            store.delete(Query(queues=(QUEUE,), ids=(job.id,), limit=None))
            self._seen()
            raise taken
        self._changed()
        return record

    def _edit(self, which: K, change: Callable[[K], K]) -> K:
        """Put the next generation. Whoever else does so at the same time is noticed by the key, which both want."""
        store = self._store()
        for _ in range(_TRIES):
            old = self._last(which)
            if old is None:
                raise _unknown(which.name)
            new = replace(change(old), generation=old.generation)
            if new == old:
                return old
            new = replace(new, generation=old.generation + 1)
            if store.put([record_job(new, self._link.new_id())])[0]:
                self._sweep(which)
                self._changed()
                return new
        raise Conflict(f"{_spoken(which)} is being changed by others all the time; nothing was done. Try again", key=which.name)

    def _last(self, which: K) -> K | None:
        roll: Roll = look(self._store())
        return (roll.groups if isinstance(which, Group) else roll.retained).get(which.name)  # type: ignore[return-value]

    def _sweep(self, which: Record) -> None:
        """Remove the generations that were followed long ago (group.py says why not at once)."""
        found = [(read_record(entry), entry) for entry in self._entries(type(which)) if _name(entry) == which.name]
        line = sorted(found, key=lambda pair: pair[0].generation)
        old = self._link.clock.now() - LOOK
        over = [entry.job.id for (_, entry), (_, next_one) in pairwise(line) if next_one.job.created < old]
        if over:
            self._store().delete(Query(queues=(QUEUE,), ids=tuple(over), limit=None))

    # The messages

    def _clear(self, name: str, queue: str) -> None:
        """Remove the messages of a group that is not there. Page by page: what was seen before the group was once more not to be seen has
        come for one that is gone, but what comes later may be for one that somebody is just adding."""
        store = self._store()
        while page := store.browse(Query(queues=(queue,), states=_NOT_RUNNING, limit=PAGE)):
            if name in look(store).groups:
                return
            if not store.delete(Query(queues=(queue,), ids=tuple(entry.job.id for entry in page), limit=None)):
                return

    def _fill(self, group: Group, since: float) -> int:
        """Bring what is retained into the group, except what it has. How many."""
        store, count = self._store(), 0
        messages = retained(store, group.patterns, since)
        for at in range(0, len(messages), PAGE):
            jobs = [copy(message, group) for message in messages[at : at + PAGE]]
            there = {entry.job.id for entry in store.browse(Query(queues=(group.queue,), ids=tuple(job.id for job in jobs), limit=None))}
            jobs = [job for job in jobs if job.id not in there]
            if jobs:
                store.put(jobs)
                count += len(jobs)
        return count


def _listed(patterns: Patterns) -> tuple[str, ...]:
    return check_patterns((patterns,) if isinstance(patterns, str) else tuple(patterns))


def _name(entry: Entry) -> str:
    """The name of a record, as its key says."""
    return entry.job.key.partition(":")[2].rpartition(":")[0]


def _published(entry: Entry) -> float:
    try:
        return float(entry.job.headers.get(AT, ""))
    except ValueError:
        return entry.job.created


def _spoken(record: Record) -> str:
    return f"group {record.name}" if kind(record) == "group" else f"retention of {record.name}"


def _digest(group: Group) -> str:
    from hashlib import blake2b

    import msgspec

    return blake2b(msgspec.json.encode((group.name, group.patterns, group.keep)), digest_size=8).hexdigest()


def _unknown(name: str) -> BadValue:
    return BadValue(f"there is no group {shown(name)}; nothing was done. See: ropeway group ls")
