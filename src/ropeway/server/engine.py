"""The store itself over HTTP, verb by verb: what the engine http: speaks with (stores/remote/words.py)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response, StreamingResponse

from ..aio import facade
from ..broker import Broker
from ..errors import BadBody, Stopped, Unsupported
from ..ids import check_id
from ..job import Job
from ..names import check_name, is_ended, shown
from ..store import Entry, Feature, Holder, Lent, Query, Store
from ..stores.remote.words import IN_COMMIT, KIND, LIMIT, PATH, VERBS, About, Told, arguments, encode
from ..worker.fleet.switch import SWITCH
from . import asking
from .answers import Answer
from .doors import Call, Door
from .grants import Grant, Role
from .problems import Refusal, problem_of
from .stopping import Stopping
from .veil import Veil

LISTEN = "listen/"  # notes of the processes that listen to topics (buses/stream.py): with the secrets by which one speaks to them
_KIND = KIND.encode()
WAITERS = 2000  # who may wait at once; each has a thread, which sleeps
ROLES = {
    **dict.fromkeys(("put", "publish"), Role.PRODUCE),
    **dict.fromkeys(("claim", "pick", "ack", "nack", "bury", "extend"), Role.CONSUME),
    **dict.fromkeys(("bring", "requeue", "delete", "pause", "limit", "drop"), Role.OPERATE),
}
LOOKING = frozenset({"queues", "counts", "browse", "notes", "check"})  # the verbs that change nothing
# Notes by the beginning of their key: who may write them beside operators.
NOTES = {"worker": Role.CONSUME, "history": Role.CONSUME, "progress": Role.CONSUME, "reply": Role.PRODUCE, "cancel": Role.PRODUCE}


def doors(broker: Broker, stopping: Stopping) -> list[Door]:
    """The doors of this family."""
    desk = Desk(broker, stopping)
    verbs = [Door("POST", PATH + verb, ROLES.get(verb), desk.handler(verb), says=f"The verb {verb} of the store") for verb in VERBS]
    return [
        Door("GET", PATH, None, desk.about, says="What the store can do", changes=False),
        Door("POST", f"{PATH}commit", None, desk.commit, says="Several verbs as one commit"),
        Door(
            "POST",
            f"{PATH}wait",
            None,
            desk.wait,
            says="A long poll, two bytes: + once a ring would be heard, then ! when something may be due",
            changes=False,
        ),
        Door("POST", f"{PATH}stream", None, desk.stream, says="Put or bring one job, its body streamed"),
        Door("GET", f"{PATH}body", None, desk.body, says="A body that is kept beside its job", changes=False),
        *(door._replace(changes=verb not in LOOKING) for door, verb in zip(verbs, VERBS, strict=True)),
    ]


class Desk:
    """The verbs, each for what its caller may do."""

    def __init__(self, broker: Broker, stopping: Stopping) -> None:
        self._broker = broker
        self._side = facade(broker.link)
        self._stopping = stopping
        self._veil = Veil.of(broker)
        self._waiters: ThreadPoolExecutor | None = None

    @property
    def store(self) -> Store:
        return self._broker.store

    def handler(self, verb: str) -> Callable[[Call], Any]:
        """The handler of one verb."""

        async def handle(call: Call) -> Response:
            given = _arguments(verb, await _message(call))
            allow(call.grant, verb, given)
            _tell(call, [(verb, given)])
            return _packed(await self._do(call.grant, verb, given))

        return handle

    async def about(self, _: Call) -> Response:
        store = self.store
        durability = await asyncio.to_thread(store.durability)
        return _packed(About(store.url, sorted(store.features), store.max_body, str(durability)))

    async def commit(self, call: Call) -> Response:
        line = _line(await _message(call))
        for verb, given in line:
            if (role := ROLES[verb]) and not call.grant.may(role):
                raise Refusal(403, f"this token has no right to {role}; nothing was done")
            allow(call.grant, verb, given)
        _tell(call, line)
        return _packed(await asyncio.to_thread(self._together, line))

    def _together(self, line: list[tuple[str, Any]]) -> list[Told]:
        """All in one commit. A queue that is switched off spoils nothing but its own claim; any other failure undoes what can be undone."""
        store, told = self.store, list[Told]()
        with store.commit():
            for verb, given in line:
                try:
                    told.append(Told(msgspec.Raw(encode(self._run(store, verb, given)))))
                except Stopped as error:
                    if verb != "claim":
                        raise
                    told.append(Told(problem=problem_of(error)))
        return told

    async def _do(self, grant: Grant, verb: str, given: Any) -> Any:
        """What many ask for at once goes through the line of those who share a commit."""
        if verb == "put":
            (jobs,) = given
            answers = await self._side.put(jobs)
            return [(stored, job.created, job.due) for job, stored in zip(jobs, answers, strict=True)]
        if verb in ("ack", "nack", "bury"):
            return await self._side.settle(verb, given[0])
        if verb == "extend":
            return await self._side.settle(verb, *given)
        answer = await asyncio.to_thread(self._run, self.store, verb, given)
        return self._veil.entries(grant, seen(grant, verb, answer), given[0].text) if verb == "browse" else seen(grant, verb, answer)

    def _run(self, store: Store, verb: str, given: Any) -> Any:
        """One verb, blocking; its answer as it travels."""
        if verb == "put":
            (jobs,) = given
            return [(stored, job.created, job.due) for job, stored in zip(jobs, store.put(jobs), strict=True)]
        if verb in ("claim", "pick"):
            *rest, name = given
            before = self._broker.link.clock.boot()
            return [_lent(one, before) for one in getattr(store, verb)(*rest, Holder(name, bound=False))]
        if verb == "pause":
            names, put, claim, reason = given
            return store.pause(names, put=put, claim=claim, reason=reason)
        if verb in ("note", "notes", "forget"):
            return getattr(store.notes, verb)(*given)
        if verb in ("ack", "nack", "bury", "extend", "bring", "drop"):
            return list(getattr(store, verb)(*given))
        if verb == "browse":
            return [_beside(entry) for entry in store.browse(*given)]
        if verb == "publish":
            return store.bus.publish(*given)
        return list(store.check()) if verb == "check" else getattr(store, verb)(*given)

    # -- waiting

    async def wait(self, call: Call) -> Response:
        try:
            names, seconds = msgspec.msgpack.decode(await _message(call), type=tuple[list[str], float])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refusal(400, f"this is no wait: {error}") from None
        for name in names:
            check_name(name)
            if not is_ended(name) and not reaches(call.grant, name):
                raise Refusal(403, f"this token has no right to wait for {shown(name)}")
        told = self._waited(call, names, min(max(0.0, seconds), 300.0))
        return StreamingResponse(told, headers={"Content-Length": "2"}, media_type="application/octet-stream")

    async def _waited(self, call: Call, names: list[str], seconds: float) -> AsyncIterator[bytes]:
        loop, registered, gone = asyncio.get_running_loop(), asyncio.Event(), False
        end = self._broker.link.clock.boot() + seconds

        def look() -> bool:
            loop.call_soon_threadsafe(registered.set)
            return gone or self._stopping.begun

        def wait() -> bool:
            while True:
                left = max(0.0, end - self._broker.link.clock.boot())
                if self.store.wait(names, left, look):
                    return not gone
                if left <= 0 or gone or self._stopping.begun:
                    return False

        if self._waiters is None:
            self._waiters = ThreadPoolExecutor(WAITERS, "ropeway-wait")
        waiting: asyncio.Future[bool] = loop.run_in_executor(self._waiters, wait)
        others: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(what) for what in (registered.wait(), _gone(call), self._stopping.wait())
        ]
        try:
            await asyncio.wait((waiting, *others), return_when=asyncio.FIRST_COMPLETED)
            yield b"+" if registered.is_set() else b"-"
            if registered.is_set() and not waiting.done():
                await asyncio.wait((waiting, *others[1:]), return_when=asyncio.FIRST_COMPLETED)
            yield b"!" if waiting.done() and waiting.result() else b"."
        finally:
            gone = True
            for other in others:
                other.cancel()
            if not waiting.done():
                self.store.wake()  # it sleeps on for nobody; the others that wait look again, and go on

    # -- bodies that are streamed

    async def stream(self, call: Call) -> Response:
        store = self.store
        if Feature.STREAM not in store.features:
            raise Unsupported(f"{store.url} keeps bodies inline and cannot stream one; nothing was stored")
        verb = asking.query(call, {"verb"}).get("verb", "put")
        if verb not in ("put", "bring"):
            raise Refusal(400, f"{shown(verb)} is neither put nor bring; nothing was stored")
        try:
            head = base64.b64decode(call.headers.get("ropeway-head", ""), validate=True)
            what: Any = msgspec.msgpack.decode(head, type=Job if verb == "put" else Entry)
        except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise Refusal(400, f"the header Ropeway-Head holds nothing to {verb}: {error}; nothing was stored") from None
        job = what if isinstance(what, Job) else what.job
        if not call.grant.may(ROLES[verb], job.queue):
            raise Refusal(403, f"this token has no right to {ROLES[verb]} on {shown(job.queue)}; nothing was done")
        job.source = _feed(call, asyncio.get_running_loop())
        if verb == "bring":
            call.operates(verbs=verb, queues=job.queue, jobs=1)
            return _packed(await asyncio.to_thread(store.bring, [what]))
        (stored,) = await asyncio.to_thread(store.put, [job])
        return _packed([(stored, job.created, job.due)])

    async def body(self, call: Call) -> Response:
        given = asking.query(call, {"queue", "id"})
        queue, job_id = check_name(given.get("queue", "")), check_id(given.get("id", ""))
        if not reaches(call.grant, queue, Role.CONSUME, Role.OBSERVE):
            raise Refusal(403, f"this token has no right to look into {queue}")
        found = await asyncio.to_thread(self.store.browse, Query(queues=(queue,), ids=(job_id,)))
        if not found:
            raise Refusal(404, f"there is no job {job_id} in {queue}")
        job = found[0].job
        if not call.grant.may(Role.CONSUME, queue) and self._veil.lies(call.grant, queue):
            raise Refusal(403, f"this token has no right to the bodies of {queue}: it may neither take its jobs nor do everything there")
        if job.source is None:
            return Response(job.body, media_type="application/octet-stream")
        return FileResponse(job.source.path(), media_type="application/octet-stream")


# -- who may


def reaches(grant: Grant, queue: str, *roles: Role) -> bool:
    """Whether it may do anything at all there, or one of these."""
    return any(grant.may(role, queue) for role in roles or Role)


def allow(grant: Grant, verb: str, given: Any) -> None:
    """Refusal unless the grant reaches every queue that the arguments name. Receipts name none: having one is the proof."""
    role = ROLES.get(verb)
    if verb in ("note", "forget") and str(given[0]).startswith(LISTEN):
        raise Refusal(403, "who listens to topics is nobody's business over HTTP; nothing was done")
    if verb == "note" or verb == "forget":
        own = NOTES.get(str(given[0]).partition("/")[0])
        if not grant.may(Role.OPERATE) and not (own is not None and grant.may(own)):
            raise Refusal(403, f"this token has no right to the note {shown(given[0])}; nothing was done")
        return
    if verb == "notes" or verb == "check":
        if not any(grant.may(role) for role in (Role.CONSUME, Role.OBSERVE, Role.OPERATE)) and not str(
            given[0] if given else ""
        ).startswith("progress/"):
            raise Refusal(403, "this token has no right to look at that")
        return
    for name in _names(verb, given):
        if role is not None and not grant.may(role, name):
            raise Refusal(403, f"this token has no right to {role} on {shown(name)}; nothing was done")


def _tell(call: Call, line: list[tuple[str, Any]]) -> None:
    """For the audit record: what an operator does here, and to which jobs."""
    acts = [(verb, given) for verb, given in line if ROLES.get(verb) is Role.OPERATE or (verb in ("note", "forget") and given[0] == SWITCH)]
    if acts:
        queues = {name for verb, given in acts for name in _names(verb, given)}
        call.operates(verbs=sorted({verb for verb, _ in acts}), queues=sorted(queues)[:10], **_details(*acts[0]))


def _details(verb: str, given: Any) -> dict[str, object]:
    if verb in ("requeue", "delete"):
        query: Query = given[0]
        named = {name: getattr(query, name)[:200] for name in ("key", "lane", "task", "error", "text")}
        ids = query.ids or ()
        return {**named, "states": sorted(query.states or ()), "ids": ids[:10], "others": max(0, len(ids) - 10)}
    if verb == "pause":
        return {"put": given[1], "claim": given[2], "reason": given[3][:200]}
    if verb == "note" or verb == "forget":
        return {"everything": "pause" if verb == "note" else "resume"}
    return {"jobs": len(given[0])} if verb == "bring" else {}


def _names(verb: str, given: Any) -> Iterable[str]:
    if verb == "put":
        return {job.queue for job in given[0]}
    if verb == "publish":
        return {message.topic for message in given[0]}
    if verb == "bring":
        return {entry.job.queue for entry in given[0]}
    if verb in ("claim", "pause", "limit", "drop"):
        return given[0]  # type: ignore[no-any-return]
    if verb == "pick":
        return (given[0],)
    if verb in ("requeue", "delete"):
        return given[0].queues if given[0].queues is not None else ("*",)  # all of them: only who may do it everywhere
    return ()


def seen(grant: Grant, verb: str, answer: Any) -> Any:
    """What of an answer the grant may see."""
    if verb == "notes":
        return {key: value for key, value in answer.items() if not key.startswith(LISTEN)}
    if verb == "queues":
        return [name for name in answer if reaches(grant, name)]
    if verb == "counts":
        return {name: one for name, one in answer.items() if reaches(grant, name)}
    if verb == "browse":
        return [entry for entry in answer if reaches(grant, entry.job.queue)]
    return answer


# -- messages


async def _message(call: Call) -> bytes:
    if call.heads.get(b"content-type") != _KIND:
        raise Refusal(415, f"send {KIND}; nothing was done")
    return await asking.body(call, LIMIT)


def _arguments(verb: str, data: bytes | msgspec.Raw) -> Any:
    try:
        return arguments(verb, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"these are no arguments of {verb}: {error}; nothing was done") from None


def _line(data: bytes) -> list[tuple[str, Any]]:
    try:
        line = msgspec.msgpack.decode(data, type=list[tuple[str, msgspec.Raw]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"this is no commit: {error}; nothing was done") from None
    if len(line) > asking.BATCH or any(verb not in IN_COMMIT for verb, _ in line):
        raise Refusal(400, f"a commit holds up to {asking.BATCH} of {' '.join(IN_COMMIT)}; nothing was done")
    return [(verb, _arguments(verb, given)) for verb, given in line]


def _packed(answer: Any) -> Response:
    return Answer(encode(answer), kind=_KIND)


def _lent(lent: Lent | None, before: float) -> Lent | None:
    """As it travels: the end of its lease as seconds from now, its body left behind when it is kept beside."""
    if lent is None:
        return None
    job = lent.job if lent.job.source is None else msgspec.structs.replace(lent.job, source=None)
    return Lent(job, lent.receipt, lent.attempt, lent.deaths, max(0.0, lent.until - before) if lent.until else 0.0)


def _beside(entry: Entry) -> Entry:
    if entry.job.source is not None:
        entry.job = msgspec.structs.replace(entry.job, source=None)
    return entry


def _feed(call: Call, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The body as it comes, for a thread that stores it."""
    parts = call.stream().__aiter__()

    async def following() -> bytes | None:
        try:
            return await parts.__anext__()
        except StopAsyncIteration:
            return None
        except ClientDisconnect:
            raise BadBody("the body ended before its end; nothing was stored") from None

    while (part := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
        yield part


async def _gone(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass
