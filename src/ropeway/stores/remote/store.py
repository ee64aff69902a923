"""The store of a ropeway server, as an engine: each verb is one request, and the verbs of a commit are one together."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ...clock import Clock
from ...demands import Apart, check_acks, check_entries, check_handbacks, check_lease, check_limit, check_limits, check_reason
from ...errors import BadValue, ConfigError, RopewayError, Stopped, Unsupported
from ...job import Job, check_job
from ...names import check_name
from ...store import Ack, Counts, Durability, Entry, Feature, Finding, Handback, Holder, Lent, Limits, Query
from ...url import StoreUrl
from .address import Address, address
from .bodies import RemoteBlob
from .bus import RemoteBus
from .commit import Answers, Gathered
from .notes import RemoteNotes
from .waiting import Waits
from .wire import Wire, error_of
from .words import IN_COMMIT, PATH, About, Told, answer, encode

S = TypeVar("S", Ack, Handback)
_ORDER = (Durability.NONE, Durability.PROCESS, Durability.KERNEL, Durability.REPLICA)


class RemoteStore(Apart):
    """Keeps nothing itself. What the server's store can do it can do, but for transactions of the caller's and commits that are all or
    nothing: a commit is sent whole, unless an answer inside is looked at."""

    def __init__(self, url: StoreUrl, clock: Clock) -> None:
        self.url = url.text
        self._clock = clock
        self._wire = Wire(address(url), url.text, url.timeout, self._starter(url))
        self._waits = Waits(self._wire, clock)
        self._require = url.require
        self._known: About | None = None
        self._mine = threading.local()
        self.notes = RemoteNotes(self._call)
        self.bus = RemoteBus(self._wire, self.url, lambda: self.features, self._call)

    @staticmethod
    def _starter(url: StoreUrl) -> Callable[[], Address] | None:
        store = url.more.get("autostart")
        if not store:
            return None

        def started() -> Address:
            from .starting import start

            start(address(url), store, url.text)
            return address(url)  # with the token that its first start has made

        return started

    # -- what the server says of itself, asked once

    @property
    def features(self) -> frozenset[Feature]:
        known = {feature.value for feature in Feature}
        mine = {Feature(name) for name in self._about().features if name in known}
        return frozenset(mine - {Feature.ATOMIC, Feature.JOIN})

    @property
    def max_body(self) -> int | None:
        return self._about().max_body

    def durability(self) -> Durability:
        return Durability(self._about().durability)

    def _about(self) -> About:
        if self._known is None:
            self._known = msgspec.msgpack.decode(self._wire.read(self._wire.open("GET", PATH)), type=About)
            if self._require and _ORDER.index(Durability(self._known.durability)) < _ORDER.index(Durability(self._require)):
                have, self._known = self._known.durability, None
                raise ConfigError(f"{self.url}: an answer survives class {have} there, and require={self._require}; nothing was done")
        return self._known

    # -- jobs come in

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        limit = self.max_body
        for job in jobs:
            check_job(job, limit)
        if streamed := [job for job in jobs if job.source is not None]:
            if Feature.STREAM not in self.features:
                raise Unsupported(f"{self.url} keeps bodies inline and cannot stream one; nothing was stored. Use a dir: store there")
            stored = {id(job): self._stream(job) for job in streamed}
            rest = [job for job in jobs if job.source is None]
            stored |= dict(zip(map(id, rest), self.put(rest) if rest else (), strict=True))
            return [stored[id(job)] for job in jobs]
        told = self._ask("put", (list(jobs),))
        for job, (_, created, due) in zip(jobs, told, strict=True):
            job.created, job.due = job.created or created, job.due or due
        return [stored for stored, _, _ in told]

    def _stream(self, job: Job) -> bool:
        ((stored, created, due),) = answer("put", self._with_body(job, "put", job))
        job.created, job.due = job.created or created, job.due or due
        return stored  # type: ignore[no-any-return]

    def _with_body(self, job: Job, verb: str, head: Job | Entry) -> bytes:
        """One job or entry, its body behind it as it comes: in constant memory on both sides."""
        source, job.source = job.source, None
        try:
            told = {"Ropeway-Head": base64.b64encode(encode(head)).decode(), "Content-Type": "application/octet-stream"}
            self._flush()
            return self._wire.post(f"{PATH}stream?verb={verb}", iter(source), told)
        finally:
            job.source = source

    def bring(self, entries: Sequence[Entry]) -> list[bool]:
        check_entries(entries, self.features, self.max_body)
        if not any(entry.job.source is not None for entry in entries):
            return self._ask("bring", (list(entries),))  # type: ignore[no-any-return]
        told: list[bool] = []
        for entry in entries:
            beside = entry.job.source is not None
            told += answer("bring", self._with_body(entry.job, "bring", entry)) if beside else self._ask("bring", ([entry],))
        return told

    # -- jobs are lent out

    def claim(self, queues: Sequence[str], limit: int, lease: float, holder: Holder) -> list[Lent]:
        check_lease(lease)
        check_limit(limit)
        for name in queues:
            check_name(name)
        before = self._clock.boot()
        return [self._lent(lent, before) for lent in self._ask("claim", (list(queues), limit, lease, holder.name))]

    def pick(self, queue: str, ids: Sequence[str], lease: float, holder: Holder) -> list[Lent | None]:
        check_lease(lease)
        check_name(queue)
        before = self._clock.boot()
        told = self._ask("pick", (queue, list(ids), lease, holder.name))
        return [None if lent is None else self._lent(lent, before) for lent in told]

    def _lent(self, lent: Lent, before: float) -> Lent:
        lent.until += before
        self._beside(lent.job)
        return lent

    def _beside(self, job: Job) -> None:
        if job.size >= 0 and not job.body:
            job.source = RemoteBlob(self._wire, job.queue, job.id, job.size)

    def extend(self, receipts: Sequence[str], lease: float) -> list[bool]:
        check_lease(lease)
        return self._settle("extend", ([_sent(receipt) for receipt in receipts], lease))

    def ack(self, acks: Sequence[Ack]) -> list[bool]:
        check_acks(acks)
        return self._settle("ack", ([_sound(one) for one in acks],))

    def nack(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks, self.max_body)
        return self._settle("nack", ([_sound(one) for one in handbacks],))

    def bury(self, handbacks: Sequence[Handback]) -> list[bool]:
        check_handbacks(handbacks)
        return self._settle("bury", ([_sound(one) for one in handbacks],))

    def _settle(self, verb: str, arguments: Any) -> list[bool]:
        gathered: Gathered | None = getattr(self._mine, "gathered", None)
        if gathered is None:
            return self._ask(verb, arguments)  # type: ignore[no-any-return]
        later: Answers = gathered.later(verb, arguments)
        return later  # type: ignore[return-value]  # a list in all that anybody does with it

    # -- waiting

    def wait(self, queues: Sequence[str], timeout: float, look: Callable[[], bool] | None = None) -> bool:
        for name in queues:
            check_name(name)
        return self._waits.wait(list(queues), timeout, look)

    def wake(self) -> None:
        self._waits.wake()

    # -- looking, and the operator's verbs

    def queues(self) -> list[str]:
        return self._call("queues")  # type: ignore[no-any-return]

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        for name in queues or ():
            check_name(name)
        return self._call("counts", None if queues is None else list(queues))  # type: ignore[no-any-return]

    def browse(self, query: Query) -> list[Entry]:
        entries: list[Entry] = self._call("browse", query)
        for entry in entries:
            self._beside(entry.job)
        return entries

    def requeue(self, query: Query) -> int:
        return self._call("requeue", query)  # type: ignore[no-any-return]

    def delete(self, query: Query) -> int:
        return self._call("delete", query)  # type: ignore[no-any-return]

    def pause(self, queues: Sequence[str], *, put: bool | None = None, claim: bool | None = None, reason: str = "") -> None:
        for name in queues:
            check_name(name)
        check_reason(reason)
        self._call("pause", list(queues), put, claim, reason)

    def limit(self, queues: Sequence[str], limits: Limits) -> None:
        for name in queues:
            check_name(name)
        check_limits(limits)
        self._call("limit", list(queues), limits)

    def drop(self, queues: Sequence[str]) -> list[bool]:
        for name in queues:
            check_name(name)
        return self._call("drop", list(queues))  # type: ignore[no-any-return]

    def check(self) -> list[Finding]:
        return self._call("check")  # type: ignore[no-any-return]

    # -- commits, and the end

    @contextmanager
    def commit(self) -> Iterator[None]:
        if getattr(self._mine, "gathered", None) is not None:
            raise BadValue("a commit cannot stand inside another; nothing was done")
        gathered = self._mine.gathered = Gathered(self._together)
        try:
            yield
        except BaseException:
            self._mine.gathered = None
            raise
        self._mine.gathered = None
        gathered.flush()

    def close(self) -> None:
        self.bus.close()
        self._waits.close()
        self._wire.close()

    # -- asking

    def _ask(self, verb: str, arguments: Any) -> Any:
        gathered: Gathered | None = getattr(self._mine, "gathered", None)
        if gathered is not None and verb in IN_COMMIT:
            return gathered.now(verb, arguments)
        return answer(verb, self._wire.post(PATH + verb, encode(arguments)))

    def _call(self, verb: str, *arguments: Any) -> Any:
        self._flush()
        return answer(verb, self._wire.post(PATH + verb, encode(arguments)))

    def _flush(self) -> None:
        gathered: Gathered | None = getattr(self._mine, "gathered", None)
        if gathered is not None:
            gathered.flush()

    def _together(self, line: list[tuple[str, Any]]) -> list[Any]:
        """One commit of all of these: an answer for each, or the error that this one alone was refused with."""
        if len(line) == 1:
            verb, arguments = line[0]
            try:
                return [answer(verb, self._wire.post(PATH + verb, encode(arguments)))]
            except RopewayError as error:
                if not isinstance(error, Stopped):
                    raise
                return [error]
        told = msgspec.msgpack.decode(self._wire.post(f"{PATH}commit", encode(line)), type=list[Told])
        return [
            error_of(one.problem, int(one.problem.get("status", 0)), self.url) if one.problem is not None else answer(verb, one.answer)
            for (verb, _), one in zip(line, told, strict=True)
        ]

    def __repr__(self) -> str:
        return f"<RemoteStore {self.url}, process {os.getpid()}>"


def _sent(receipt: str) -> str:
    """A receipt as it can travel. What is no text at all is no receipt either, and stays one answer among others."""
    try:
        receipt.encode()
    except (UnicodeEncodeError, AttributeError):
        return "?"
    return receipt


def _sound(one: S) -> S:
    return one if _sent(one.receipt) is one.receipt else replace(one, receipt="?")
