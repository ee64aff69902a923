"""What a durable group and a retained topic are: their records, and the copies of a message that go to them.

The record of a group is a job of its own in the queue `_groups`: as safe as any job, carried by copy and export, and never run. Who
publishes reads the records at every publish, so a group misses nothing that is published after it was made. A record is therefore never
claimed or changed: an engine that looks state by state could miss one that changes its state just then, and that group the message.
An edit puts a record of the next generation beside the old one, and only generations that were followed a minute ago are removed: a
look that takes less than a minute finds one of them, whatever happens meanwhile. Of several generations the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .durations import LONGEST
from .errors import BadBody, BadName, BadValue, StoreError
from .job import JSON, LATEST, WAITING, Job, State
from .message import Message
from .names import NAME_LIMIT, check_name, shown
from .store import Entry, Feature, Query, Store
from .topics import check_patterns, check_topic, matcher

QUEUE = "_groups"
NEEDS = frozenset({Feature.KEYS, Feature.DELAY, Feature.BROWSE})
PREFIX = "_group."  # of the queue that holds a group's messages, and of the task that handles them
RETAINED = "_topics"  # the queue that holds what is retained: jobs that are done from the start, until they are forgotten
LOOK = 60.0  # seconds that a look at the records takes at most, and for which a record outlives the one that follows it
FAR = 50 * 365 * 86400.0  # when a record is due

TOPIC = "ropeway-topic"  # headers of a copy: its topic,
ID = "ropeway-message"  # the message's id,
AT = "ropeway-at"  # and when it was published
_OURS = frozenset({TOPIC, ID, AT})
_DONE = frozenset({State.DONE})
PAGE = 1000  # jobs that are looked at, or changed, at once

Source = Literal["code", "operator"]


class Group(Struct, tag="group"):
    """A durable group as it stands. Times are seconds since 1970, durations seconds.

    The record is stored as JSON with these names: new ones get a default, and none ever changes its meaning.
    """

    name: str
    patterns: tuple[str, ...]
    keep: float = 0.0  # how long a message stays when it was handled, to be replayed
    created: float = 0.0
    source: Source = "operator"
    code: str = ""  # what the code said when it last wrote this
    generation: int = 1

    @property
    def queue(self) -> str:
        """Where its messages wait."""
        return PREFIX + self.name


class Retention(Struct, tag="retain"):
    """That the messages of some topics are kept for a time, for those who come later. A record likewise, named by its pattern."""

    pattern: str
    keep: float
    created: float = 0.0
    generation: int = 1

    @property
    def name(self) -> str:
        return self.pattern


Record = Group | Retention


class Roll(Struct):
    """All records, as one look has found them: the last generation of each."""

    groups: dict[str, Group] = {}
    retained: dict[str, Retention] = {}

    @staticmethod
    def of(records: Iterable[Record]) -> Roll:
        roll = Roll({}, {})
        for record in sorted(records, key=lambda record: record.generation):
            if isinstance(record, Group):
                roll.groups[record.name] = record
            else:
                roll.retained[record.pattern] = record
        return roll

    def copies(self, messages: Sequence[Message], *, once: bool = False) -> list[Job]:
        """A job for each message and each group that means its topic. `once`: refuse a second one from anybody."""
        wanted = {topic: self._who(topic) for topic in {message.topic for message in messages}}
        return [copy(message, group, once=once) for message in messages for group in wanted[message.topic]]

    def _who(self, topic: str) -> list[Group]:
        return [group for group in self.groups.values() if matcher(group.patterns)(topic)]

    def kept(self, messages: Sequence[Message]) -> list[tuple[Message, float]]:
        """What is to be retained, and for how long."""
        if not self.retained:
            return []
        meant = [(one.keep, matcher((one.pattern,))) for one in self.retained.values()]
        lengths = ((message, max((keep for keep, means in meant if means(message.topic)), default=0.0)) for message in messages)
        return [(message, keep) for message, keep in lengths if keep]


def look(store: Store) -> Roll:
    """What groups and retained topics there are now. Raises StoreError when a record cannot be read."""
    if not store.features >= NEEDS:
        return Roll({}, {})
    return Roll.of(read_record(entry) for entry in entries(store))


def entries(store: Store) -> list[Entry]:
    """The records as jobs, of all generations."""
    return store.browse(Query(queues=(QUEUE,), states=WAITING, limit=None))


# -- the copies of a message


def copy(message: Message, group: Group, *, once: bool = False) -> Job:
    """The job that brings the message to the group."""
    return Job(
        id=derived(message.id, group.queue),
        queue=group.queue,
        body=message.body,
        content_type=message.content_type,
        headers=marked(message),
        keep=group.keep,
        task=group.queue,
        once=once,
    )


def retained_job(message: Message, keep: float) -> Job:
    """The job that stands for a retained message, done from the start."""
    return Job(
        id=derived(message.id, RETAINED),
        queue=RETAINED,
        body=message.body,
        content_type=message.content_type,
        headers=marked(message),
        keep=keep,
        created=message.at,
        due=message.at,
    )


def marked(message: Message) -> dict[str, str]:
    """The headers of a copy."""
    return {**message.headers, TOPIC: message.topic, ID: message.id, AT: repr(message.at)}


def derived(message_id: str, queue: str) -> str:
    """The id of a copy: the same whoever makes it. Its first half is the message's own, so that copies keep the order of their messages."""
    tail = blake2b(f"{message_id} {queue}".encode(), digest_size=8).hexdigest()
    return f"{message_id[:16]}{8 + int(tail[0], 16) % 4:x}{tail[1:]}"


def message_of(job: Job) -> Message:
    """The message that a copy brings. Raises BadBody for a job that is none; whoever may put to the queue may have put it."""
    headers = job.headers
    try:
        topic, at = check_topic(headers[TOPIC]), float(headers.get(AT, job.created))
        if not 0 <= at <= LATEST:
            raise ValueError
    except (KeyError, ValueError, BadName):
        raise BadBody(f"job {job.id} of {job.queue} is no message of a topic: it has no header {TOPIC} that names one") from None
    body = job.body if job.source is None else job.source.read()
    own = {name: value for name, value in headers.items() if name not in _OURS}
    return Message(topic, headers.get(ID, job.id), body, job.content_type, own, at)


def retained(store: Store, patterns: Sequence[str], since: float = 0.0, after: str = "") -> list[Message]:
    """What is retained of the topics that the patterns mean, published at `since` or later and with an id after that one, in order."""
    means, cursor, found = matcher(patterns), "", list[Message]()
    while page := store.browse(Query(queues=(RETAINED,), states=_DONE, limit=PAGE, after=cursor)):
        found += [message_of(entry.job) for entry in page if means(entry.job.headers.get(TOPIC, ""))]
        cursor = page[-1].cursor
    return sorted((m for m in found if m.at >= since and m.id > after), key=lambda message: message.id)


# -- the records as jobs


def record_job(record: Record, job_id: str) -> Job:
    """The record, to be put."""
    return Job(job_id, QUEUE, msgspec.json.encode(record), JSON, delay=FAR, key=f"{kind(record)}:{record.name}:{record.generation}")


def kind(record: Record) -> str:
    return "group" if isinstance(record, Group) else "retain"


_read: Any = msgspec.json.Decoder(Record).decode


def read_record(entry: Entry) -> Record:
    """The record of a job in `_groups`. Raises StoreError for what is none: to pass over it could lose the messages of a group."""
    job = entry.job
    try:
        record: Record = _read(job.body if job.source is None else job.source.read())
        if isinstance(record, Group):
            return check_group(record)
        return check_retention(record)
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(
            f"job {job.id} of {QUEUE} ({shown(job.key)}) is no record of a group: {error}; nothing was done. "
            "Delete it, and add the group anew",
            definite=True,
        ) from None


def check_group(group: Group) -> Group:
    """The group itself; BadName or BadValue for what is none."""
    check_name(group.name, "group")
    if len(group.queue) > NAME_LIMIT:
        raise BadName(f"{shown(group.name)} is too long for a group: use at most {NAME_LIMIT - len(PREFIX)} characters; nothing was done")
    _check_keep(group.keep)
    return replace(group, patterns=check_patterns(group.patterns))


def check_retention(retention: Retention) -> Retention:
    """The retention itself; BadValue for what is none."""
    check_patterns((retention.pattern,))
    _check_keep(retention.keep)
    return retention


def _check_keep(keep: float) -> None:
    if not 0 <= keep <= LONGEST:
        raise BadValue(f"{shown(keep)} is no time to keep messages for; nothing was done")
