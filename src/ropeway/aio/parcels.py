"""What a publish brings, and how it is delivered: stored with one commit, then told, whether by one thread or for many who await it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from msgspec import Struct

from ..errors import StoreError
from ..job import Job
from ..message import Message
from ..store import Entry, Store


class Parcel(Struct):
    """What one publish brings: copies for groups, what is retained, and the messages for those who listen now, if they can be told."""

    jobs: Sequence[Job]
    kept: Sequence[Entry]
    messages: Sequence[Message]


def deliver(store: Store, parcels: Sequence[Parcel]) -> list[StoreError | None]:
    """Store what is to be stored of all of them, then tell who listens now. For each None, or why perhaps nobody has heard of it: what
    is stored is stored all the same. Raises as `put` does, and then nothing was told."""
    jobs = [job for parcel in parcels for job in parcel.jobs]
    kept = [entry for parcel in parcels for entry in parcel.kept]
    messages = [message for parcel in parcels for message in parcel.messages]
    with store.commit() if jobs and kept else nullcontext():
        if jobs:
            store.put(jobs)
        if kept:
            store.bring(kept)
    try:
        if messages:
            store.bus.publish(messages)
    except StoreError as error:
        return [error] * len(parcels)
    return [None] * len(parcels)
