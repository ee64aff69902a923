"""A job as its producer sees it: where it stands, how it ended, and calling it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from .aio import facade, twin
from .calls.endings import ENDED, endings, look
from .calls.failures import remote_error
from .codecs import Way, way
from .durations import Duration, seconds, spoken
from .errors import BadBody, RemoteError, Timeout, Unsupported
from .job import WAITING, State
from .link import Link
from .notes import NOTE_LIMIT
from .store import Entry, Query

if TYPE_CHECKING:
    from .following import Step

R = TypeVar("R")

PROGRESS = "progress/"  # + job id: the note that Claim.progress writes
CANCEL = "cancel/"  # + job id: the note that asks the worker of a running job to stop it
CANCEL_LIFETIME = 86400.0
_AHEAD = 100  # jobs that are looked at together, where the results of many are waited for


class Handle(Generic[R]):
    """One job by its id. `created` is False when a put with on_conflict="keep" found this job in its place."""

    __slots__ = ("_into", "_keep", "_link", "_way", "created", "id", "queue")

    def __init__(
        self,
        link: Link,
        queue: str,
        job_id: str,
        *,
        created: bool = True,
        keep: float | None = None,
        into: Any = Any,
        way: Way | None = None,
    ) -> None:
        self._link = link
        self.queue = queue
        self.id = job_id
        self.created = created
        self._keep = keep  # None: not known from here
        self._into = into
        self._way = way  # how its result may be read; None: as the queue's settings say

    def entry(self) -> Entry | None:
        """All that the store knows of the job; None when it has left: done without `keep`, forgotten, expired or deleted."""
        found = self._link.store.browse(Query(queues=(self.queue,), ids=(self.id,)))
        return found[0] if found else None

    def state(self) -> State | None:
        """Where it stands; None when it has left the store."""
        entry = self.entry()
        return entry.state if entry else None

    def wait(self, timeout: Duration | None = None) -> State | None:
        """Wait until it has ended. `done`, `dead`, or None when it left the store. Raises Timeout."""
        entry = self._ended(timeout)
        return entry.state if entry else None

    def result(self, timeout: Duration | None = None) -> R:
        """What its run returned. Needs `keep` on the job, or there would be nothing to read: else Unsupported.

        Raises RemoteError with the remote traceback when the job is dead, or has left without a result; Timeout when it has not ended
        in time: it may still do so.
        """
        self._check_kept()
        return self._outcome(self._ended(timeout))

    def cancel(self) -> bool:
        """Call it back. True: it was waiting and is gone, or it is running and its worker is asked to stop it; False: it has ended."""
        store = self._link.store
        if store.delete(Query(queues=(self.queue,), ids=(self.id,), states=WAITING, limit=None)):
            return True
        if self.state() is not State.RUNNING:
            return False
        store.notes.note(CANCEL + self.id, b"cancel", CANCEL_LIFETIME)
        return True

    def progress(self) -> Any:
        """What the running job last said with `Claim.progress`; None when it said nothing yet, or ended long ago."""
        return read_progress(self._link.store.notes.notes(PROGRESS + self.id).get(PROGRESS + self.id))

    def follow(self, timeout: Duration | None = None) -> Iterator[Step]:
        """What happens to the job, step by step, until it has ended or the time is up: it waits, runs, tells its progress, was tried in
        vain, is done, dead or gone. The first step says where it stands now. In between it is looked at each second or so: of what lasts a
        shorter time only tries that failed are sure to be told. The end is heard of at once."""
        from .following import follow

        return follow(self._link, self.queue, self.id, timeout, PROGRESS + self.id)

    async def afollow(self, timeout: Duration | None = None) -> AsyncIterator[Step]:
        """The awaitable twin of `follow`: `async for step in handle.afollow(): ...`."""
        from .following import FIRST, LAST, LONGEST, Seen

        boot = self._link.clock.boot
        deadline = None if timeout is None else boot() + seconds(timeout, "timeout")
        seen, pause = Seen(self._link, self.queue, self.id, PROGRESS + self.id), FIRST
        while True:
            new = await facade(self._link).call(seen.look)
            for step in new:
                yield step
            if (new and new[-1].kind in LAST) or (deadline is not None and deadline <= boot()):
                return
            pause = FIRST if new else min(2 * pause, LONGEST)
            try:
                await self._aended(pause if deadline is None else max(0.0, min(pause, deadline - boot())))
            except Timeout:
                continue

    aentry = twin(entry)
    astate = twin(state)
    acancel = twin(cancel)
    aprogress = twin(progress)

    async def await_(self, timeout: Duration | None = None) -> State | None:
        """The awaitable twin of `wait`; one poll serves all who wait in this event loop."""
        entry = await self._aended(timeout)
        return entry.state if entry else None

    async def aresult(self, timeout: Duration | None = None) -> R:
        """The awaitable twin of `result`."""
        self._check_keep(self._keep if self._keep is not None else self._kept(await self.aentry()))
        return self._outcome(await self._aended(timeout))

    async def _aended(self, timeout: Duration | None) -> Entry | None:
        limit = None if timeout is None else seconds(timeout, "timeout")
        try:
            return await facade(self._link).ended(self.queue, self.id, limit)
        except TimeoutError as error:
            if isinstance(error, Timeout):
                raise
            raise self._late(timeout) from None

    def _ended(self, timeout: Duration | None) -> Entry | None:
        """What is left of it once it has ended. Raises Timeout."""
        for _, entry in endings(self._link, self.queue, (self.id,), timeout):
            return entry
        raise self._late(timeout)

    def _check_kept(self) -> None:
        self._check_keep(self._keep if self._keep is not None else self._kept(self.entry()))

    def _kept(self, entry: Entry | None) -> float | None:
        return None if entry is None or entry.state in ENDED else entry.job.keep

    def _check_keep(self, keep: float | None) -> None:
        if keep == 0:
            raise Unsupported(
                f"the result of job {self.id} is not kept, so it cannot be read; nothing was waited for. "
                'Add keep="1h" to the put, or to the task'
            )

    def _outcome(self, entry: Entry | None) -> R:
        if entry is None:
            raise RemoteError(
                f"job {self.id} has left the queue {self.queue} without a result: cancelled, deleted or expired, or its result was kept "
                "for a shorter time than you waited",
                remote_type="Gone",
            )
        if entry.state is State.DEAD:
            trace = entry.history[-1].traceback if entry.history else ""
            error = entry.error or "buried without a reason"
            kind, _, message = error.partition(":")
            raise remote_error(f"job {self.id} failed: {error}", [kind.strip()], message.strip(), trace)
        if entry.result is None:
            return None  # type: ignore[return-value]  # the run returned None
        if (by := self._way) is None:
            settings = self._link.settings_of(self.queue)
            by = settings.way() if settings else way()
        result: R = by.results.decode(entry.result, entry.result_type, self._into)
        return result

    def _late(self, timeout: Duration | None) -> Timeout:
        return Timeout(f"job {self.id} has not ended within {spoken(seconds(timeout or 0))}; it goes on. Ask again, or cancel() it")

    def __repr__(self) -> str:
        return f"<Handle {self.id} in {self.queue}{'' if self.created else ', not created by this put'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and (other.id, other.queue) == (self.id, self.queue)

    def __hash__(self) -> int:
        return hash((self.id, self.queue))


def results(handles: Sequence[Handle[R]], timeout: Duration | None) -> Generator[R, None, None]:
    """Their results, in order, each as `Handle.result` answers or raises it; `timeout` is for all. Looks at many with one question."""
    if not handles:
        return
    boot = handles[0]._link.clock.boot  # noqa: SLF001 - here and below: these are our own
    deadline = None if timeout is None else boot() + seconds(timeout, "timeout")
    over: dict[Handle[R], Entry | None] = {}
    for place, handle in enumerate(handles):
        handle._check_kept()  # noqa: SLF001
        if handle not in over:
            over = _over(handles[place : place + _AHEAD])
        if handle not in over:
            over[handle] = handle._ended(None if deadline is None else max(0.0, deadline - boot()))  # noqa: SLF001
        yield handle._outcome(over.pop(handle))  # noqa: SLF001


def _over(handles: Sequence[Handle[R]]) -> dict[Handle[R], Entry | None]:
    """Those that have ended by now."""
    queues: dict[str, dict[str, Handle[R]]] = {}
    for handle in handles:
        queues.setdefault(handle.queue, {})[handle.id] = handle
    link = handles[0]._link  # noqa: SLF001
    return {by_id[one]: entry for queue, by_id in queues.items() for one, entry in look(link, queue, by_id).items()}


def pack_progress(value: object) -> bytes:
    """A progress value as its note holds it; raises BadBody for what JSON cannot carry or what is over the limit of a note."""
    try:
        data = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadBody(f"{type(value).__name__} cannot be told as progress: {error}; nothing was told") from None
    if len(data) > NOTE_LIMIT:
        raise BadBody(f"a progress of {len(data)} bytes is over the limit of {NOTE_LIMIT}; nothing was told")
    return data


def read_progress(note: bytes | None) -> Any:
    """The value of a progress note; None when there is none, or when it does not parse."""
    try:
        return None if note is None else msgspec.json.decode(note)
    except msgspec.DecodeError:
        return None
