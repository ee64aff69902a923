"""The contract of what is missing: declared in `features`, refused with Unsupported before anything is done, and nothing else breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ...errors import BadValue, Unsupported
from ...store import Ack, Feature, Handback, Limits, Query, Store
from .harness import HOLDER, Harness, MakeJob, standing, take_one

Act = Callable[[Store, MakeJob], object]


def _chunks() -> Iterator[bytes]:
    yield b"x"


def _keep(store: Store, job: MakeJob) -> object:
    """Ack something so that it stays; what is claimed for it is acked for good when that is refused."""
    store.put([job()])
    lent = take_one(store)
    try:
        return store.ack([Ack(lent.receipt, keep=60.0)])
    except Unsupported:
        assert store.ack([Ack(lent.receipt)]) == [True], "refused, but the claim is gone"
        raise


def _join(store: Store, _: MakeJob) -> object:
    """Where it can be done, this is refused for what it is given."""
    try:
        return store.join(object())
    except BadValue:
        return None


def _edit(store: Store, job: MakeJob) -> object:
    """Give something back changed; what is claimed for it is acked when that is refused."""
    store.put([job()])
    lent = take_one(store)
    try:
        return store.nack([Handback(lent.receipt, edit=job(body=b"new"))])
    except Unsupported:
        assert store.ack([Ack(lent.receipt)]) == [True], "refused, but the claim is gone"
        raise


ACTS: dict[Feature, list[Act]] = {
    Feature.PRIORITY: [lambda store, job: store.put([job(), job(priority=10)])],
    Feature.DELAY: [lambda store, job: store.put([job(), job(delay=60.0)])],
    Feature.KEYS: [lambda store, job: store.put([job(), job(key="k")]), lambda store, job: store.put([job(), job(once=True)])],
    Feature.KEEP: [lambda store, job: store.put([job(), job(keep=60.0)]), _keep],
    Feature.BROWSE: [
        lambda store, _: store.browse(Query()),
        lambda store, _: store.requeue(Query()),
        lambda store, _: store.delete(Query()),
    ],
    Feature.PICK: [lambda store, _: store.pick("q", ["0" * 32], 30.0, HOLDER)],
    Feature.STREAM: [lambda store, job: store.put([job(), job(source=_chunks())])],
    Feature.SWITCHES: [lambda store, _: store.pause(["q"], put=True), lambda store, _: store.pause(["q"], claim=True)],
    Feature.JOIN: [_join, lambda store, _: store.ring(["q"])],
    Feature.LANES: [lambda store, job: store.put([job(), job(lane="x")])],
    Feature.LIMITS: [lambda store, _: store.limit(["q"], Limits(running=1))],
    Feature.EDIT: [_edit],
    Feature.TOPICS: [lambda store, _: store.bus.publish([]), lambda store, _: store.bus.listen(["a"], lambda _, __: None)()],
    Feature.NOTES: [
        lambda store, _: store.notes.note("a", b"", 60.0),
        lambda store, _: store.notes.notes(""),
        lambda store, _: store.notes.forget("a"),
    ],
}


class Lacking(Harness):
    """Each feature, present or refused. HISTORY and ATOMIC refuse nothing: attempts are dropped, a commit is a group."""

    @pytest.mark.parametrize("feature", ACTS)
    def test_a_feature_is_there_or_is_refused(self, store: Store, job: MakeJob, feature: Feature) -> None:
        for act in ACTS[feature]:
            before = standing(store)
            if feature in store.features:
                act(store, job)
            else:
                with pytest.raises(Unsupported) as caught:
                    act(store, job)
                assert len(str(caught.value)) > 20, "say what is missing and what to do"
                assert standing(store) == before
