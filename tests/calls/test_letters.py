"""Answers that go past the store: what comes by letter, what cannot, what was forged, and what is left behind."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines import engines, place
from ropeway.calls.hearing import LONGEST_PATIENCE, Hearing
from ropeway.calls.letters import LARGEST, Ear, Letter, Post, ear_of, here, read_letter
from ropeway.calls.mailroom import COPIES, Mailroom, mailroom
from ropeway.calls.wire import ATTEMPT, CORRELATION, EAR, KIND, NUMBER, Kind, caller_of, reply_job
from ropeway.job import JSON, Job
from ropeway.link import Link
from ropeway.store import Feature
from ropeway.tasks import Tasks
from ropeway.worker.inbox import Inbox
from ropeway.worker.replies import attend

from .conftest import LONG, until
from .test_calling import task
from .test_settling import HEADERS, Bench

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not here(0), reason="this system has no abstract unix sockets")]

Serve = Callable[..., Any]


@pytest.fixture(params=engines(processes=True))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    yield made
    made.close()


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.close()


def letter(kind: str = "result", body: bytes = b"1", correlation: str = "b" * 32) -> Job:
    return Job("0" * 32, "_reply." + "a" * 32, body, JSON, {CORRELATION: correlation, KIND: kind, ATTEMPT: "1", NUMBER: "0"})


def hearing_of(room: Mailroom) -> Hearing:
    assert room._hearing is not None
    return room._hearing


def heard(ear: Ear) -> list[bytes]:
    ear.wait(0)
    out = []
    while (first := ear.first()) is not None:
        out.append(first)
        ear.passed()
    return out


# The ear and the post


def test_a_letter_arrives_as_it_was_sent(ear: Ear, post: Post) -> None:
    assert ear_of(ear.address) == ear.token
    assert post.send(ear.token, letter(body=b'"text"'), kept=True)
    [came] = heard(ear)
    read = read_letter(came)
    assert read is not None
    token, reply, kept = read
    assert (token, reply.kind, reply.body, reply.content_type, kept) == ("b" * 32, Kind.RESULT, b'"text"', JSON, True)


def test_what_cannot_be_sent_is_said(ear: Ear, post: Post) -> None:
    assert not post.send(ear.token, letter(body=b"x" * LARGEST))
    sent = 0
    while post.send(ear.token, letter()):  # nobody reads there: the system takes a few, and then no more
        sent += 1
    assert sent
    assert len(heard(ear)) == sent
    assert post.send(ear.token, letter())
    ear.close()
    assert not post.send(ear.token, letter())


@pytest.mark.parametrize("address", [None, "", "x", "a.b", "elsewhere.1." + "a" * 32, "\0." + "a" * 32, "a" * 99 + "." + "a" * 32])
def test_an_address_from_elsewhere_is_none(address: str | None) -> None:
    assert ear_of(address) == ""


def test_what_is_no_letter_is_none(ear: Ear) -> None:
    good = msgspec.msgpack.encode(Letter(letter().headers, JSON, b"1"))
    for bad in (
        b"\xff",
        b"\x91" * 5000,
        good[:-1],
        good + b"x",
        msgspec.msgpack.encode([{"a": 1}, "", b""]),
        msgspec.msgpack.encode([{}, "", b""]),
    ):
        assert read_letter(bad) is None


# Calls


def test_a_short_call_asks_the_store_for_nothing(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    add = task(tasks, "add")
    until(lambda: add.call(1, 2, timeout=LONG) == 3 and hearing_of(mailroom(link)).patience)
    waits: list[object] = []
    wait = link.store.wait
    link.store.wait = lambda *given: waits.append(given) or wait(*given)  # type: ignore[method-assign, func-returns-value]
    without = 0
    for n in range(40):
        before = len(waits)
        assert add.call(n, timeout=LONG) == n
        without += len(waits) == before
    link.store.wait = wait  # type: ignore[method-assign]
    assert without  # most of them, as a rule; a machine that is very busy lets a call last longer now and then


def test_copies_do_not_pile_up(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    for n in range(3 * COPIES):
        assert task(tasks, "add").call(n, timeout=LONG) == n
    room = mailroom(link)
    left = link.store.counts([room.queue])[room.queue]
    assert left.ready + left.running < 2 * COPIES
    assert (Feature.ATOMIC in link.store.features) or not left.ready + left.running
    assert room.dropped == 0


def test_long_calls_large_answers_and_errors(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)
    assert task(tasks, "large").call(10, timeout=LONG) == "x" * 10
    assert task(tasks, "large").call(2 * LARGEST, timeout=LONG) == "x" * (2 * LARGEST)
    with pytest.raises(ValueError, match="no such number"):
        task(tasks, "fail").call("value", timeout=LONG)


def sleepy(tasks: Tasks) -> Tasks:
    @tasks.task
    def dream(seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    return tasks


def test_a_call_that_lasts_is_heard_from_while_the_caller_sleeps_in_the_store(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    serve(url, sleepy)
    dream = task(sleepy(tasks), "dream")
    assert [dream.call(2 * LONGEST_PATIENCE, timeout=LONG) for _ in range(3)] == ["slept"] * 3
    thread = hearing_of(mailroom(link))._thread
    assert thread is not None
    assert thread.is_alive()

    async def awaited() -> list[str]:
        return await asyncio.gather(*(dream.acall(2 * LONGEST_PATIENCE, timeout=LONG) for _ in range(3)))

    assert asyncio.run(awaited()) == ["slept"] * 3


def test_many_at_once_find_the_ear_full(url: str, tasks: Tasks, serve: Serve) -> None:
    serve(url)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(task(tasks, "add").acall(n, timeout=LONG) for n in range(200)))

    assert asyncio.run(all_of_them()) == list(range(200))
    answers: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: answers.update({n: task(tasks, "add").call(n, timeout=LONG)})) for n in range(20)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert answers == {n: n for n in range(20)}


def test_an_answer_by_the_store_is_heard_too_and_sooner_the_next_time(url: str, link: Link, tasks: Tasks) -> None:
    """A worker elsewhere, or of a version that knows no letters."""
    add, store, stop = task(tasks, "add"), Link(url), threading.Event()

    def answer() -> None:
        while not stop.is_set():
            for lent in store.store.claim(("default",), 10, 30.0, store.holder()):
                caller = caller_of(lent.job)
                assert caller is not None
                store.store.put((reply_job(caller, store.new_id(), Kind.RESULT, b"7", JSON, 1),))
            stop.wait(0.002)

    other = threading.Thread(target=answer)
    other.start()
    for _ in range(5):
        assert add.call(1, timeout=LONG) == 7
    assert hearing_of(mailroom(link)).patience == 0
    stop.set()
    other.join(LONG)
    store.close()


def test_forged_letters_are_dropped_and_counted(url: str, link: Link, tasks: Tasks, serve: Serve) -> None:
    room = mailroom(link)
    room.prepare()
    token = hearing_of(room).ear.token
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for what in (b"\xff garbage", msgspec.msgpack.encode(Letter(letter().headers, JSON, b"666")), b""):
            stranger.sendto(what, f"\0ropeway-ear.{token}".encode())
    serve(url)
    assert task(tasks, "add").call(1, timeout=LONG) == 1
    assert room.dropped == 2


def test_who_wants_more_than_the_answer_has_no_ear(url: str, link: Link, tasks: Tasks) -> None:
    call = task(tasks, "add").begin(1, timeout=LONG)
    assert EAR not in call.job.headers
    call.cancel()


# The worker's side


def test_before_or_after_the_ack(url: str, ear: Ear) -> None:
    """On an engine that commits all or nothing the letter comes after it, and the store has the answer too."""
    bench = Bench(url)
    atomic = Feature.ATOMIC in bench.link.store.features
    HEADERS[EAR] = ear.address
    try:
        run = bench.run()
    finally:
        del HEADERS[EAR]
    attend([run], early=not atomic)
    bench.judge.done(run, 5)
    inbox = Inbox(bench.link.clock)
    inbox.report(run)
    assert inbox.urgent is atomic
    assert len(heard(ear)) == (not atomic)
    bench.settler.add([run])
    assert bench.settler.settle()
    assert [read_letter(came)[2] for came in heard(ear)] == [True] * atomic  # type: ignore[index]
    assert len(bench.replies()) == atomic
    bench.link.close()


def test_a_lost_claim_sends_no_letter_where_all_is_one(url: str, ear: Ear) -> None:
    bench = Bench(url)
    if Feature.ATOMIC not in bench.link.store.features:
        bench.link.close()
        return
    HEADERS[EAR] = ear.address
    try:
        run = bench.run()
    finally:
        del HEADERS[EAR]
    bench.judge.done(run, 5)
    run.lent.receipt = run.lent.receipt[:-4] + ("0000" if not run.lent.receipt.endswith("0000") else "1111")
    Inbox(bench.link.clock).report(run)
    bench.settler.add([run])
    bench.settler.settle()
    assert heard(ear) == []
    assert bench.replies() == []
    bench.link.close()


def test_a_run_that_is_tried_again_sends_no_letter(url: str, ear: Ear) -> None:
    bench = Bench(url)
    HEADERS[EAR] = ear.address
    try:
        run = bench.run()
    finally:
        del HEADERS[EAR]
    attend([run], early=True)
    bench.judge.failed(run, "not yet")
    Inbox(bench.link.clock).report(run)
    bench.settler.add([run])
    assert bench.settler.settle()
    assert heard(ear) == []
    [reply] = bench.replies()
    assert reply.headers[KIND] == "retrying"
    bench.link.close()


def test_no_hearing_outlives_its_connection(url: str) -> None:
    link = Link(url)
    mailroom(link).prepare()
    hearing = hearing_of(mailroom(link))
    with hearing.beside():
        thread = hearing._thread
    assert thread is not None
    link.close()
    thread.join(LONG)
    assert not thread.is_alive()
