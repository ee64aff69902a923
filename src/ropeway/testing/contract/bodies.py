"""The contract of bodies: byte for byte, up to the limit, and streamed where the engine can."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...errors import BadBody, StoreError
from ...store import Feature, Handback, Store
from .harness import Harness, MakeJob, body_of, done, needs, put_one, standing, take, take_one

KIB = 1024
BODIES = {
    "nothing": b"",
    "NUL": b"\0",
    "NULs": b"\0" * 1000,
    "bad UTF-8": b"\xff\xfe\xc3\x28",
    "lines": b"a\nb\r\nc\r\n\r\n",
    "every byte": bytes(range(256)) * 3,
    "JSON": b'{"a": [1, 2.50, "\\u0000"]}',
    "64 KiB less one": b"x" * (64 * KIB - 1),
    "64 KiB": b"y" * (64 * KIB),
    "64 KiB and one": b"z" * (64 * KIB + 1),
    "a MiB": bytes(range(256)) * (4 * KIB),
}


class Chunks:
    """A streamed body that is never whole in memory; it may fail on the way."""

    def __init__(self, count: int, fails: bool = False) -> None:
        self.count, self.fails = count, fails
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.count):
            chunk = bytes([number % 251]) * 10_007
            self.digest.update(chunk)
            yield chunk
        if self.fails:
            raise ConnectionError("the producer of the body went away")


class Bodies(Harness):
    """What a job carries."""

    @pytest.mark.parametrize("name", BODIES)
    def test_a_body_comes_out_byte_for_byte(self, store: Store, job: MakeJob, name: str) -> None:
        put_one(store, job(body=BODIES[name]))
        assert body_of(take_one(store).job) == BODIES[name]

    def test_bodies_of_all_sizes_in_one_batch(self, store: Store, job: MakeJob) -> None:
        jobs = [job(body=body) for body in BODIES.values()]
        assert store.put(jobs) == [True] * len(jobs)
        got = {lent.job.id: body_of(lent.job) for lent in take(store, 20)}
        assert got == {one.id: body for one, body in zip(jobs, BODIES.values(), strict=True)}

    def test_a_large_body_is_there_for_every_attempt_and_gone_with_its_job(self, store: Store, job: MakeJob) -> None:
        put_one(store, job(body=BODIES["a MiB"]))
        store.nack([Handback(take_one(store).receipt)])
        lent = take_one(store)
        assert body_of(lent.job) == BODIES["a MiB"]
        done(store, lent)
        assert standing(store) == {}

    def test_the_limit_holds(self, store: Store, job: MakeJob) -> None:
        if store.max_body is None:
            return  # tested as "a MiB", and by streaming
        put_one(store, job("most", b"x" * store.max_body))
        assert len(body_of(take_one(store, "most").job)) == store.max_body
        with pytest.raises(BadBody, match=str(store.max_body)):
            store.put([job(), job(body=b"x" * (store.max_body + 1))])
        assert standing(store) == {}

    def test_the_limit_is_at_least_a_mib(self, store: Store) -> None:
        assert store.max_body is None or store.max_body >= KIB * KIB

    @needs(Feature.STREAM)
    def test_a_body_is_streamed_in_and_read_out(self, store: Store, job: MakeJob) -> None:
        chunks = Chunks(300)
        put_one(store, job(source=chunks, content_type="video/mp4"))
        got = take_one(store).job
        assert got.source.size == 300 * 10_007
        assert hashlib.sha256(got.source.read()).digest() == chunks.digest.digest()
        assert Path(got.source.path()).stat().st_size == 300 * 10_007
        assert got.content_type == "video/mp4"

    @needs(Feature.STREAM)
    def test_a_short_stream_and_an_empty_one(self, store: Store, job: MakeJob) -> None:
        for count in (0, 1):
            put_one(store, job(source=Chunks(count)))
            lent = take_one(store)
            assert len(body_of(lent.job)) == count * 10_007
            done(store, lent)

    @needs(Feature.STREAM)
    def test_a_stream_that_breaks_off_stores_nothing(self, store: Store, job: MakeJob) -> None:
        with pytest.raises((ConnectionError, StoreError)) as caught:
            store.put([job(source=Chunks(20, fails=True))])
        assert not isinstance(caught.value, StoreError) or caught.value.definite, "nothing was stored, and that is known"
        assert standing(store) == {}
        assert take(store, 1) == []
