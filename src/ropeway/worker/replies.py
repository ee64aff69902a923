"""What a worker tells those who wait for a run: the receipt, progress and items while it goes on, and the last word when it has ended.

Parts are posted to the ferry, which puts them with its next turn. The last word is put in the commit that settles the run. A run that
will be tried again is no last word: its caller hears only that it failed, and why. When the call's time is over before the next try,
the error is the last word after all, since there will be no other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from functools import wraps
from inspect import isasyncgenfunction, isgeneratorfunction, ismethod
from typing import Any

from ..calls.failures import message_of, types_of
from ..calls.letters import Post, ear_of
from ..calls.wire import EAR, KIND, LAST, Caller, Failure, Kind, Started, caller_of, reply_job, said
from ..codec import encode_body
from ..job import Job
from ..tasks.context import running
from .run import End, Run

_FAILED = (End.BURIED, End.RETRIED, End.SNOOZED)
_post_office = Post()
BREATH = 0.001  # seconds between two looks, for one who says more than the store takes


def attend(runs: Sequence[Run], *, early: bool = False) -> None:
    """See who waits for these. `early`: a last word may go before its run is settled (`tell_early`)."""
    for run in runs:
        headers = run.lent.job.headers
        if headers and (caller := caller_of(run.lent.job)) is not None:
            run.caller = caller
            if not caller.wants:  # what is told meanwhile goes by the store, and a letter would overtake it
                caller.ear = ear_of(headers.get(EAR))
                caller.early = early


def tell_early(run: Run) -> bool:
    """Send the last word as a letter before the run is settled, from whichever thread it ended in; whether it went. Not on engines that
    commit all or nothing: there a run whose claim turns out lost must not be heard."""
    caller = run.caller
    if caller is None or not caller.ear or not caller.early:
        return False
    reply = last_word(run)
    caller.told = reply is not None and reply.headers[KIND] in LAST and _post_office.send(caller.ear, reply)
    return caller.told


def tell_settled(run: Run) -> None:
    """The run is settled, and its last word lies in the store: a letter is faster."""
    caller = run.caller
    if caller is None or not caller.ear or caller.told or (reply := caller.reply) is None or reply.headers[KIND] not in LAST:
        return
    caller.told = _post_office.send(caller.ear, reply, kept=True)
    if not caller.told:
        _post_office.nudge(caller.ear)


def begun(run: Run) -> None:
    """It starts now: the receipt, for a caller that wants one."""
    if (caller := run.caller) is not None and Kind.STARTED in caller.wants:
        _post(run, caller, Kind.STARTED, *said(Started(run.shift.name, run.lent.attempt)))


def progressed(run: Run, packed: bytes) -> None:
    """It says how far it is, in JSON."""
    if (caller := run.caller) is not None and Kind.PROGRESS in caller.wants:
        _post(run, caller, Kind.PROGRESS, packed, "application/json")


def put_out(run: Run, item: object) -> bool:
    """One item of its stream. False: there are more than the store takes for now; whoever says them should take a breath. Raises
    BadBody for what cannot be carried."""
    caller = run.caller
    if caller is None or Kind.OUTPUT not in caller.wants:
        return True
    body, content_type = encode_body(item)
    number, caller.said = caller.said, caller.said + 1
    return _post(run, caller, Kind.OUTPUT, body, content_type, number)


def failed(run: Run, error: BaseException) -> None:
    """It raised this: kept for the reply, which tells the type."""
    if run.caller is not None:
        run.failure = Failure(types_of(error), message_of(error))


def last_word(run: Run) -> Job | None:
    """The reply for a run that has ended, to be put when it is settled; the same job when asked again. None: nobody waits for it, or it was
    not run to an end."""
    caller = run.caller
    if caller is None:
        return None
    if caller.reply is None:
        if run.end is End.DONE:
            caller.reply = _reply(run, caller, Kind.RESULT, run.result or b"", run.result_type, caller.said)
        elif run.end is End.CANCELLED:
            gone = Failure(["Cancelled"], "the run was called back", worker=run.shift.name)
            caller.reply = _reply(run, caller, Kind.ERROR, *said(gone))
        elif run.end in _FAILED:
            kind = Kind.ERROR if run.end is End.BURIED or _too_late(run) else Kind.RETRYING
            caller.reply = _reply(run, caller, kind, *said(_failure(run)))
    return caller.reply


def _too_late(run: Run) -> bool:
    """Whether the call's time is over before the next try. By this machine's clock, as near as it is: the job ends by the store's."""
    delay = run.handback.delay if run.handback is not None else 0.0
    return run.shift.link.clock.now() + delay >= run.lent.job.expires()


def _failure(run: Run) -> Failure:
    attempt = run.handback.attempt if run.handback is not None else None
    told, error = run.failure, attempt.error if attempt else "asked to be run later"
    if told is None:  # it ended badly without an exception here: timed out, killed, refused, or in another process
        kind, mark, rest = error.partition(": ")
        if attempt is not None and attempt.outcome == "timeout":
            told = Failure(["TimeoutError"], error)
        elif mark and kind.replace(".", "").isidentifier():
            told = Failure([kind], rest)
        else:
            told = Failure([], error)
    told.traceback = attempt.traceback if attempt else ""
    told.worker = run.shift.name
    return told


def _reply(run: Run, caller: Caller, kind: Kind, body: bytes, content_type: str, number: int = 0) -> Job:
    return reply_job(caller, run.shift.link.new_id(), kind, body, content_type, run.lent.attempt, number)


def _post(run: Run, caller: Caller, kind: Kind, body: bytes, content_type: str, number: int = 0) -> bool:
    return run.shift.post(_reply(run, caller, kind, body, content_type, number))


# Tasks that yield


def runnable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as workers run it. One that yields is gone through, and its items go to whoever wants them; its result is what it
    returns, None for `async def`. An object that can be called is its call, which may be awaited. Any other is itself."""
    if not isinstance(function, type) and ismethod(call := getattr(function, "__call__", None)):  # noqa: B004 - an object's own
        function = call
    if isgeneratorfunction(function):
        return _gone_through(function)
    if isasyncgenfunction(function):
        return _gone_through_awaited(function)
    return function


def _gone_through(function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
    @wraps(function)
    def run_it(*args: Any, **kwargs: Any) -> Any:
        from threading import Event

        run, items = running.get(), function(*args, **kwargs)
        try:
            while True:
                item = next(items)
                if run is not None and not put_out(run, item):
                    while not run.lost and run.shift.full():
                        run.shift.link.clock.sleep(Event(), BREATH)
        except StopIteration as end:
            return end.value
        finally:
            items.close()

    return run_it


def _gone_through_awaited(function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @wraps(function)
    async def run_it(*args: Any, **kwargs: Any) -> None:
        import asyncio

        run, items = running.get(), function(*args, **kwargs)
        try:
            async for item in items:
                if run is not None and not put_out(run, item):
                    while not run.lost and run.shift.full():
                        await asyncio.sleep(BREATH)
        finally:
            await items.aclose()

    return run_it
