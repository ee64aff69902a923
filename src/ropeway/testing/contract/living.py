"""The contract of commit, notes, and of a store's own life: what it says of itself, closing, forking."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from ...errors import BadBody, BadName, BadValue, StoreError
from ...notes import NOTE_LIMIT
from ...store import Ack, Durability, Feature, Finding, Handback, Store
from ..clock import FakeClock
from .harness import OTHER, Harness, MakeJob, Open, done, needs, put_one, short, standing, take, take_one


class Commits(Harness):
    """commit: verbs that become safe together, puts before settling."""

    def test_what_was_done_inside_is_done(self, store: Store, job: MakeJob) -> None:
        store.put([job(body=b"a"), job(body=b"b"), job(body=b"c")])
        a, b, c = take(store, 3)
        with store.commit():
            assert store.put([job("next", b"1"), job("next", b"2")]) == [True, True]
            assert store.ack([Ack(a.receipt)]) == [True]
            assert store.nack([Handback(b.receipt)]) == [True]
            assert store.bury([Handback(c.receipt)]) == [True]
            assert store.ack([Ack(a.receipt)]) == [False]
        assert standing(store) == {"ready": 1, "dead": 1}
        assert standing(store, "next") == {"ready": 2}

    @pytest.mark.parametrize("verb", ["ack", "nack", "bury"])
    def test_a_put_after_settling_is_refused_and_stores_nothing(self, store: Store, job: MakeJob, verb: str) -> None:
        put_one(store, job())
        lent = take_one(store)
        with store.commit():
            if verb == "ack":
                store.ack([Ack(lent.receipt)])
            else:
                getattr(store, verb)([Handback(lent.receipt)])
            with pytest.raises(BadValue):
                store.put([job("next")])
        assert standing(store, "next") == {}

    def test_the_next_commit_begins_anew(self, store: Store, job: MakeJob) -> None:
        for _ in range(3):
            put_one(store, job())
            with store.commit():
                put_one(store, job("next"))
                done(store, take_one(store))
        put_one(store, job("next"))
        assert standing(store, "next") == {"ready": 4}

    def test_an_error_inside_goes_through_and_loses_nothing(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=b"a"))
        put_one(store, job(body=b"b"))
        a, b = take(store, 2)
        with pytest.raises(ZeroDivisionError), store.commit():
            store.put([job("next")])
            store.ack([Ack(a.receipt)])
            store.nack([Handback(b.receipt)])
            raise ZeroDivisionError
        if Feature.ATOMIC in store.features:
            assert standing(store) == {"running": 2}
            assert standing(store, "next") == {}
            assert store.ack([Ack(a.receipt), Ack(b.receipt)]) == [True, True]
        else:
            assert standing(store, "next") == {"ready": 1}, "a put that had answered"

    @needs(Feature.KEYS)
    def test_a_key_of_a_commit_that_failed_is_free(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(key="held"))
        lent = take_one(store)
        with suppress(ZeroDivisionError), store.commit():
            put_one(store, job(key="k"))
            done(store, lent)
            raise ZeroDivisionError
        if Feature.ATOMIC in store.features:
            assert store.put([job(key="held"), job(key="k")]) == [False, True]
            done(store, lent)


class Facts(Harness):
    """notes: small facts with a lifetime."""

    @needs(Feature.NOTES)
    def test_a_note_is_kept_and_replaced_whole(self, store: Store) -> None:
        assert store.notes.notes("") == {}
        store.notes.note("worker/host-1-77", b"\0\xff one", 60.0)
        store.notes.note("worker/host-2-78", b"", 60.0)
        store.notes.note("schedule/nightly", b"x" * 1000, 60.0)
        store.notes.note("schedule/nightly", b"y", 60.0)
        assert store.notes.notes("worker/") == {"worker/host-1-77": b"\0\xff one", "worker/host-2-78": b""}
        assert list(store.notes.notes("")) == ["schedule/nightly", "worker/host-1-77", "worker/host-2-78"]
        assert store.notes.notes("schedule/night") == {"schedule/nightly": b"y"}
        assert store.notes.notes("none") == store.notes.notes("../") == store.notes.notes("/") == {}

    @needs(Feature.NOTES)
    def test_a_note_is_forgotten_in_time(self, store: Store, clock: FakeClock) -> None:
        store.notes.note("short", b"1", 10.0)
        store.notes.note("long", b"2", 100.0)
        store.notes.note("renewed", b"3", 10.0)
        clock.advance(9)
        assert set(store.notes.notes("")) == {"short", "long", "renewed"}
        store.notes.note("renewed", b"4", 10.0)
        clock.advance(5)
        assert store.notes.notes("") == {"long": b"2", "renewed": b"4"}
        assert store.notes.forget("short") is False

    @needs(Feature.NOTES)
    def test_forget(self, store: Store) -> None:
        store.notes.note("a/b", b"1", 10.0)
        assert store.notes.forget("a/b") is True
        assert store.notes.forget("a/b") is False
        assert store.notes.notes("") == {}
        store.notes.note("a/b", b"2", 10.0)
        assert store.notes.notes("a") == {"a/b": b"2"}

    @needs(Feature.NOTES)
    def test_every_store_object_sees_them(self, store: Store, second: Store) -> None:
        store.notes.note("a", b"1", 10.0)
        second.notes.note("b", b"2", 10.0)
        assert store.notes.notes("") == second.notes.notes("") == {"a": b"1", "b": b"2"}
        assert second.notes.forget("a") is True
        assert store.notes.notes("") == {"b": b"2"}

    @needs(Feature.NOTES)
    def test_hundreds_of_them(self, store: Store) -> None:
        for number in range(300):
            store.notes.note(f"worker/w{number:03}", b"%d" % number, 60.0)
        assert store.notes.notes("worker/") == {f"worker/w{number:03}": b"%d" % number for number in range(300)}

    @pytest.mark.parametrize("key", ["", "/", "a/", "/a", "a//b", "../a", "a/../b", ".a", "a b", "ä", "a\0", "x" * 129, None], ids=short)
    @needs(Feature.NOTES)
    def test_a_bad_key_is_refused(self, store: Store, key: str) -> None:
        with pytest.raises(BadName):
            store.notes.note(key, b"", 60.0)
        assert store.notes.notes("") == {}

    @needs(Feature.NOTES)
    def test_bad_values_and_lifetimes_are_refused(self, store: Store) -> None:
        store.notes.note("most", b"x" * NOTE_LIMIT, 60.0)
        bodies: list[object] = [b"x" * (NOTE_LIMIT + 1), "text", None]
        for value in bodies:
            with pytest.raises(BadBody):
                store.notes.note("a", value, 60.0)  # type: ignore[arg-type]
        for lifetime in (0, -1.0, float("nan"), float("inf")):
            with pytest.raises(BadValue):
                store.notes.note("a", b"", lifetime)
        assert list(store.notes.notes("")) == ["most"]

    @needs(Feature.NOTES)
    def test_notes_are_no_queues(self, store: Store) -> None:
        store.notes.note("worker/a", b"", 60.0)
        assert store.queues() == []


class Living(Harness):
    """What a store says of itself, and how it ends."""

    def test_it_says_what_it_is(self, store: Store) -> None:
        assert store.features <= frozenset(Feature)
        assert isinstance(store.durability(), Durability)
        assert store.url
        findings = list(store.check())
        assert all(isinstance(finding, Finding) and finding.text for finding in findings)
        assert {finding.level for finding in findings} <= {"ok", "note", "warning"}, "a fresh store has no fault"

    def test_check_changes_nothing(self, store: Store, job: MakeJob) -> None:
        store.put([job(), job()])
        lent = take_one(store)
        assert not [finding.text for finding in store.check() if finding.level == "fault"]
        assert standing(store) == {"ready": 1, "running": 1}
        done(store, lent)

    def test_close_may_be_called_twice(self, opener: Open, clock: FakeClock, job: MakeJob) -> None:
        unused = opener(clock)
        unused.close()
        unused.close()
        used = opener(clock)
        put_one(used, job())
        used.close()
        used.close()

    def test_close_gives_nothing_back(self, store: Store, second: Store, clock: FakeClock, job: MakeJob) -> None:
        put_one(store, job())
        lent = take_one(second, lease=60.0)
        second.close()
        clock.advance(30)
        assert take(store, 1) == []
        assert store.ack([Ack(lent.receipt)]) == [True]

    def test_a_fork_is_refused_or_works_but_never_harms(self, store: Store, job: MakeJob) -> None:
        store.put([job(), job(), job()])
        lent = take_one(store)

        def child() -> int:
            """0: refused with a clear error; 1: did what it says."""
            try:
                return int(store.put([job("from-child")]) == [True] and len(store.claim(["q"], 1, 30.0, OTHER)) == 1)
            except StoreError as error:
                return 0 if str(error) else 2

        worked = forked(child)
        assert standing(store, "from-child") == ({"ready": 1} if worked else {})
        assert standing(store) == ({"running": 2, "ready": 1} if worked else {"running": 1, "ready": 2})
        done(store, lent)
        done(store, take_one(store))


def forked(child: Callable[[], int]) -> bool:
    """Run it in a fork; whether it answered 1. An answer other than 0 and 1, or a crash, fails the test."""
    pid = os.fork()
    if not pid:
        code = 3
        try:
            code = child()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 1), f"the child ended with {code}"
    return code == 1
