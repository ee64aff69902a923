"""The worker's side: the reply and the ack are one; a lost claim says nothing where that can be had; what is refused harms no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines import engines, place
from ropeway.calls.wire import CORRELATION, KIND, REPLY_TO, WANTS, read_failure
from ropeway.errors import BadValue, StoreError
from ropeway.job import Job
from ropeway.link import Link
from ropeway.store import Ack, Feature, Handback
from ropeway.tasks import Tasks
from ropeway.worker.ferry import Ferry
from ropeway.worker.inbox import PARTS, Inbox
from ropeway.worker.journal import Counters, Journal
from ropeway.worker.judge import Judge
from ropeway.worker.replies import attend, begun, last_word, progressed, put_out
from ropeway.worker.run import End, Run, Shift, Verdict
from ropeway.worker.settler import Settler

BOX = "_reply." + "a" * 32
HEADERS = {REPLY_TO: BOX, CORRELATION: "b" * 32}


class Bench:
    """A settler on a store, and runs of calls that were claimed there."""

    def __init__(self, url: str) -> None:
        self.link = Link(url)
        self.shift = Shift(self.link, 30.0)
        self.counters = Counters()
        self.gone: list[Run] = []
        self.settler = Settler(self.shift, Journal(self.shift, self.counters), self.gone.extend)
        self.judge = Judge(self.shift, None)

    def run(self, ttl: float = 60.0, wants: str = "", keep: float = 0.0) -> Run:
        headers = {**HEADERS, WANTS: wants} if wants else HEADERS
        self.link.store.put((Job(self.link.new_id(), "default", b"{}", headers=headers, ttl=ttl, keep=keep, task="t"),))
        [lent] = self.link.store.claim(("default",), 1, 30.0, self.link.holder())
        run = Run(lent, self.shift, self.shift.boot())
        run.started = self.shift.boot()
        attend([run])
        assert run.caller is not None
        return run

    def replies(self) -> list[Job]:
        return [lent.job for lent in self.link.store.claim((BOX,), 100, 30.0, self.link.holder())]


@pytest.fixture(params=engines())
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with place(request.param, tmp_path) as url:
        made = Bench(url)
        yield made
        made.link.close()


def test_reply_and_ack_are_one(bench: Bench) -> None:
    good, bad = bench.run(), bench.run()
    bench.judge.done(good, {"answer": 42})
    bench.judge.refused(bad, "no such thing")
    bench.settler.add([good, bad])
    assert bench.settler.settle()
    first, second = bench.replies()
    assert (first.headers[KIND], first.body) == ("result", b'{"answer":42}')
    assert (second.headers[KIND], (read_failure(second.body) or pytest.fail("unread")).message) == ("error", "no such thing")
    assert first.ttl == 60
    counts = bench.link.store.counts(["default"])["default"]
    assert (counts.running, counts.dead, counts.done) == (0, 1, 0)
    assert bench.gone == [good, bad]


def test_a_lost_claim_says_nothing_where_all_is_one(bench: Bench) -> None:
    lost, kept = bench.run(), bench.run()
    bench.judge.done(lost, "from the run that does not count")
    bench.judge.done(kept, "from the other")
    bench.link.store.ack([Ack(lost.lent.receipt)])  # somebody else has settled it
    bench.settler.add([lost, kept])
    claimed = []
    assert bench.settler.settle(lambda store: claimed.append(store.claim(("default",), 1, 30.0, bench.link.holder())))
    said = {job.body for job in bench.replies()}
    if Feature.ATOMIC in bench.link.store.features:
        assert said == {b"from the other"}
    else:
        assert said == {b"from the other", b"from the run that does not count"}  # the run did happen
    assert len(claimed) >= 1
    assert (bench.counters.lost, bench.counters.done) == (1, 1)


def test_a_reply_that_is_refused_does_not_hold_up_its_run(bench: Bench) -> None:
    bench.link.store.pause((BOX,), put=True, reason="nobody is to answer")
    runs = [bench.run(), bench.run()]
    for run in runs:
        bench.judge.done(run, 1)
    bench.settler.add(runs)
    for _ in range(3):
        bench.settler.settle()
    assert bench.counters.done == 2
    assert not bench.settler.runs
    counts = bench.link.store.counts(["default"])["default"]
    assert (counts.running, counts.dead) == (0, 0)


def test_a_store_that_fails_is_told_again_and_the_reply_comes_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.run(wants="progress")
    run.shift.post = lambda part: bench.settler.parts.append(part) is None
    progressed(run, b"1")
    bench.judge.done(run, 1)
    bench.settler.add([run])
    ack, failing = bench.link.store.ack, [True]

    def broken(acks: Any) -> Any:
        answers = ack(acks)
        if failing.pop() if failing else False:
            raise StoreError("cut off")
        return answers

    monkeypatch.setattr(bench.link.store, "ack", broken)
    with pytest.raises(StoreError):
        bench.settler.settle()
    assert bench.settler.runs == [run]
    assert bench.settler.settle()
    kinds = sorted(job.headers[KIND] for job in bench.replies())
    assert kinds in (["progress", "result"], ["progress"])  # where the ack was done and not undone, the first reply was too


def test_a_bad_part_is_left_out(bench: Bench) -> None:
    good = Job(bench.link.new_id(), BOX, b"1", headers={CORRELATION: "b" * 32})
    bad = Job(bench.link.new_id(), BOX, b"2", headers={"bad name": "x"})
    run = bench.run()
    bench.judge.done(run, 1)
    bench.settler.add([run])
    bench.settler.parts.extend([bad, good])
    assert not bench.settler.settle()  # in pieces
    assert {job.body for job in bench.replies()} == {b"1"} | ({b"1"} if bench.counters.done else set())
    assert bench.counters.done == 1


# What is said, by the way a run ends


@pytest.fixture
def one(tmp_path: Path) -> Any:
    with place("memory", tmp_path) as url:
        made = Bench(url)
        yield made
        made.link.close()


def test_the_last_word_by_the_way_it_ended(one: Bench) -> None:
    def said(run: Run) -> tuple[str, str, list[str]]:
        job = last_word(run)
        assert job is not None
        assert last_word(run) is job  # the same, however often it is put
        failure = read_failure(job.body)
        return job.headers[KIND], failure.message if failure else "", failure.types if failure else []

    run = one.run()
    one.judge.done(run)
    assert said(run) == ("result", "", [])
    run = one.run()
    run.verdict = Verdict.CANCELLED
    one.judge.overruled(run)
    assert said(run) == ("error", "the run was called back", ["Cancelled"])
    run = one.run()
    one.judge.raised(run, ValueError("bad"))
    assert said(run) == ("retrying", "bad", ["ValueError"])
    run = one.run(ttl=0.001)
    one.judge.raised(run, ValueError("bad"))
    assert said(run) == ("error", "bad", ["ValueError"])
    run = one.run()
    run.deadline = run.started + 2
    run.verdict = Verdict.TIMEOUT
    for _ in range(9):
        run.lent.attempt += 1
        one.judge.overruled(run)
    assert said(run) == ("error", "timed out after 2s", ["TimeoutError"])
    run = one.run()
    run.lent.attempt = 9
    one.judge.failed(run, "app.Odd: very odd", "Traceback ...")  # told by another process, in words
    assert said(run) == ("error", "very odd", ["app.Odd"])
    for end in (End.RETURNED, End.LOST, End.OPEN):
        run = one.run()
        run.end = end
        run.handback = Handback(run.lent.receipt)
        assert last_word(run) is None


def test_only_what_is_wanted_is_said(one: Bench) -> None:
    posted: list[Job] = []
    one.shift.post = lambda part: posted.append(part) is None
    silent, curious = one.run(), one.run(wants="started progress output")
    for run in (silent, curious):
        begun(run)
        progressed(run, b"0.5")
        put_out(run, "item")
        put_out(run, "next")
    assert [(job.headers[KIND], job.headers["ropeway-number"]) for job in posted] == [
        ("started", "0"),
        ("progress", "0"),
        ("output", "0"),
        ("output", "1"),
    ]


def test_who_says_too_much_is_asked_to_wait(one: Bench) -> None:
    inbox = Inbox(one.link.clock)
    parts = [inbox.post(Job("0" * 32, BOX, b"x")) for _ in range(PARTS)]
    assert parts[0]
    assert not parts[-1]
    assert inbox.full()
    assert len(inbox.take_parts()) == PARTS
    assert not inbox.full()
    assert not inbox.post(Job("0" * 32, BOX, b"x" * (9 << 20)))
    inbox.take_parts()
    assert not inbox.full()


def test_a_ferry_gives_its_runs_the_way_to_the_inbox(one: Bench) -> None:
    from ropeway.worker.lookout import Lookout

    inbox = Inbox(one.link.clock)
    pool: Any = type("Pool", (), {"slots": 1, "crowd": 0, "room": 0, "stuck": 0})()
    Ferry(one.shift, Lookout(one.link, ["default"]), pool, inbox, Journal(one.shift, one.counters))
    one.shift.post(Job("0" * 32, BOX, b"x"))
    assert inbox.urgent
    assert len(inbox.parts) == 1
    with pytest.raises(BadValue):
        Tasks(one.link).errors(int)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
        pytest.param("mysql", marks=pytest.mark.service("mariadb")),
    ],
)
def test_a_call_waits_for_no_disk(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its put, nor the commit in which it is answered and settled; every other put does."""
    with place(name, tmp_path) as url:
        made = Bench(url.replace("durability=os", "durability=full"))
        store: Any = made.link.store
        began: list[bool] = []
        take = store.desk._take

        def taking(*args: Any) -> Any:
            session = take(*args)
            kind = type(session)
            begin = kind.begin
            if not hasattr(kind, "_was"):
                monkeypatch.setattr(kind, "_was", begin, raising=False)
                monkeypatch.setattr(kind, "begin", lambda self, durable, **more: (began.append(durable), begin(self, durable, **more))[1])
            return session

        monkeypatch.setattr(store.desk, "_take", taking)
        store.put((Job(made.link.new_id(), "default", b"x"),))
        assert True in began
        [other] = store.claim(("default",), 1, 30.0, made.link.holder())
        store.ack((Ack(other.receipt),))
        began.clear()
        store.put((Job(made.link.new_id(), "default", b"{}", headers=HEADERS, ttl=60.0, fleeting=True),))
        [lent] = store.claim(("default",), 1, 30.0, made.link.holder())
        run = Run(lent, made.shift, made.shift.boot())
        attend([run])
        made.judge.done(run, 1)
        made.settler.add([run])
        assert made.settler.settle(lambda store: store.claim(("default",), 1, 30.0, made.link.holder()))
        assert len(began) >= 2
        assert not any(began)
        with pytest.raises(BadValue, match="before what is fleeting"), store.commit():
            store.put((Job(made.link.new_id(), BOX, b"x", fleeting=True),))
            store.put((Job(made.link.new_id(), "default", b"x"),))
        with store.commit():
            store.put((Job(made.link.new_id(), "default", b"x"),))
            store.put((Job(made.link.new_id(), BOX, b"x", fleeting=True),))
        assert began[-1] is True
        made.link.close()
