"""The contract of put: stored whole, once, in order, or not at all."""

from __future__ import annotations

import pytest

from ...errors import BadName, RopewayError
from ...names import HEADER_LIMIT, KEY_LIMIT, NAME_LIMIT
from ...store import Feature, Handback, Query, Store
from ..clock import FakeClock
from .harness import HOLDER, Harness, MakeJob, needs, put_one, short, standing, take, take_one

BAD_NAMES = ["", ".", "..", ".hidden", "../up", "a/b", "a b", "a\n", "a\0", "ä", "x" * (NAME_LIMIT + 1), "%2e%2e", "*", "a;b", None, 7]
BAD_FIELDS = [
    {"id": "../../etc/passwd"},
    {"id": "0" * 31},
    {"id": "F" * 32},
    {"priority": -1},
    {"priority": 100},
    {"priority": 5.0},
    {"priority": True},
    {"delay": -1.0},
    {"delay": float("nan")},
    {"delay": float("inf")},
    {"delay": "1"},
    {"ttl": -1.0},
    {"keep": float("nan")},
    {"due": float("nan")},
    {"key": "k" * (KEY_LIMIT + 1)},
    {"key": "a\0b"},
    {"key": "\ud800"},
    {"task": "os.system('x')"},
    {"task": ".hidden"},
    {"body": "text"},
    {"body": None},
    {"headers": {"a b": "1"}},
    {"headers": {"a": "1\r\nb: 2"}},
    {"headers": {"a": "\0"}},
    {"headers": {"a": 1}},
    {"headers": {"": "x"}},
    {"headers": {"a": "x" * HEADER_LIMIT}},
    {"headers": ["a"]},
    {"content_type": "text/html\r\nSet-Cookie: a"},
]


class Putting(Harness):
    """put."""

    def test_an_empty_batch_is_no_error(self, store: Store) -> None:
        assert store.put([]) == []

    def test_what_was_put_is_ready(self, store: Store, job: MakeJob) -> None:
        assert store.put([job(), job()]) == [True, True]
        assert standing(store) == {"ready": 2}

    def test_created_and_due_are_filled_in(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job())
        assert one.created == pytest.approx(clock.now(), abs=0.01)
        assert one.due == pytest.approx(clock.now(), abs=0.01)

    @needs(Feature.DELAY)
    def test_due_is_after_the_delay(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        one = put_one(store, job(delay=600.0))
        assert one.due == pytest.approx(clock.now() + 600, abs=0.01)
        assert standing(store) == {"delayed": 1}

    def test_a_job_comes_out_as_it_went_in(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job(body=b"x", content_type="text/plain", headers={"tenant": "7 ä \U0001f600", "empty": "", "~!#": "="}))
        got = take_one(store).job
        assert (got.id, got.queue, got.body, got.content_type, got.headers) == (one.id, "q", b"x", "text/plain", one.headers)
        assert (got.priority, got.delay, got.key, got.ttl, got.keep, got.task, got.lane, got.once) == (50, 0.0, "", 0.0, 0.0, "", "", False)
        assert got.created == pytest.approx(one.created, abs=1e-5)
        assert got.due == pytest.approx(one.due, abs=1e-5)

    @needs(Feature.KEYS, Feature.KEEP, Feature.PRIORITY)
    def test_all_that_steers_a_job_comes_out_with_it(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(priority=7, key="k/1 ä", ttl=50.0, keep=60.0, task="mail.send", lane="customer 7"))
        got = take_one(store).job
        assert (got.priority, got.key, got.ttl, got.keep, got.task, got.lane) == (7, "k/1 ä", 50.0, 60.0, "mail.send", "customer 7")

    def test_what_the_caller_changes_later_is_not_changed_in_the_store(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job(body=b"old", headers={"a": "1"}))
        one.body, one.priority = b"new", 3
        one.headers["a"] = "2"
        got = take_one(store).job
        assert (got.body, got.headers, got.priority) == (b"old", {"a": "1"}, 50)

    def test_what_a_worker_changes_is_not_changed_in_the_store(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"old", headers={"a": "1"}))
        lent = take_one(store)
        lent.job.body, lent.job.priority, lent.job.queue = b"new", 3, "other"
        lent.job.headers["a"] = "2"
        store.nack([Handback(lent.receipt)])
        got = take_one(store).job
        assert (got.body, got.headers, got.priority, got.queue) == (b"old", {"a": "1"}, 50, "q")

    def test_the_same_put_again_is_one_job(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """The outcome of the first was unknown, say; due was kept with the object, and a while has passed."""
        one = put_one(store, job())
        moments = one.created, one.due
        clock.advance(3)
        assert store.put([one]) == [True]
        assert (one.created, one.due) == moments
        assert standing(store) == {"ready": 1}

    def test_the_same_put_again_while_it_runs_is_one_job(self, store: Store, job: MakeJob) -> None:
        one = put_one(store, job())
        take_one(store)
        assert store.put([one]) == [True]
        assert standing(store) == {"running": 1}

    def test_the_same_batch_again_is_one_batch(self, store: Store, job: MakeJob) -> None:
        batch = [job(body=b"%d" % n) for n in range(5)]
        assert store.put(batch) == store.put(batch) == [True] * 5
        assert [lent.job.body for lent in take(store, 10)] == [b"0", b"1", b"2", b"3", b"4"]

    @needs(Feature.KEYS)
    def test_once_refuses_the_id_from_anywhere(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        first = put_one(store, job(body=b"a", once=True))
        clock.advance(1)
        assert store.put([job(body=b"b", once=True, id=first.id)]) == [True]
        assert standing(store) == {"ready": 1}
        assert take_one(store).job.body == b"a"

    def test_a_job_that_was_stamped_elsewhere_keeps_its_moments(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """As when jobs are carried from one store to another: the older ones stay the older ones, and a ttl goes on running."""
        now = put_one(store, job(body=b"now"))
        clock.advance(10)
        old = put_one(store, job(body=b"old", created=now.created - 50, due=now.due - 50, ttl=100.0))
        assert (old.created, old.due) == (now.created - 50, now.due - 50)
        assert [lent.job.body for lent in take(store, 2)] == [b"old", b"now"]
        put_one(store, job(body=b"stale", created=now.created - 50, due=now.due - 50, ttl=40.0))
        assert take(store, 1) == []

    def test_an_id_that_is_here_changes_nothing(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        first = put_one(store, job(body=b"a"))
        clock.advance(1)
        if self.knows_ids:
            assert store.put([job(body=b"b", id=first.id), job(body=b"c", id=first.id)]) == [True, True]
            assert standing(store) == {"ready": 1}
        assert take_one(store).job.body == b"a"

    def test_queues_are_apart(self, store: Store, job: MakeJob) -> None:
        store.put([job("a", b"1"), job("A", b"2"), job("a.b", b"3"), job("_own", b"4")])
        assert [take_one(store, name).job.body for name in ("A", "a.b", "_own", "a")] == [b"2", b"3", b"4", b"1"]

    def test_the_longest_name_is_a_name(self, store: Store, job: MakeJob) -> None:
        name = "Z" * NAME_LIMIT
        put_one(store, job(name))
        assert take_one(store, name).job.queue == name
        assert name in store.queues()

    @pytest.mark.parametrize("name", BAD_NAMES, ids=short)
    def test_a_bad_name_is_refused_by_every_verb(self, store: Store, job: MakeJob, name: str) -> None:
        for refused in (
            lambda: store.put([job(name)]),
            lambda: store.claim([name], 1, 30.0, HOLDER),
            lambda: store.wait([name], 0),
            lambda: store.counts([name]),
        ):
            with pytest.raises(BadName):
                refused()
        assert store.queues() == []

    @needs(Feature.SWITCHES, Feature.PICK, Feature.BROWSE)
    def test_a_bad_name_is_refused_to_operators(self, store: Store) -> None:
        for refused in (
            lambda: store.pause(["../up"], put=True),
            lambda: store.pick("../up", ["0" * 32], 30.0, HOLDER),
            lambda: store.browse(Query(queues=("../up",))),
            lambda: store.delete(Query(queues=("../up",))),
            lambda: store.requeue(Query(queues=("../up",))),
        ):
            with pytest.raises(BadName):
                refused()

    @pytest.mark.parametrize("fields", BAD_FIELDS, ids=short)
    def test_a_bad_job_is_refused_and_nothing_is_stored(self, store: Store, job: MakeJob, fields: dict[str, object]) -> None:
        good, bad = job(body=b"good"), job(**fields)  # type: ignore[arg-type]
        with pytest.raises(ValueError) as caught:
            store.put([good, bad])
        assert isinstance(caught.value, RopewayError)
        assert standing(store) == {}
        assert take(store, 5) == []
