"""The contract of Handback.edit: a job given back with another content, in the place that it has."""

from __future__ import annotations

import pytest

from ...errors import BadBody, BadValue
from ...store import Feature, Handback, Store
from ..clock import FakeClock
from .harness import HOLDER, Harness, MakeJob, Open, body_of, done, needs, put_one, standing, take_one


class Editing(Harness):
    """EDIT."""

    @needs(Feature.EDIT, Feature.PICK, Feature.KEYS)
    def test_a_waiting_job_gets_another_content(self, store: Store, second: Store, job: MakeJob) -> None:
        old = put_one(store, job(body=b"old", key="k", priority=10, headers={"a": "1"}, delay=60.0, keep=60.0))
        (lent,) = store.pick("q", [old.id], 30.0, HOLDER)
        assert lent is not None
        new = job(body=b"new", content_type="text/plain", headers={"b": "2"}, task="t", priority=99)
        assert store.nack([Handback(lent.receipt, restore=True, edit=new)]) == [True]
        assert store.put([job(key="k")]) == [False], "it still holds its key"
        got = take_one(second)
        assert (body_of(got.job), got.job.content_type, got.job.headers, got.job.task) == (b"new", "text/plain", {"b": "2"}, "t")
        assert (got.job.id, got.job.key, got.job.priority, got.job.keep, got.attempt) == (old.id, "k", 10, 0.0, 1)
        done(second, got)
        assert standing(store) == {}

    @needs(Feature.EDIT)
    def test_with_a_delay_it_is_due_anew(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        put_one(store, job(body=b"old"))
        assert store.nack([Handback(take_one(store).receipt, 30.0, restore=True, edit=job(body=b"new"))]) == [True]
        assert store.claim(["q"], 1, 30.0, HOLDER) == []
        clock.advance(31)
        got = take_one(store)
        assert (body_of(got.job), got.attempt) == (b"new", 1)

    @needs(Feature.EDIT)
    def test_longer_shorter_and_empty(self, store: Store, job: MakeJob) -> None:
        for old, new in ((b"x", b"y" * 100_000), (b"x" * 100_000, b"y"), (b"x", b""), (b"", b"y")):
            put_one(store, job(body=old))
            store.nack([Handback(take_one(store).receipt, edit=job(body=new))])
            got = take_one(store)
            assert body_of(got.job) == new
            done(store, got)

    @needs(Feature.EDIT)
    def test_one_of_a_batch(self, store: Store, job: MakeJob) -> None:
        store.put([job(body=bytes([number])) for number in range(3)])
        one = take_one(store)
        store.nack([Handback(one.receipt, restore=True, edit=job(body=b"new"))])
        assert [body_of(take_one(store).job) for _ in range(3)] == [b"new", b"\1", b"\2"]

    @needs(Feature.EDIT)
    def test_a_voided_receipt_edits_nothing(self, store: Store, job: MakeJob, clock: FakeClock) -> None:
        put_one(store, job(body=b"old"))
        lent = take_one(store, lease=5.0)
        clock.advance(5 + self.slack)
        again = take_one(store)
        assert store.nack([Handback(lent.receipt, edit=job(body=b"new"))]) == [False]
        store.nack([Handback(again.receipt)])
        assert body_of(take_one(store).job) == b"old"

    @needs(Feature.EDIT)
    def test_it_is_there_after_reopening(self, store: Store, opener: Open, job: MakeJob, clock: FakeClock) -> None:
        if not self.shared:
            pytest.skip("each store object of this engine has a place of its own")
        put_one(store, job(body=b"old"))
        store.nack([Handback(take_one(store).receipt, edit=job(body=b"new"))])
        store.close()
        assert body_of(take_one(opener(clock)).job) == b"new"

    @needs(Feature.EDIT)
    def test_what_cannot_be_kept_is_refused_before_anything_is_done(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"old"))
        lent = take_one(store)
        with pytest.raises(BadValue):
            store.nack([Handback(lent.receipt, edit=job(priority=100))])
        with pytest.raises(BadBody):
            store.nack([Handback(lent.receipt, edit=job(source=iter([b"x"])))])
        if store.max_body is not None:
            with pytest.raises(BadBody):
                store.nack([Handback(lent.receipt, edit=job(body=bytes(store.max_body + 1)))])
        assert standing(store) == {"running": 1}
        done(store, lent)
