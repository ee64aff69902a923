"""The contract of join: the verbs inside a transaction of the caller's, true with its commit and undone by its rollback."""

from __future__ import annotations

import pytest

from ...errors import BadBody, BadValue, Stopped, Unsupported
from ...job import State
from ...store import Ack, Feature, Handback, Query, Store
from .harness import Caller, Harness, MakeJob, needs, put_one, standing, take, take_one


class Joining(Harness):
    """join: every verb of it, committed and rolled back."""

    @needs(Feature.JOIN)
    def test_what_was_put_is_there_once_it_is_committed(self, store: Store, caller: Caller, job: MakeJob) -> None:
        assert standing(store) == {}
        caller.begin()
        assert store.join(caller.tx).put([job(body=b"a"), job(body=b"b")]) == [True, True]
        assert standing(store) == {}
        caller.commit()
        assert [lent.job.body for lent in take(store, 2)] == [b"a", b"b"]

    @needs(Feature.JOIN)
    def test_a_rollback_leaves_nothing(self, store: Store, caller: Caller, job: MakeJob) -> None:
        caller.begin()
        assert store.join(caller.tx).put([job(), job("other", key="k")]) == [True, True]
        caller.rollback()
        assert standing(store) == standing(store, "other") == {}
        assert store.put([job("other", key="k")]) == [True]

    @needs(Feature.JOIN, Feature.KEEP)
    @pytest.mark.parametrize("end", ["commit", "rollback"])
    def test_settling(self, store: Store, caller: Caller, job: MakeJob, end: str) -> None:
        store.put([job(), job(), job(), job(keep=60.0)])
        a, b, c, d = take(store, 4)
        caller.begin()
        joined = store.join(caller.tx)
        assert joined.ack([Ack(a.receipt), Ack(d.receipt, b"result"), Ack(a.receipt)]) == [True, True, False]
        assert joined.nack([Handback(b.receipt)]) == [True]
        assert joined.put([job("next")]) == [True], "puts may follow: all of it is one"
        assert joined.bury([Handback(c.receipt)]) == [True]
        assert standing(store) == {"running": 4}
        if end == "commit":
            caller.commit()
            assert standing(store) == {"ready": 1, "dead": 1, "done": 1}
            assert store.ack([Ack(a.receipt)]) == [False]
        else:
            caller.rollback()
            assert standing(store) == {"running": 4}
            assert store.ack([Ack(one.receipt) for one in (a, b, c, d)]) == [True] * 4

    @needs(Feature.JOIN)
    def test_a_lease_is_renewed(self, store: Store, caller: Caller, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(store, lease=10.0)
        caller.begin()
        assert store.join(caller.tx).extend([lent.receipt, "no receipt"], 100.0) == [True, False]
        caller.commit()
        assert store.browse(Query())[0].due == pytest.approx(store.browse(Query())[0].job.due + 100, abs=1)

    @needs(Feature.JOIN, Feature.KEYS)
    def test_a_taken_key_leaves_the_transaction_as_it_was(self, store: Store, caller: Caller, job: MakeJob) -> None:
        put_one(store, job(key="k"))
        caller.begin()
        joined = store.join(caller.tx)
        assert joined.put([job(body=b"1"), job(key="k"), job(key="l")]) == [True, False, True]
        assert joined.put([job(key="l")]) == [False], "its own count as well"
        assert len(joined.browse(Query(key="l"))) == 1
        caller.commit()
        assert standing(store) == {"ready": 3}

    @needs(Feature.JOIN, Feature.SWITCHES)
    def test_a_refusal_leaves_the_transaction_as_it_was(self, store: Store, caller: Caller, job: MakeJob) -> None:
        store.pause(["closed"], put=True, reason="full")
        caller.begin()
        joined = store.join(caller.tx)
        assert joined.put([job()]) == [True]
        for batch in ([job("closed")], [job("new"), job("closed")]):
            with pytest.raises(Stopped):
                joined.put(batch)
        with pytest.raises(BadBody):
            joined.put([job(body="text")])  # type: ignore[arg-type]
        assert joined.put([job()]) == [True]
        caller.commit()
        assert standing(store) == {"ready": 2}
        assert standing(store, "new") == {}

    @needs(Feature.JOIN)
    def test_the_same_id_again_makes_no_double(self, store: Store, caller: Caller, job: MakeJob) -> None:
        one = job()
        caller.begin()
        joined = store.join(caller.tx)
        assert joined.put([one]) == joined.put([one]) == [True]
        caller.commit()
        assert store.put([one]) == [True]
        assert standing(store) == {"ready": 1}

    @needs(Feature.JOIN, Feature.BROWSE)
    def test_bringing(self, store: Store, caller: Caller, job: MakeJob) -> None:
        put_one(store, job())
        (entry,) = store.browse(Query())
        store.delete(Query())
        caller.begin()
        assert store.join(caller.tx).bring([entry]) == [True]
        caller.commit()
        assert [one.state for one in store.browse(Query())] == [State.READY]

    @pytest.mark.parametrize(
        "tx", [None, 1, "postgresql://here", object(), [], type], ids=["nothing", "a number", "a URL", "an object", "a list", "a class"]
    )
    def test_what_is_no_connection_is_refused(self, store: Store, tx: object) -> None:
        with pytest.raises((BadValue, Unsupported)):
            store.join(tx)

    @needs(Feature.JOIN)
    def test_not_inside_a_commit(self, store: Store, caller: Caller, job: MakeJob) -> None:
        caller.begin()
        with store.commit():
            if Feature.JOIN not in store.features:
                store.join(caller.tx)
            with pytest.raises(BadValue):
                store.join(caller.tx)
        caller.rollback()
