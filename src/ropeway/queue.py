"""A queue as programs hold it: put and claim; the operator's verbs come from operate.py, the awaitable twins from aio."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from typing import Any, Generic, TypedDict, TypeVar, Unpack

import msgspec
from msgspec.structs import replace

from .aio import facade, twin, within
from .claim import Claim, sound
from .codecs import named
from .durations import Duration, seconds
from .errors import BadValue, Conflict, RopewayError, Stopped
from .handle import Handle
from .ids import check_id
from .job import BYTES, JSON, Job, State
from .link import Link
from .operate import Operated
from .options import PLAIN, PutOptions, Settings, file_job, make_job
from .source import Streamable, stream, whole
from .store import Feature, Handback, Joined, Lent, Query, Store
from .unique import Edge, edge_of, place

T = TypeVar("T")

_HOLDS_KEY = frozenset({State.READY, State.DELAYED, State.RUNNING, State.DONE})
_LONGEST_WAIT = 3600.0
_TIDY_EACH = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02  # after a wake-up that brought nothing


class Queue(Operated, Generic[T]):
    """The queue `name`. `type`: what its bodies are; checked when one is put and when one is read. Made by `Broker.queue`.

    Making one does nothing to the store: a queue is there once a job is. May be used from any thread.
    """

    __slots__ = ("_decoder", "_tidied", "settings", "type", "way")

    def __init__(
        self,
        link: Link,
        name: str,
        type: Any = Any,  # noqa: A002
        settings: Settings | None = None,
        *,
        codec: str | None = None,
        accept: Sequence[str] | None = None,
    ) -> None:
        super().__init__(link, name)
        self.type = type
        self._tidied = -_TIDY_EACH
        self.settings = settings or link.settings_of(name) or PLAIN
        if codec is not None or accept is not None:
            given = named(codec or self.settings.codec, self.settings.accept if accept is None else accept)
            self.settings = replace(self.settings, codec=given[0], accept=given[1])
        self.way = self.settings.way()
        try:
            self._decoder = None if type is Any else self.way.codec.decoder(type)
        except TypeError as error:
            raise BadValue(f"{type!r} cannot be the type of a queue: {error}") from None

    # Putting

    def put(self, data: T, **options: Unpack[PutOptions]) -> Handle[Any]:
        """Put one job; when it answers, the job is safe. Options: see PutOptions.

        Raises BadBody when `data` cannot be carried or is not of the queue's type, Conflict when the key is taken, Stopped when the
        queue refuses new jobs; then nothing was stored. StoreError: nothing is known; put it again with the same `id`.
        """
        return self.put_jobs((self._job(data, options),), **_how(options))[0]

    def put_many(self, items: Iterable[T], **options: Unpack[PutOptions]) -> list[Handle[Any]]:
        """Put many in one commit, all with the same options; handles in the same order. A key makes no sense here, nor an id."""
        return self.put_jobs(self._jobs(items, options), **_how(options))

    def put_file(self, source: Streamable, *, content_type: str = BYTES, **options: Unpack[PutOptions]) -> Handle[Any]:
        """Put a job whose body is streamed in: a path, a file open for reading bytes, an iterable of bytes, or a function (called
        once if it answers chunks, else until it answers nothing). Constant memory on engines with that feature; others take what
        fits their limit, else BadBody. Whatever the source raises goes on to the caller; then nothing was stored."""
        given = stream(source)
        try:
            store = self._link.store
            if Feature.STREAM in store.features:
                job = file_job(self._link, self.name, given, options, self.settings, content_type)
            else:
                job = make_job(self._link, self.name, whole(given, store.max_body), content_type, options, self.settings)
            return self.put_jobs((job,), **_how(options))[0]
        finally:
            given.close()

    def put_encoded(self, body: bytes, content_type: str, **options: Unpack[PutOptions]) -> Handle[Any]:
        """As `put`, for a body that is bytes already: it is stored as it stands and not checked against the queue's type."""
        job = make_job(self._link, self.name, body, content_type, options, self.settings)
        return self.put_jobs((job,), **_how(options))[0]

    def job(self, body: bytes, content_type: str, **options: Unpack[PutOptions]) -> Job:
        """The job that `put_encoded` would store; for `put_jobs`, whose jobs may each have options of their own."""
        return make_job(self._link, self.name, body, content_type, options, self.settings)

    def put_jobs(self, jobs: Sequence[Job], *, keep_first: bool = False, tx: Any = None, edge: Edge | None = None) -> list[Handle[Any]]:
        """Put jobs made by `job`, in one commit. A taken key: with `keep_first` the handle of the job that has it, `created` False;
        else Conflict, after all the others were stored. `tx`: inside the transaction that the caller has open on it. With `edge` they are
        put one by one, each in place of the waiting job that has its key."""
        tracing = self._link.tracing
        if edge is not None:
            placed = self._placed(jobs, edge) if tracing is None else tracing.put(jobs, lambda jobs: self._placed(jobs, edge))
            return [Handle(self._link, job.queue, job_id, created=new, keep=job.keep, way=self.way) for job, job_id, new in placed]
        store: Store | Joined = self._link.store if tx is None else self._link.store.join(tx)
        answers = store.put(jobs) if tracing is None else tracing.put(jobs, store.put)
        return self._handles(jobs, answers, keep_first, store)

    def _placed(self, jobs: Sequence[Job], edge: Edge) -> list[tuple[Job, str, bool]]:
        return [(job, *place(self._link, job, edge)) for job in jobs]

    async def aput(self, data: T, **options: Unpack[PutOptions]) -> Handle[Any]:
        """The awaitable twin of `put`. It shares its commit with all who put meanwhile: many callers are faster than one, not slower."""
        return (await self.aput_jobs((self._job(data, options),), **_how(options)))[0]

    async def aput_many(self, items: Iterable[T], **options: Unpack[PutOptions]) -> list[Handle[Any]]:
        """The awaitable twin of `put_many`."""
        return await self.aput_jobs(self._jobs(items, options), **_how(options))

    async def aput_encoded(self, body: bytes, content_type: str, **options: Unpack[PutOptions]) -> Handle[Any]:
        """The awaitable twin of `put_encoded`."""
        job = make_job(self._link, self.name, body, content_type, options, self.settings)
        return (await self.aput_jobs((job,), **_how(options)))[0]

    async def aput_jobs(
        self, jobs: Sequence[Job], *, keep_first: bool = False, tx: Any = None, edge: Edge | None = None
    ) -> list[Handle[Any]]:
        """The awaitable twin of `put_jobs`. With `tx` it runs where that lives: in the calling thread, or by its `run_sync`."""
        if tx is not None:
            return await within(tx, lambda tx: self.put_jobs(jobs, keep_first=keep_first, tx=tx))
        side, store = facade(self._link), self._link.store
        if edge is not None:
            return await side.call(lambda: self.put_jobs(jobs, edge=edge))
        tracing = self._link.tracing
        answers = await (side.put(jobs) if tracing is None else tracing.aput(jobs, side.put))
        if keep_first and not all(answers):
            return await side.call(self._handles, jobs, answers, keep_first, store)
        return self._handles(jobs, answers, keep_first, store)

    aput_file = twin(put_file)

    def _handles(self, jobs: Sequence[Job], answers: Sequence[bool], keep_first: bool, store: Store | Joined) -> list[Handle[Any]]:
        link = self._link
        if all(answers):
            return [Handle(link, job.queue, job.id, keep=job.keep, way=self.way) for job in jobs]
        if not keep_first:
            refused = [job for job, answer in zip(jobs, answers, strict=True) if not answer]
            stored = f"the other {len(jobs) - len(refused)} were stored" if len(jobs) > len(refused) else "nothing was stored"
            raise Conflict(
                f"the key {refused[0].key!a:.80} of queue {self.name} is held by a live job; {stored}. "
                'Put with on_conflict="keep" to be given that job instead',
                key=refused[0].key,
            )
        return [
            Handle(link, job.queue, job.id, keep=job.keep, way=self.way) if answer else self._first_of(job, store)
            for job, answer in zip(jobs, answers, strict=True)
        ]

    def _first_of(self, job: Job, store: Store | Joined) -> Handle[Any]:
        """The job that has the key; if that one has just ended, ours takes its place after all."""
        for _ in range(10):
            found = store.browse(Query(queues=(job.queue,), states=_HOLDS_KEY, key=job.key, limit=1))
            if found:
                first = found[0].job
                return Handle(self._link, first.queue, first.id, created=first.id == job.id, keep=first.keep, way=self.way)
            if job.source is None and store.put((job,))[0]:
                return Handle(self._link, job.queue, job.id, keep=job.keep, way=self.way)
        raise Conflict(f"the key {job.key!a:.80} is taken, but its job cannot be found; nothing was stored. Put it again", key=job.key)

    def _job(self, data: T, options: PutOptions) -> Job:
        body, content_type = self.way.encode(data)
        if self._decoder is not None:
            self.decode(body, content_type)
        return make_job(self._link, self.name, body, content_type, options, self.settings)

    def _jobs(self, items: Iterable[T], options: PutOptions) -> list[Job]:
        if options.get("key") or options.get("id"):
            raise BadValue("put_many gives its options to every job, and no two can share a key or an id; nothing was stored")
        return [self._job(data, options) for data in items]

    def decode(self, body: bytes, content_type: str) -> T:
        """A body as the queue's type; raises BadBody when it is not of that type."""
        if self._decoder is not None and content_type == JSON and self.way.plain:
            try:
                data: T = self._decoder(body)
                return data
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # the way says it in words
        return self.way.decode(body, content_type, self.type)  # type: ignore[no-any-return]

    # Claiming

    def claim(self, lease: Duration | None = None, timeout: Duration | None = 0) -> Claim[T] | None:
        """Take the next due job for `lease` (the queue's, 30 s, when not given); wait for one up to `timeout`, None = for ever.

        None when there is none. Raises Stopped, with the operator's reason, when the queue is switched off: that is not "empty".
        """
        length = self._lease(lease)
        lents = self.take(1, length, None if timeout is None else seconds(timeout, "timeout"))
        return self._claim(lents[0], length) if lents else None

    def claims(self, lease: Duration | None = None, idle: Duration | None = None, batch: int = 1) -> Generator[Claim[T], None, None]:
        """Claims one after the other, taken `batch` at a time; ends when nothing came for `idle` (None = never).

        Use each with `with`: an exception in its block ends that job's run by the retry policy, not the loop. A paused queue is waited for;
        when `idle` is over then, Stopped is raised. What was taken and not yet handed out goes back, uncounted, when the loop is left.
        """
        length, patience = self._batch(lease, batch), None if idle is None else seconds(idle, "idle")
        hand: deque[Lent] = deque()
        try:
            while True:
                if not hand:
                    hand.extend(self.take(batch, length, patience, stopped_is_empty=True))
                    if not hand:
                        return
                if self._is_fresh(hand, length) or self._renew(hand, length):
                    yield self._claim(hand.popleft(), length, contained=True)
        finally:
            if hand:
                self._give_back(hand)

    def pick(self, job_id: str, lease: Duration | None = None) -> Claim[T] | None:
        """Take this waiting job, whatever its moment; None when it is not waiting."""
        length = self._lease(lease)
        lent = self._link.store.pick(self.name, (check_id(job_id),), length, self._link.holder())[0]
        return self._claim(lent, length) if lent else None

    def take(self, limit: int, lease: float, timeout: float | None, *, stopped_is_empty: bool = False) -> list[Lent]:
        """Up to `limit` jobs as the store lends them, waiting up to `timeout` seconds for the first."""
        link, store, boot = self._link, self._link.store, self._link.clock.boot
        deadline = None if timeout is None else boot() + timeout
        pause = 0.0
        while True:
            stopped: Stopped | None = None
            try:
                lents = store.claim(self._names, limit, lease, link.holder())
            except Stopped as error:
                if not stopped_is_empty:
                    raise
                lents, stopped = [], error
            self._tidy_at_times()
            if runnable := sound(link, lents):
                return runnable
            if lents:
                continue
            left = _LONGEST_WAIT if deadline is None else deadline - boot()
            if left <= 0:
                if stopped:
                    raise stopped
                return []
            if pause:
                link.clock.sleep(threading.Event(), min(pause, left))
            woken = store.wait(self._names, min(left, 1.0 if stopped else _LONGEST_WAIT))
            pause = min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE) if woken else 0.0

    async def aclaim(self, lease: Duration | None = None, timeout: Duration | None = 0) -> Claim[T] | None:
        """The awaitable twin of `claim`. Cancelled while it waits: nothing stays claimed."""
        length, patience = self._lease(lease), None if timeout is None else seconds(timeout, "timeout")
        lents = await facade(self._link).claim(self.name, 1, length, patience)
        return self._claim(lents[0], length) if lents else None

    async def aclaims(self, lease: Duration | None = None, idle: Duration | None = None, batch: int = 1) -> AsyncGenerator[Claim[T], None]:
        """The awaitable twin of `claims`: `async for claim in ...: async with claim: ...`."""
        length, patience = self._batch(lease, batch), None if idle is None else seconds(idle, "idle")
        side = facade(self._link)
        hand: deque[Lent] = deque()
        try:
            while True:
                if not hand:
                    hand.extend(await side.claim(self.name, batch, length, patience, patient=True))
                    if not hand:
                        return
                if self._is_fresh(hand, length) or await side.call(self._renew, hand, length):
                    yield self._claim(hand.popleft(), length, contained=True)
        finally:
            side.give_back(list(hand))

    apick = twin(pick)

    def handle(self, job_id: str) -> Handle[Any]:
        """The handle of a job whose id is known; it need not exist."""
        return Handle(self._link, self.name, check_id(job_id), way=self.way)

    def _tidy_at_times(self) -> None:
        """Dead jobs whose time is over leave when somebody claims, once a minute: no mover in the background."""
        if self.settings.dead_keep and self._link.clock.boot() >= self._tidied + _TIDY_EACH:
            self._tidied = self._link.clock.boot()
            self.tidy(self.settings.dead_keep)

    def _claim(self, lent: Lent, lease: float, *, contained: bool = False) -> Claim[T]:
        return Claim(self._link, lent, lease=lease, settings=self.settings, decode=self.decode, contained=contained)

    def _is_fresh(self, hand: deque[Lent], lease: float) -> bool:
        return not hand[0].until or hand[0].until - self._link.clock.boot() > lease / 3

    def _renew(self, hand: deque[Lent], lease: float) -> bool:
        """Renew all that is in hand, and drop what was lost. Whether anything is left."""
        now = self._link.clock.boot()
        held = list(hand)
        hand.clear()
        for lent, kept in zip(held, self._link.store.extend([lent.receipt for lent in held], lease), strict=True):
            if kept:
                lent.until = now + lease
                hand.append(lent)
        return bool(hand)

    def _give_back(self, hand: Iterable[Lent]) -> None:
        try:
            self._link.store.nack([Handback(lent.receipt, restore=True) for lent in hand])
        except RopewayError:
            pass  # the leases end by themselves; whatever ends the loop says more

    def _lease(self, lease: Duration | None) -> float:
        return self.settings.lease if lease is None else seconds(lease, "lease")

    def _batch(self, lease: Duration | None, batch: int) -> float:
        if batch < 1:
            raise BadValue(f"batch must be at least 1, not {batch}; nothing was claimed")
        return self._lease(lease)


class _How(TypedDict):
    keep_first: bool
    tx: Any
    edge: Edge | None


def _how(options: PutOptions) -> _How:
    """What options say about the put itself, and not about its job."""
    return {"keep_first": options.get("on_conflict") == "keep", "tx": options.get("tx"), "edge": edge_of(options) if options else None}
