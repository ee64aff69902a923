"""A stream cut into lines: nothing is lost at the seams, nothing waits for what has not come."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropeway.cli.lines import MOST_LINES, batches
from ropeway.cli.verdict import Failure

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the lines


class Chunks:
    """A stream that gives just these pieces, one a read."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read1(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        piece, rest = self._pieces[0][:size], self._pieces[0][size:]
        self._pieces[:1] = [rest] if rest else []
        return piece


@PATIENT
@given(st.lists(st.binary(max_size=40)), st.sampled_from([b"\n", b"\0"]))
def test_however_it_arrives_the_lines_are_the_same(pieces: list[bytes], separator: bytes) -> None:
    expected = b"".join(pieces).split(separator)
    if not expected[-1]:
        expected.pop()
    assert [line for batch in batches(Chunks(pieces), separator) for line in batch] == expected


@PATIENT
@given(st.integers(0, 3 * MOST_LINES))
def test_batches_are_bounded(count: int) -> None:
    found = list(batches(io.BytesIO(b"x\n" * count)))
    assert sum(map(len, found)) == count
    assert all(0 < len(batch) <= MOST_LINES + (1 << 15) for batch in found)  # and what one read brings


def test_a_pause_of_the_producer_ends_the_batch() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as producer:
        lines = batches(stream)
        producer.write(b"one\ntwo\nthr")
        assert next(lines) == [b"one", b"two"]
        producer.write(b"ee\n")
        assert next(lines) == [b"three"]
        producer.write(b"four")
        producer.close()
        assert list(lines) == [[b"four"]]


def test_what_has_piled_up_is_one_batch() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as producer:
        for n in range(100):
            producer.write(b"%d\n" % n)
        assert len(next(batches(stream))) == 100


@pytest.mark.parametrize("data", [b"x" * 101, b"x" * 101 + b"\n", b"ok\n" + b"x" * 101])
def test_a_line_that_is_too_long_ends_it(data: bytes) -> None:
    found: list[bytes] = []
    with pytest.raises(Failure, match="over 100 bytes"):
        for batch in batches(Chunks([data]), b"\n", 100):
            found += batch
    assert found == ([b"ok"] if data.startswith(b"ok") else [])


def test_what_stands_behind_a_line_that_is_too_long_is_not_taken() -> None:
    found: list[bytes] = []
    with pytest.raises(Failure, match="over 100 bytes"):
        for batch in batches(Chunks([b"ok\n" + b"x" * 101 + b"\nafter\n"]), b"\n", 100):
            found += batch
    assert found == [b"ok"]
