"""Putting: every option, what is refused, and that a refusal stores nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from ropeway.errors import BadBody, BadName, BadValue, Conflict, Stopped
from ropeway.job import State
from ropeway.link import Link
from ropeway.options import Settings, make_job, make_jobs
from ropeway.queue import Queue
from ropeway.retry import Retry
from ropeway.testing.clock import START, FakeClock

Mails = Queue[Any]


class Mail(msgspec.Struct):
    """A body with a type."""

    to: str
    copies: int = 1


def test_a_body_comes_back_as_it_was_put(mails: Mails) -> None:
    for data in (b"\x00\xff", "grüße", {"a": [1, 2.5, None]}, [1], 7, None):
        mails.put(data)
        claim = mails.claim()
        assert claim is not None
        assert claim.data == data
        claim.ack()


def test_every_option_reaches_the_job(mails: Mails, clock: FakeClock) -> None:
    handle = mails.put(
        b"x",
        priority=10,
        delay="10m",
        key="welcome:42",
        ttl="1d",
        headers={"tenant": "7"},
        keep="1h",
        lane="customer-7",
        task="welcome",
    )
    [entry] = mails.browse(ids=[handle.id])
    job = entry.job
    assert (job.priority, job.key, job.ttl, job.keep, job.lane, job.task) == (10, "welcome:42", 86400, 3600, "customer-7", "welcome")
    assert job.headers == {"tenant": "7"}
    assert entry.state is State.DELAYED
    assert entry.due == pytest.approx(START + 600)
    assert mails.claim() is None
    clock.advance(601)
    assert mails.claim() is not None


def test_the_defaults_are_those_of_the_queue(link: Link) -> None:
    queue: Mails = Queue(link, "slow", settings=Settings(keep=60.0, priority=7, lease=5.0, retry=Retry(1)))
    handle = queue.put(b"x")
    assert queue.browse()[0].job.priority == 7
    claim = queue.claim()
    assert claim is not None
    assert claim.until == pytest.approx(link.clock.boot() + 5, abs=0.01)
    claim.ack("done")
    assert handle.result(0) == "done"
    queue.put(b"y", keep=0, priority=99)
    assert [(e.job.keep, e.job.priority) for e in queue.browse(state="ready")] == [(0, 99)]


def test_a_moment_with_its_zone(mails: Mails, clock: FakeClock) -> None:
    for zone in (UTC, timezone(timedelta(hours=-7))):
        handle = mails.put(b"x", at=datetime.fromtimestamp(START, zone) + timedelta(hours=1))
        assert mails.browse(ids=[handle.id])[0].due == pytest.approx(START + 3600, abs=0.001)
    past = mails.put(b"x", at=datetime.fromtimestamp(START, UTC) - timedelta(days=1))
    assert past.state() is State.READY


def test_a_moment_without_a_zone_is_refused(mails: Mails) -> None:
    with pytest.raises(BadValue, match="no time zone") as caught:
        mails.put(b"x", at=datetime(2030, 1, 1))
    assert "nothing was stored" in str(caught.value)
    with pytest.raises(BadValue, match="not both"):
        mails.put(b"x", at=datetime.now(UTC), delay=1)
    with pytest.raises(BadValue, match="datetime"):
        mails.put(b"x", at="tomorrow")  # type: ignore[arg-type]
    assert len(mails) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 100},
        {"priority": -1},
        {"delay": "soon"},
        {"delay": -1},
        {"ttl": float("nan")},
        {"key": ""},
        {"key": "x" * 2000},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc"}},
        {"task": "../x"},
        {"id": "not-an-id"},
        {"on_conflict": "explode"},
    ],
)
def test_a_bad_option_stores_nothing(mails: Mails, options: dict[str, Any]) -> None:
    with pytest.raises((BadValue, BadName)):
        mails.put(b"x", **options)
    assert len(mails) == 0


def test_an_unknown_option_is_a_type_error_that_names_it(mails: Mails) -> None:
    with pytest.raises(TypeError, match=r"priorty.*priority"):
        mails.put(b"x", priorty=1)  # type: ignore[call-arg]
    assert len(mails) == 0


def test_a_name_that_is_none_is_refused_at_once(link: Link) -> None:
    for name in ("", ".hidden", "a/b", "x" * 129, "ü"):
        with pytest.raises(BadName):
            Queue(link, name)
    assert not link.opened


# Types


def test_a_typed_queue_gives_back_its_type(link: Link) -> None:
    queue = Queue[Mail](link, "typed", Mail)
    queue.put(Mail("a@example.org", 2))
    claim = queue.claim()
    assert claim is not None
    assert claim.data == Mail("a@example.org", 2)


def test_what_is_not_of_the_type_is_refused_at_the_put(link: Link) -> None:
    queue: Mails = Queue(link, "typed", Mail)
    for wrong in (Mail("a", "two"), {"copies": 1}, 5, "text", b"raw"):  # type: ignore[arg-type]
        with pytest.raises(BadBody, match="Mail"):
            queue.put(wrong)
    assert len(queue) == 0


def test_what_is_not_of_the_type_is_refused_at_the_claim(link: Link) -> None:
    Queue[Any](link, "typed").put({"copies": 1})
    claim = Queue[Mail](link, "typed", Mail).claim()
    assert claim is not None
    with pytest.raises(BadBody):
        claim.data  # noqa: B018
    assert claim.body == b'{"copies":1}'  # the bytes are there all the same


def test_types_that_are_no_classes(link: Link) -> None:
    numbers: Mails = Queue(link, "numbers", list[int])
    numbers.put([1, 2])
    with pytest.raises(BadBody):
        numbers.put(["1"])
    with pytest.raises(BadValue):
        Queue(link, "odd", dict[Mail, object()])  # type: ignore[misc]


def test_what_json_cannot_carry_is_refused(mails: Mails) -> None:
    with pytest.raises(BadBody, match="nothing was stored"):
        mails.put(object())
    with pytest.raises(BadBody):
        mails.put("\ud800")
    assert len(mails) == 0


# Many


def test_many_are_one_commit_in_order(mails: Mails) -> None:
    handles = mails.put_many([{"n": n} for n in range(50)], priority=3)
    assert len({handle.id for handle in handles}) == 50
    got = [claim.data["n"] for claim in mails.claims(idle=0, batch=50)]
    assert got == list(range(50))
    assert mails.put_many([]) == []


def test_one_bad_among_many_stores_none(mails: Mails) -> None:
    with pytest.raises(BadBody):
        mails.put_many([1, 2, object()])
    assert len(mails) == 0


def test_many_cannot_share_a_key(mails: Mails) -> None:
    with pytest.raises(BadValue, match="share"):
        mails.put_many([1, 2], key="k")


# Keys


def test_a_taken_key_is_a_conflict_by_default(mails: Mails) -> None:
    mails.put(1, key="k")
    with pytest.raises(Conflict, match="nothing was stored") as caught:
        mails.put(2, key="k")
    assert caught.value.key == "k"
    assert len(mails) == 1


def test_keep_answers_the_first_jobs_handle(mails: Mails) -> None:
    first = mails.put(1, key="k")
    again = mails.put(2, key="k", on_conflict="keep")
    assert first.created
    assert not again.created
    assert again.id == first.id
    assert again == first
    assert len(mails) == 1


def test_a_key_is_free_when_its_job_has_ended(mails: Mails) -> None:
    mails.put(1, key="k")
    claim = mails.claim()
    assert claim is not None
    with pytest.raises(Conflict):
        mails.put(2, key="k")
    claim.ack()
    assert mails.put(3, key="k", on_conflict="keep").created


def test_conflicts_in_a_batch_store_the_others_and_say_so(mails: Mails) -> None:
    mails.put(0, key="b")
    jobs = [mails.job(b"x", "text/plain", key=key) for key in "abc"]
    with pytest.raises(Conflict, match="the other 2 were stored"):
        mails.put_jobs(jobs)
    assert len(mails) == 3
    handles = mails.put_jobs([mails.job(b"y", "text/plain", key=key) for key in "abd"], keep_first=True)
    assert [handle.created for handle in handles] == [False, False, True]


def test_a_put_repeated_with_its_id_makes_no_double(mails: Mails) -> None:
    job_id = "01a1fdc4e50c732287b1408025de83df"
    assert mails.put(1, id=job_id).id == job_id
    assert mails.put(1, id=job_id.upper()).id == job_id
    assert len(mails) == 1


# Encoded


def test_an_encoded_body_is_stored_as_it_stands(link: Link) -> None:
    queue: Mails = Queue(link, "typed", Mail)
    handle = queue.put_encoded(b"<mail/>", "application/xml", priority=1)
    claim = queue.claim()
    assert claim is not None
    assert (claim.id, claim.body, claim.job.content_type) == (handle.id, b"<mail/>", "application/xml")


def test_a_stopped_queue_refuses_with_the_reason(mails: Mails) -> None:
    mails.pause(put=True, reason="disk is full")
    with pytest.raises(Stopped, match="disk is full") as caught:
        mails.put(1)
    assert caught.value.reason == "disk is full"
    mails.resume()
    assert re.fullmatch("[0-9a-f]{32}", mails.put(1).id)


def test_jobs_of_many_bodies_are_as_those_of_each(mails: Mails, clock: FakeClock) -> None:
    options: dict[str, Any] = {"priority": 7, "delay": "1m", "headers": {"Tenant": "7"}, "keep": 5, "lane": "a", "task": "t", "ttl": 9}
    bodies = [b"%d" % number for number in range(300)]
    made = make_jobs(mails._link, "mails", bodies, "text/plain", options)  # type: ignore[arg-type]
    alone = make_job(mails._link, "mails", b"0", "text/plain", options)  # type: ignore[arg-type]
    assert [job.body for job in made] == bodies
    assert [job.id for job in made] == sorted({job.id for job in made})
    assert all(msgspec.structs.replace(job, id=alone.id, body=b"0") == alone for job in made)
    assert (made.size, made.largest) == (sum(map(len, bodies)), 3)


def test_jobs_of_many_bodies_keep_every_rule(mails: Mails) -> None:
    link: Any = mails._link
    for error, queue, body, kind in (
        (BadName, "../up", b"x", "text/plain"),
        (BadBody, "q", "x", "text/plain"),
        (BadValue, "q", b"x", "a\nb"),
    ):
        with pytest.raises(error):
            make_jobs(link, queue, [b"good", body], kind, {})  # type: ignore[list-item]
    with pytest.raises(BadValue):
        make_jobs(link, "q", [b"x"], "text/plain", {"priority": 100})
    assert mails.counts().ready == 0
