"""The contract of bring, its second part: once and no more, what keeps a job out, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ...demands import MOST_ATTEMPTS, RESULT_LIMIT
from ...errors import BadValue, RopewayError, Unsupported
from ...job import Attempt, State
from ...store import Ack, Entry, Feature, Handback, Store
from ..clock import FakeClock
from .bodies import BODIES, Chunks
from .bringing import attempts, everything, kept, stood
from .harness import ALL, Harness, MakeJob, body_of, done, needs, put_one, short, standing, take, take_one

BAD_ENTRIES: list[dict[str, object]] = [
    {"state": "ready or so"},
    {"due": float("nan")},
    {"due": -1.0},
    {"due": "now"},
    {"attempts": -1},
    {"attempts": 1.0},
    {"attempts": MOST_ATTEMPTS + 1},
    {"deaths": -1},
    {"deaths": True},
    {"history": ["failed"]},
    {"history": [Attempt(1, float("nan"), 2.0, "w", "failed")]},
    {"history": [Attempt(1, 1.0, 2.0, "w", None)]},  # type: ignore[arg-type]
    {"history": [Attempt("1", 1.0, 2.0, "w", "failed")]},  # type: ignore[arg-type]
    {"result": "text"},
    {"result": b"x" * (RESULT_LIMIT + 1)},
    {"result_type": None},
]


class BringingAgain(Harness):
    """bring: what is here already, what is held, what cannot be."""

    # -- once

    @needs(Feature.BROWSE, Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY)
    def test_brought_again_nothing_changes(self, store: Store, second: Store, clock: FakeClock, job: MakeJob) -> None:
        entries = everything(job, clock)
        store.bring(entries[:5])
        before = [kept(entry) for entry in store.browse(ALL)]
        assert second.bring(entries[:5]) == [True] * 5
        assert [kept(entry) for entry in store.browse(ALL)] == before
        assert second.bring(entries) == store.bring(entries) == [True] * 8
        assert standing(store) == {"ready": 4, "delayed": 1, "dead": 1, "done": 2}
        assert len(store.browse(ALL)[3].history) == len(second.browse(ALL)[3].history)

    @needs(Feature.BROWSE, Feature.DELAY, Feature.KEEP)
    def test_a_job_that_is_here_is_left_as_it_stands(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """Whatever became of it since; only what has left is new again."""
        now = clock.now()
        entries = [stood(job(body=b"%d" % n, created=now - 9), State.READY, now - 9) for n in range(6)]
        store.bring(entries)
        lent = take(store, 5)
        store.nack([Handback(lent[0].receipt, delay=60.0)])
        store.bury([Handback(lent[1].receipt)])
        store.ack([Ack(lent[2].receipt, keep=60.0), Ack(lent[3].receipt)])
        stand = {"delayed": 1, "dead": 1, "done": 1, "running": 1, "ready": 1}
        assert standing(store) == stand
        assert store.bring(entries) == [True] * 6
        assert standing(store) == stand | {"ready": 2}
        assert sorted(one.job.body for one in take(store, 3)) == [b"3", b"5"]

    def test_one_of_a_batch_that_was_put_here_is_known(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        jobs = [job(body=b"%d" % n) for n in range(5)]
        store.put(jobs)
        done(store, take_one(store))
        assert store.bring([stood(jobs[3], State.READY, 0.0), stood(job(body=b"new"), State.READY, 0.0)]) == [True, True]
        assert standing(store) == {"ready": 5}
        assert sorted(one.job.body for one in take(store, 9)) == [b"1", b"2", b"3", b"4", b"new"]

    def test_twice_in_one_batch_is_one_job(self, store: Store, job: MakeJob) -> None:
        one, other = job(body=b"a"), job(body=b"b")
        assert store.bring([stood(one, State.READY, 0.0), stood(other, State.READY, 0.0), stood(one, State.READY, 0.0)]) == [True] * 3
        assert standing(store) == {"ready": 2}

    def test_true_means_that_it_is_in_this_queue(self, store: Store, job: MakeJob) -> None:
        """Where a store knows one job of an id, whatever its queue, it must not answer for another queue's."""
        one = put_one(store, job(body=b"x"))
        (here,) = store.bring([stood(job("other", b"x", id=one.id), State.READY, 0.0)])
        assert standing(store, "other") == ({"ready": 1} if here else {})
        assert standing(store) == {"ready": 1}

    @needs(Feature.KEYS)
    def test_a_key_that_is_held_keeps_it_out(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(body=b"mine", key="k"))
        now = clock.now()
        new = [job(body=b"theirs", key="k"), job(body=b"free", key="k2"), job(body=b"second", key="k2")]
        assert store.bring([stood(one, State.READY, now) for one in new]) == [False, True, False]
        assert {one.job.body for one in take(store, 5)} == {b"mine", b"free"}
        assert store.bring([stood(new[0], State.READY, now)]) == [False]

    @needs(Feature.KEYS, Feature.KEEP, Feature.BROWSE)
    def test_a_key_that_is_held_keeps_out_the_done_but_not_the_dead(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job(key="k"))
        now = clock.now()
        entries = [
            stood(job(key="k"), State.DEAD, now - 5),
            stood(job(key="k"), State.DONE, now + 50),
            stood(job(key="k"), State.DEAD, now),
        ]
        assert store.bring(entries) == [True, False, True]
        assert standing(store) == {"ready": 1, "dead": 2}

    # -- what they carry

    @pytest.mark.parametrize("name", BODIES)
    def test_a_brought_body_comes_out_byte_for_byte(self, store: Store, job: MakeJob, name: str) -> None:
        store.bring([stood(job(body=BODIES[name]), State.READY, 0.0)])
        assert body_of(take_one(store).job) == BODIES[name]

    @needs(Feature.STREAM, Feature.BROWSE, Feature.KEYS)
    @pytest.mark.parametrize("state", [State.READY, State.DEAD])
    def test_a_body_is_streamed_along(self, store: Store, clock: FakeClock, job: MakeJob, state: State) -> None:
        """As another store shows it: beside the job, with its size and digest; one that is not what was put is refused."""
        chunks = Chunks(40)
        whole = b"".join(Chunks(40))
        list(chunks)
        fields: dict[str, Any] = {"size": len(whole), "digest": chunks.digest.hexdigest(), "key": "k"}
        entry = stood(job(source=Chunks(40), **fields), state, clock.now() - 5, attempts=1)
        assert store.bring([entry]) == [True]
        shown = store.browse(ALL)[0]
        assert (body_of(shown.job), shown.state) == (whole, state)
        other = job(source=Chunks(41), **fields | {"key": ""})
        with pytest.raises(RopewayError):
            store.bring([stood(other, state, clock.now())])
        assert len(store.browse(ALL)) == 1
        assert store.delete(ALL) == 1

    # -- whom it obeys

    @needs(Feature.SWITCHES)
    def test_a_queue_that_refuses_new_jobs_takes_what_is_brought(self, store: Store, job: MakeJob) -> None:
        store.pause(["q"], put=True, reason="moving")
        assert store.bring([stood(job(), State.READY, 0.0)]) == [True]
        assert standing(store) == {"ready": 1}

    @pytest.mark.parametrize("fields", BAD_ENTRIES, ids=short)
    def test_a_bad_entry_is_refused_and_nothing_is_stored(self, store: Store, job: MakeJob, fields: dict[str, Any]) -> None:
        bad = Entry(**{"job": job(), "state": State.READY, "due": 0.0, **fields})
        with pytest.raises(ValueError) as caught:
            store.bring([stood(job(), State.READY, 0.0), bad])
        assert isinstance(caught.value, RopewayError)
        assert standing(store) == {}

    def test_a_bad_job_is_refused_as_by_put(self, store: Store, job: MakeJob) -> None:
        for bad in (job("../up"), job(id="x"), job(priority=100), job(size=5, digest="0" * 64)):
            with pytest.raises(ValueError):
                store.bring([stood(job(), State.READY, 0.0), stood(bad, State.READY, 0.0)])
        assert standing(store) == {}

    def test_it_counts_as_a_put(self, store: Store, clock: FakeClock, job: MakeJob) -> None:
        """Inside commit: with the acks that follow it, and not behind them."""
        put_one(store, job(body=b"old"))
        lent = take_one(store)
        with store.commit():
            assert store.bring([stood(job(body=b"new"), State.READY, clock.now())]) == [True]
            assert store.ack([Ack(lent.receipt)]) == [True]
        assert take_one(store).job.body == b"new"
        with pytest.raises(BadValue), store.commit():
            store.ack([])
            store.bring([stood(job(), State.READY, 0.0)])
        assert standing(store) == {"running": 1}

    @pytest.mark.parametrize("feature", [Feature.PRIORITY, Feature.DELAY, Feature.KEYS, Feature.KEEP, Feature.HISTORY, Feature.STREAM])
    def test_what_cannot_be_kept_is_refused_by_name(self, store: Store, clock: FakeClock, job: MakeJob, feature: Feature) -> None:
        now = clock.now()
        one = {
            Feature.PRIORITY: stood(job(priority=1), State.READY, now),
            Feature.DELAY: stood(job(), State.DELAYED, now + 50),
            Feature.KEYS: stood(job(key="k"), State.READY, now),
            Feature.KEEP: stood(job(), State.DONE, now + 50),
            Feature.HISTORY: stood(job(), State.READY, now, attempts=1, history=attempts(1, now)),
            Feature.STREAM: stood(job(source=Chunks(1)), State.READY, now),
        }[feature]
        if feature in store.features:
            assert store.bring([stood(job(), State.READY, now), one]) == [True, True]
            return
        with pytest.raises(Unsupported, match=feature):
            store.bring([stood(job(), State.READY, now), one])
        assert standing(store) == {}
