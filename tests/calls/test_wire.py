"""What comes in from outside: addresses that are none, replies that nobody sent, replies that were forged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.calls.mailroom import mailroom
from ropeway.calls.wire import CORRELATION, KIND, REPLY_TO, WANTS, Kind, caller_of, read_failure, read_reply, read_started, reply_job
from ropeway.codecs import MSGPACK, PICKLE
from ropeway.errors import BadBody, RemoteError
from ropeway.job import BYTES, JSON, Job
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from .conftest import LONG, until
from .functions import register
from .test_calling import task

Serve = Callable[..., Worker]
ID = "0" * 32
GOOD = {REPLY_TO: "_reply." + "a" * 32, CORRELATION: "b" * 32}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {REPLY_TO: GOOD[REPLY_TO]},
        {CORRELATION: GOOD[CORRELATION]},
        {**GOOD, REPLY_TO: "orders"},
        {**GOOD, REPLY_TO: "_orders." + "a" * 32},
        {**GOOD, REPLY_TO: "_reply." + "a" * 31},
        {**GOOD, REPLY_TO: "_reply." + "a" * 33},
        {**GOOD, REPLY_TO: "_reply." + "A" * 32},
        {**GOOD, REPLY_TO: "_reply.../" + "a" * 29},
        {**GOOD, REPLY_TO: GOOD[REPLY_TO] + "\n"},
        {**GOOD, CORRELATION: "b" * 31},
        {**GOOD, CORRELATION: "x" * 32},
        {**GOOD, CORRELATION: "٣" * 32},
    ],
)
def test_a_job_cannot_have_things_put_wherever_it_likes(headers: dict[str, str]) -> None:
    assert caller_of(Job(ID, "q", headers=headers)) is None


def test_an_address() -> None:
    caller = caller_of(Job(ID, "q", headers={**GOOD, WANTS: "started nonsense result"}, ttl=5.0))
    assert caller is not None
    assert (caller.queue, caller.correlation, caller.wants, caller.ttl) == (GOOD[REPLY_TO], GOOD[CORRELATION], {"started"}, 5.0)
    job = reply_job(caller, ID, Kind.OUTPUT, b"7", JSON, 2, 3)
    assert (job.queue, job.fleeting, job.ttl) == (GOOD[REPLY_TO], True, 5.0)
    token, reply = read_reply(job) or pytest.fail("unread")
    assert token == GOOD[CORRELATION]
    assert (reply.kind, reply.body, reply.attempt, reply.number) == (Kind.OUTPUT, b"7", 2, 3)


@pytest.mark.parametrize(
    "change", [{KIND: "verdict"}, {KIND: ""}, {CORRELATION: "b"}, {"ropeway-attempt": "-1"}, {"ropeway-number": "9" * 20}]
)
def test_a_reply_that_is_none(change: dict[str, str]) -> None:
    caller = caller_of(Job(ID, "q", headers=GOOD))
    assert caller is not None
    job = reply_job(caller, ID, Kind.RESULT, b"7", JSON, 1)
    assert read_reply(job)
    job.headers = {**job.headers, **change}
    assert read_reply(job) is None
    assert read_reply(Job(ID, "q")) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"types": 5}', b"\xff", b"[" * 5000, b'{"message": 1}'])
def test_words_that_do_not_parse(body: bytes) -> None:
    assert read_failure(body) is None
    assert read_started(b"[" + body) is None


class Forger:
    """Puts what it likes into the caller's reply queue."""

    def __init__(self, link: Link, call: Any) -> None:
        self.link, self.call = link, call

    def reply(self, kind: str, body: bytes, content_type: str = JSON, **headers: str) -> None:
        caller = caller_of(self.call.job)
        assert caller is not None
        job = reply_job(caller, self.link.new_id(), Kind.RESULT, body, content_type, 1)
        job.headers = {**job.headers, KIND: kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        job.keep = 3600.0
        self.link.store.put((job,))


def test_forged_replies_are_dropped_and_counted(memory: str, serve: Serve) -> None:
    link, other = Link(memory), Link(memory)
    tasks = register(Tasks(link))
    call = task(tasks, "add").begin(1, timeout=LONG)
    forger = Forger(other, call)
    forger.reply("result", b"666", ropeway_correlation="0" * 32)
    forger.reply("nonsense", b"666")
    other.store.put((Job(other.new_id(), call.job.headers[REPLY_TO], b"no reply at all", BYTES),))
    serve(memory)
    assert call.result() == 1
    assert mailroom(link).dropped == 3
    link.close()
    assert not [name for name in other.store.queues() if name.startswith("_reply.")]  # also what asked to be kept
    other.close()


def test_what_a_reply_carries_is_read_with_care(memory: str) -> None:
    link = Link(memory)
    add = task(register(Tasks(link)), "add")
    for kind, body, content_type in (
        ("result", b"not json", JSON),
        ("result", b'"text"', JSON),
        ("result", b"\x80\x04.", PICKLE),
        ("result", b"\xc1", MSGPACK),
    ):
        call = add.begin(1, timeout=LONG)
        Forger(link, call).reply(kind, body, content_type)
        with pytest.raises(BadBody):
            call.result()
    call = add.begin(1, timeout=LONG)
    Forger(link, call).reply("error", b"garbage")
    with pytest.raises(RemoteError, match="cannot be read"):
        call.result()
    call = add.begin(1, timeout=LONG)
    forger = Forger(link, call)
    for kind in ("started", "progress", "retrying", "output"):
        forger.reply(kind, b"\xff garbage")
    forger.reply("error", b'{"types": ["KeyboardInterrupt", "SystemExit"], "message": "stop"}')
    with pytest.raises(RemoteError, match="stop") as caught:
        call.result()
    assert type(caught.value) is RemoteError
    link.close()


def test_a_store_that_fails_for_a_while_is_waited_for(memory: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from ropeway.errors import StoreError

    link = Link(memory)
    add = task(register(Tasks(link)), "add")
    call = add.begin(1, timeout=LONG)
    store, fails = link.store, threading.Event()
    claim = store.claim

    def failing(*args: Any) -> Any:
        if not fails.is_set():
            fails.set()
            raise StoreError("the server is away")
        return claim(*args)

    monkeypatch.setattr(store, "claim", failing)
    serve(memory)
    assert call.result() == 1
    assert fails.is_set()
    link.close()


def test_who_leads_hands_on(memory: str, serve: Serve) -> None:
    """The first to wait leads for all; when its time is up, another takes over."""
    link, heard = Link(memory), []
    add = task(register(Tasks(link)), "add")
    short, long = add.begin(1, timeout="300ms"), add.begin(2, timeout=LONG)
    job = long.job

    def leads() -> None:
        try:
            short.result()
        except TimeoutError:
            heard.append("late")

    first = threading.Thread(target=leads)
    first.start()
    until(lambda: mailroom(link).lead._leading)
    second = threading.Thread(target=lambda: heard.append(long.result()))
    second.start()
    first.join(LONG)
    Forger(link, long).reply("result", b"42")
    second.join(LONG)
    assert heard == ["late", 42]
    assert job.id == long.id
    link.close()


def test_an_interrupted_leader_leaves_the_answers_to_the_next(memory: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of handing out: nobody else's answer is lost with it."""
    link = Link(memory)
    add = task(register(Tasks(link)), "add")
    mine, others = add.begin(1, timeout=LONG), add.begin(2, timeout=LONG)
    hear, struck = others.hear, threading.Event()

    def interrupted(reply: Any) -> Any:
        if not struck.is_set():
            struck.set()
            raise KeyboardInterrupt
        return hear(reply)

    monkeypatch.setattr(type(others), "hear", lambda self, reply: interrupted(reply) if self is others else hear.__func__(self, reply))  # type: ignore[attr-defined]
    serve(memory)
    until(lambda: link.store.counts([mailroom(link).queue])[mailroom(link).queue].ready == 4)  # two receipts, two answers
    with pytest.raises(KeyboardInterrupt):
        mine.result()
    assert others.result() == 2
    link.close()
