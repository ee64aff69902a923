"""What happens to the jobs of a queue, told over real HTTP: each thing once, in its order, with what was missed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ropeway
from ropeway.broker import Broker
from ropeway.clock import SYSTEM
from ropeway.link import Link
from ropeway.server import Grant, sampling, seen
from ropeway.server.grants import EVERYTHING
from ropeway.server.sampling import Sampler
from ropeway.server.seen import Seen
from ropeway.server.stopping import Stopping
from ropeway.server.tap import Tapped
from ropeway.testing.clock import FakeClock

from .conftest import Server, Start
from .test_talking import dial
from .test_topics import Stream

Listen = Callable[..., "Jobs"]


class Jobs(Stream):
    """The stream of one queue."""

    def __init__(self, server: Server, queue: str, last: str = "", token: str | None = None) -> None:
        super().__init__(server, f"/v1/queues/{queue}/events", last, token)
        self.text = ""

    def job(self) -> dict[str, Any]:
        """The next thing that happened; how the queue stands is passed over."""
        while True:
            kind, data = self.next()
            self.text += json.dumps(data)
            if kind == "job":
                told: dict[str, Any] = data
                return told
            assert kind in ("snapshot", "change"), (kind, data)

    def jobs(self, count: int) -> list[tuple[Any, ...]]:
        """So many of them: event, id, attempt."""
        return [(one["event"], one["id"], one.get("attempt")) for one in (self.job() for _ in range(count))]


@pytest.fixture
def listen(server: Server) -> Iterator[Listen]:
    made: list[Jobs] = []

    def one(queue: str, **more: Any) -> Jobs:
        made.append(Jobs(server, queue, **more))
        return made[-1]

    yield one
    for stream in made:
        stream.close()


def _put(server: Server, queue: str, body: str = "x") -> str:
    answer = server.ask("POST", f"/v1/queues/{queue}/jobs", body, Content_Type="text/plain")
    assert answer.status == 201
    return str(answer.json["id"])


def _claim(server: Server, queue: str) -> str:
    (job,) = server.ask("POST", f"/v1/queues/{queue}/claims?lease=60s").json
    return str(job["receipt"])


def test_the_story_of_a_job(server: Server, listen: Listen) -> None:
    stream = listen("story")
    assert stream.next()[0] == "snapshot"
    before = time.time()
    job = _put(server, "story", "what-it-carries")
    told = stream.job()
    assert (told["event"], told["id"], told["queue"], told["priority"]) == ("put", job, "story", 50)
    assert before - 1 <= told["at"] <= time.time() + 1
    server.post("/v1/nack", {"receipts": [_claim(server, "story")], "error": "smtp busy"})
    assert stream.job() | {"at": 0} == {"event": "claimed", "id": job, "queue": "story", "at": 0, "attempt": 1}
    told = {"event": "failed", "id": job, "queue": "story", "at": 0, "attempt": 1, "outcome": "failed", "delay": 0.0}
    assert stream.job() | {"at": 0} == told
    server.post("/v1/nack", {"receipts": [_claim(server, "story")], "restore": True})
    server.post("/v1/bury", {"receipts": [_claim(server, "story")], "error": "bad address"})
    server.post("/v1/jobs/requeue", {"ids": [job]})
    receipt = _claim(server, "story")
    server.post("/v1/jobs/cancel", {"ids": [job]})
    server.post("/v1/ack", {"receipts": [receipt]})
    assert stream.jobs(8) == [
        *(("claimed", job, 2), ("returned", job, 2), ("claimed", job, 2), ("buried", job, 2), ("requeued", job, None)),
        *(("claimed", job, 1), ("cancelled", job, None), ("done", job, 1)),  # it begins anew
    ]
    assert "what-it-carries" not in stream.text
    assert "smtp" not in stream.text


def test_what_operators_do_to_many(server: Server, listen: Listen) -> None:
    stream = listen("many")
    ids = server.ask("POST", "/v1/queues/many/jobs", "1\n2\n3\n", Content_Type="application/x-ndjson").json["ids"]
    server.post("/v1/jobs/delete", {"ids": ids[:1]})
    server.post("/v1/jobs/move", {"ids": ids[1:2], "to": "elsewhere"})
    server.ask("POST", "/v1/queues/many/purge")
    told = [stream.job() for _ in range(6)]
    assert [(one["event"], one["id"]) for one in told[:4]] == [*(("put", job) for job in ids), ("deleted", ids[0])]
    assert ("deleted", ids[1]) in [(one["event"], one["id"]) for one in told[4:]] or told[4]["event"] == "claimed"
    assert [one for one in told if one["event"] == "deleted" and one["id"] is None] or stream.job()


def test_every_door_is_seen(server: Server, listen: Listen) -> None:
    """Routes of old, WebSockets, and a worker on the engine http:, whose turn is one commit."""
    stream = listen("doors")
    server.ask("POST", "/q/doors", "1", Content_Type="application/json")
    assert server.ask("GET", "/q/doors").status == 200
    assert [one[0] for one in stream.jobs(3)] == ["put", "claimed", "done"]
    with dial(server) as talk:
        talk.send(json.dumps({"n": 1, "op": "put", "queue": "doors", "body": 1}))
        job = json.loads(talk.recv(30))["id"]
        talk.send(json.dumps({"n": 2, "op": "claim", "queue": "doors"}))
        talk.recv(30)
    assert stream.jobs(3) == [("put", job, None), ("claimed", job, 1), ("returned", job, 1)]
    with ropeway.connect(f"http://:{server.token}@{server.host}") as broker:

        @broker.task(queue="doors", name="doors")
        def nothing() -> None:
            """It ends well."""

        handle = nothing.put()
        broker.store.delete(ropeway.store.Query(ids=(job,)))
        broker.worker("doors", drain=True).run()
    assert stream.jobs(2) == [("put", handle.id, None), ("deleted", job, None)]
    told = [stream.job() for _ in range(2)]
    assert [(one["event"], one["id"], one["attempt"], one.get("task")) for one in told] == [
        ("claimed", handle.id, 1, "doors"),
        ("done", handle.id, 1, None),
    ]


def test_a_claim_from_before_anybody_listened(server: Server, listen: Listen) -> None:
    job = _put(server, "before")
    receipt = _claim(server, "before")
    stream = listen("before")
    assert stream.next()[0] == "snapshot"
    server.post("/v1/ack", {"receipts": [receipt]})
    assert stream.jobs(1) == [("done", job, 1)]


def test_a_lease_that_was_lost(server: Server, listen: Listen) -> None:
    stream = listen("lost")
    job = _put(server, "lost")
    receipt = _claim(server, "lost")
    server.post("/v1/ack", {"receipts": [receipt]})
    server.post("/v1/ack", {"receipts": [receipt]})
    _put(server, "lost")
    assert [one[:2] for one in stream.jobs(3)] == [("put", job), ("claimed", job), ("done", job)]
    assert stream.job()["event"] == "put", "a receipt that was settled is nobody's any more"


def test_who_comes_back_is_told_what_it_missed(server: Server, listen: Listen) -> None:
    first = listen("back")
    job = _put(server, "back")
    assert first.jobs(1) == [("put", job, None)]
    first.close()
    ids = [_put(server, "back") for _ in range(4)]
    _put(server, "another")
    second = listen("back", last=first.last)
    assert second.jobs(4) == [("put", job, None) for job in ids]
    third = listen("back", last=second.last)
    job = _put(server, "back")
    assert third.jobs(1) == second.jobs(1) == [("put", job, None)]


def test_what_is_too_long_ago_is_counted(server: Server, listen: Listen) -> None:
    first = listen("long")
    first.next()
    _put(server, "long")
    assert first.job()["event"] == "put"
    first.close()
    lines = "1\n" * 1000
    ids = []
    for _ in range(2):
        ids += server.ask("POST", "/v1/queues/long/jobs", lines, Content_Type="application/x-ndjson").json["ids"]
    second = listen("long", last=first.last)
    kind, data = second.next()
    while kind != "missed":
        assert kind in ("snapshot", "change")
        kind, data = second.next()
    assert data == {"missed": 1000}
    assert [one[1] for one in second.jobs(1000)] == ids[1000:]


@pytest.mark.parametrize(
    "last", ["elsewhere-1-1-1", "nonsense", "-", "x" * 500, "{life}-1-{turn}-999999", "{life}-1-99-0", "{life}-1", "{life}----"]
)
def test_a_mark_that_means_nothing_here_is_said_so(server: Server, listen: Listen, last: str) -> None:
    stream = listen("marks")
    stream.next()
    life, _, turn, _ = stream.last.split("-")
    again = listen("marks", last=last.format(life=life, turn=turn))
    kind, data = again.next()
    assert (kind, data) == ("missed", {"missed": -1}) if kind != "snapshot" else again.next() == ("missed", {"missed": -1})


def test_a_reader_that_does_not_read_loses_the_oldest_and_no_count(server: Server, listen: Listen) -> None:
    """Far more than the sockets hold: what arrives and what was missed make up the whole."""
    stream, lines, rounds = listen("slow"), "1\n" * 1000, 40
    stream.next()
    for _ in range(rounds):
        assert server.ask("POST", "/v1/queues/slow/jobs", lines, Content_Type="application/x-ndjson").status == 201
    last, came, missed = _put(server, "slow"), 0, 0
    while True:
        kind, data = stream.next()
        came += kind == "job"
        missed += data["missed"] if kind == "missed" else 0
        if kind == "job" and data["id"] == last:
            break
    assert came + missed == 1000 * rounds + 1
    assert missed > 1000


def test_what_others_do_to_the_same_store_is_counted_and_not_told(starter: Start, tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    server = starter(url=url)
    stream = Jobs(server, "beside")
    try:
        assert stream.next()[0] == "snapshot"
        with ropeway.connect(url) as broker:
            broker.queue("beside").put("x")
            kind, data = stream.next()
            assert (kind, [row["ready"] for row in data["queues"]]) == ("change", [1])
            job = _put(server, "beside")
            assert stream.jobs(1) == [("put", job, None)]
    finally:
        stream.close()


ROLES = """
[[token]]
name = "page"
token = "the-page-has-this-token"
observe = ["orders*", "!orders-secret"]

[[token]]
name = "maker"
token = "the-maker-has-this-token"
produce = ["*"]
consume = ["*"]

[[token]]
name = "brief"
token = "the-brief-has-this-token"
observe = ["*"]
produce = ["*"]
expires = {expires}
"""
PAGE, MAKER, BRIEF = "the-page-has-this-token", "the-maker-has-this-token", "the-brief-has-this-token"


def test_who_may_hear_what(starter: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES.format(expires="2099-01-01T00:00:00Z"))
    file.chmod(0o600)
    server = starter("--token-file", str(file))
    brief_all = Stream(server, "/v1/events", token=BRIEF)
    for queue, token, status in (
        ("orders", PAGE, 200),
        ("mails", PAGE, 403),
        ("orders-secret", PAGE, 403),
        ("_groups", PAGE, 403),
        ("orders", MAKER, 403),
        ("orders", "", 401),
        ("a%20b", BRIEF, 400),
    ):
        assert server.ask("GET", f"/v1/queues/{queue}/events", token=token).status == status, queue
    stream = Jobs(server, "orders", token=PAGE)
    stream.next()
    for queue in ("mails", "orders-secret", "orders"):
        assert server.ask("POST", f"/v1/queues/{queue}/jobs", "x", token=MAKER).status == 201
    assert stream.job()["queue"] == "orders"
    stream.close()
    file.write_text(ROLES.format(expires="2020-01-01T00:00:00Z"))
    with suppress(AssertionError):  # a token whose time is over hears no more
        while True:
            brief_all.next()
    brief_all.close()
    assert server.ask("GET", "/v1/queues/mails/events", token=BRIEF).status == 401


# -- by hand


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker(Link("memory:", SYSTEM), config=False)
    yield broker
    broker.close()


EVERYONE = Grant("test", EVERYTHING)


def test_where_nobody_listens_the_store_is_bare(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one look more on the way of a job: there is nothing around the store."""
    monkeypatch.setattr(seen, "LINGER", 0.0)

    async def run() -> None:
        stopping = Stopping()
        everybody = Seen(broker, Sampler(broker, stopping), stopping)
        bare = broker.store
        one, other = everybody.join("a", EVERYONE), everybody.join("b", EVERYONE)
        assert isinstance(broker.store, Tapped)
        everybody.leave(one)
        await asyncio.sleep(0.01)
        assert isinstance(broker.store, Tapped)
        everybody.leave(other)
        everybody.leave(other)
        await asyncio.sleep(0.01)
        assert broker.store is bare
        assert not everybody.crowded

    asyncio.run(run())


def test_nothing_is_told_of_a_commit_that_failed(broker: Broker) -> None:
    async def run() -> None:
        stopping = Stopping()
        everybody = Seen(broker, Sampler(broker, stopping), stopping)
        reader = everybody.join("a", EVERYONE)
        queue = broker.queue("a")
        with suppress(RuntimeError), broker.store.commit():
            queue.put("lost")
            raise RuntimeError
        with broker.store.commit():
            queue.put("kept")
        await asyncio.wait_for(reader.news.wait(), 10)
        _, some, _ = reader.take()
        assert len(some) == 1
        everybody.leave(reader)

    asyncio.run(run())


def test_what_the_loop_has_no_time_for_is_counted(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "COMING", 10)

    async def run() -> None:
        stopping = Stopping()
        everybody = Seen(broker, Sampler(broker, stopping), stopping)
        reader, other = everybody.join("a", EVERYONE), everybody.join("b", EVERYONE)
        for number in range(25):  # the loop has no turn meanwhile
            broker.queue("a").put(number)
        await asyncio.wait_for(reader.news.wait(), 10)
        missed, some, _ = reader.take()
        assert (missed, len(some)) == (15, 10)
        assert other.take() == (0, [], None)
        mark = f"{everybody._sampler.life}-0-{reader.room.turn}-0"  # as of a client that has seen nothing
        again = everybody.join("a", EVERYONE, mark)
        missed, some, _ = again.take()
        assert (missed, len(some)) == (15, 10)

    asyncio.run(run())


def test_one_task_looks_however_often_somebody_comes_and_goes(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that was loaded anew within a second left one task more behind each time, each of which looked each second."""
    monkeypatch.setattr(sampling, "EACH", 30.0)

    async def run() -> None:
        sampler = Sampler(broker, Stopping())
        for _ in range(5):
            stream = sampler.events(EVERYONE, 0, lambda: True)
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
        looking = [task for task in asyncio.all_tasks() if "Sampler._run" in repr(task.get_coro())]
        assert len(looking) == 1
        looking[0].cancel()

    asyncio.run(run())


def test_a_stream_ends_with_its_token() -> None:
    """By its time, which the clock tells, and by the word of the gate."""

    clock = FakeClock()

    async def run() -> None:
        with Broker(Link("memory:", clock), config=False) as broker:
            stopping = Stopping()
            seen = Seen(broker, Sampler(broker, stopping), stopping)
            for brief in (True, False):
                good = True
                reader = seen.join("q", msgspec.structs.replace(EVERYONE, expires=clock.now() + 10.0) if brief else EVERYONE)
                stream = seen.events(reader, "", lambda: good)  # noqa: B023 - asked in this turn alone
                assert b"snapshot" in await anext(stream)
                await broker.queue("q").aput(1)
                assert b'"put"' in await anext(stream)
                clock.advance(11.0)
                good = brief
                await broker.queue("q").aput(2)
                assert await anext(stream, None) is None
                seen.leave(reader)

    asyncio.run(run())
