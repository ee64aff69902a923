"""A topic as programs hold it: publish. A copy for each durable group that means it, then a word to all who listen now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from .aio import facade, twin, within
from .aio.parcels import Parcel, deliver
from .bus import MESSAGE_LIMIT
from .census import census
from .codec import encode_body
from .errors import BadValue, StoreError, Unsupported
from .failure import one_line
from .group import NEEDS, Roll, marked, retained_job
from .ids import check_id
from .job import State
from .link import Link
from .message import Message, check_message
from .names import check_headers, shown
from .store import Entry, Feature, Store
from .topics import check_topic

_log = logging.getLogger("ropeway.topic")


class PublishOptions(TypedDict, total=False):
    """What may be said of a message when it is published."""

    headers: Mapping[str, str] | None
    id: str | None  # 32 hex digits, made by the caller, who can then repeat a publish: a group that has the first copy gets no second
    tx: Any  # a connection or session to the same database: the copies are put inside its transaction, and who only listens is not told


class Topic:
    """The topic `name`. Made by `Broker.topic`; making one does nothing to the store. May be used from any thread."""

    __slots__ = ("_link", "name")

    def __init__(self, link: Link, name: str) -> None:
        self.name = check_topic(name)
        self._link = link

    def publish(self, data: Any, **options: Unpack[PublishOptions]) -> Message:
        """Send a message: bytes, text, or what JSON can carry. When it answers, each durable group that means this topic has its copy, as
        safe as any job, and all who listen now are being told. Options: see PublishOptions.

        Raises BadBody, BadName or BadValue for what cannot be published, Stopped when the queue of a group refuses new jobs, Unsupported
        on an engine without topics; then nothing was done. StoreError: nothing is known; publish it again with the same `id`.
        """
        return publish(self._link, [self._message(*encode_body(data), options)], **_how(options))[0]

    def publish_many(self, items: Iterable[Any], **options: Unpack[PublishOptions]) -> list[Message]:
        """Send many, in this order, their copies in one commit, all with the same options. An id makes no sense here."""
        return publish(self._link, self._messages(items, options), **_how(options))

    def publish_encoded(self, body: bytes, content_type: str, **options: Unpack[PublishOptions]) -> Message:
        """As `publish`, for a body that is bytes already and of that content type."""
        return publish(self._link, [self._message(body, content_type, options)], **_how(options))[0]

    async def apublish(self, data: Any, **options: Unpack[PublishOptions]) -> Message:
        """The awaitable twin of `publish`. It shares its commit with all who put or publish meanwhile."""
        return (await apublish(self._link, [self._message(*encode_body(data), options)], **_how(options)))[0]

    async def apublish_many(self, items: Iterable[Any], **options: Unpack[PublishOptions]) -> list[Message]:
        """The awaitable twin of `publish_many`."""
        return await apublish(self._link, self._messages(items, options), **_how(options))

    apublish_encoded = twin(publish_encoded)

    def _messages(self, items: Iterable[Any], options: PublishOptions) -> list[Message]:
        if options.get("id"):
            raise BadValue("publish_many gives its options to every message, and no two can share an id; nothing was published")
        return [self._message(*encode_body(data), options) for data in items]

    def _message(self, body: bytes, content_type: str, options: PublishOptions) -> Message:
        if unknown := options.keys() - PublishOptions.__annotations__.keys():
            raise TypeError(f"publish has no option {shown(min(unknown))}; it has: {' '.join(PublishOptions.__annotations__)}")
        own_id, headers, link = options.get("id"), options.get("headers"), self._link
        message_id = link.new_id() if own_id is None else check_id(own_id)
        return Message(self.name, message_id, body, content_type, dict(headers or {}), link.clock.now())

    def __repr__(self) -> str:
        return f"<Topic {self.name}>"


class _How(TypedDict):
    once: bool
    tx: Any


def _how(options: PublishOptions) -> _How:
    return {"once": options.get("id") is not None, "tx": options.get("tx")}


def publish(link: Link, messages: list[Message], *, once: bool = False, tx: Any = None) -> list[Message]:
    """Publish these, of any topics, in this order: see Topic.publish. `once`: their ids may have been published before."""
    _check(link, messages)
    plan = planned(link.store, census(link).roll(), messages, once=once)
    if tx is None:
        (error,) = deliver(link.store, (plan,))
        if error is not None:
            _unheard(plan, error)
        return messages
    joined = link.store.join(tx)
    if plan.jobs:
        joined.put(plan.jobs)
    if plan.kept:
        joined.bring(plan.kept)
    return messages


async def apublish(link: Link, messages: list[Message], *, once: bool = False, tx: Any = None) -> list[Message]:
    """The awaitable twin of `publish`."""
    if tx is not None:
        return await within(tx, lambda tx: publish(link, messages, once=once, tx=tx))
    side, groups = facade(link), census(link)
    if groups.known() is None:
        await side.together(groups.roll)  # which may have begun before we came: what it found counts if it is believed still
    roll = groups.known()
    if roll is None:
        roll = await side.call(groups.roll)
    _check(link, messages)
    plan = planned(link.store, roll, messages, once=once)
    error = await side.publish(plan)
    if error is not None:
        _unheard(plan, error)
    return messages


def planned(store: Store, roll: Roll, messages: Sequence[Message], *, once: bool = False) -> Parcel:
    """What groups, retained topics and listeners get of these."""
    kept = [Entry(retained_job(message, keep), State.DONE, message.at + keep) for message, keep in roll.kept(messages)]
    return Parcel(roll.copies(messages, once=once), kept, messages if Feature.TOPICS in store.features else ())


def _check(link: Link, messages: Sequence[Message]) -> None:
    features = link.store.features
    if Feature.TOPICS not in features and not features >= NEEDS:
        raise Unsupported(
            f"{link.store.url} has no topics: it can neither tell who listens nor keep a group; nothing was published. Use another engine, "
            "or put a job into a queue"
        )
    for message in messages:
        check_message(message, MESSAGE_LIMIT)
        if message.headers:
            check_headers(marked(message))  # with what a copy has beside them


def _unheard(plan: Parcel, error: StoreError) -> None:
    """Who listens hears at most once. So where the groups have their copies already, a bus that fails takes nothing back: to publish again
    would make doubles."""
    if not plan.jobs and not plan.kept:
        raise error
    _log.warning("%d messages are safe for their groups, but who listens now may have missed them: %s", len(plan.messages), one_line(error))
