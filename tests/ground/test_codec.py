"""Envelope and bodies: what goes in comes out, and hostile bytes end in one of two errors."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.codec import (
    Damaged,
    FutureFormat,
    decode_body,
    encode_body,
    pack_history,
    pack_job,
    unpack_history,
    unpack_job,
)
from ropeway.errors import BadBody
from ropeway.job import BYTES, HISTORY, JSON, TEXT, Attempt, Job

texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.floats(0, 4e9)
jobs = st.builds(
    Job,
    id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    queue=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", fullmatch=True),
    body=st.binary(),
    content_type=texts,
    headers=st.dictionaries(texts, texts),
    priority=st.integers(0, 99),
    delay=times,
    key=texts,
    ttl=times,
    keep=times,
    task=texts,
    lane=texts,
    once=st.booleans(),
    created=times,
    due=times,
    size=st.integers(-1, 2**60),
    digest=texts,
    source=st.none(),
)
attempts = st.builds(
    Attempt,
    number=st.integers(1, 1000),
    started=times,
    ended=times,
    worker=texts,
    outcome=st.sampled_from(["failed", "lost"]),
    error=texts,
    traceback=texts,
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(jobs)
def test_a_job_comes_back_whole(job: Job) -> None:
    assert unpack_job(pack_job(job)) == job
    assert unpack_job(memoryview(pack_job(job))) == job


@given(st.lists(attempts, max_size=HISTORY))
def test_a_history_comes_back_whole(history: list[Attempt]) -> None:
    assert unpack_history(pack_history(history)) == history


@given(st.binary() | st.binary().map(lambda data: b"\x01" + data))
def test_any_bytes_are_a_job_or_an_error_of_ours(data: bytes) -> None:
    try:
        assert isinstance(unpack_job(data), Job)
    except (Damaged, FutureFormat):
        pass


@given(st.binary())
def test_a_history_that_does_not_parse_is_empty_and_stops_nothing(data: bytes) -> None:
    assert isinstance(unpack_history(data), list)


def test_a_bomb_of_nested_arrays_is_damage() -> None:
    fields = msgspec.msgpack.decode(pack_job(Job("0" * 32, "q"))[1:])
    whole = msgspec.msgpack.encode(fields)
    with pytest.raises(Damaged):
        unpack_job(b"\x01" + whole[:-1] + b"\x91" * 100_000 + b"\xc0")
    assert unpack_history(b"\x91" * 100_000) == []


def test_a_source_is_never_read_back_from_a_store() -> None:
    fields = msgspec.msgpack.decode(pack_job(Job("0" * 32, "q"))[1:])
    with pytest.raises(Damaged):
        unpack_job(b"\x01" + msgspec.msgpack.encode([*fields[:-1], {"path": "/etc/passwd"}]))
    with pytest.raises(BadBody):
        pack_job(Job("0" * 32, "q", source=iter([b""])))


# -- bodies


@given(st.binary())
def test_bytes_stay_bytes(data: bytes) -> None:
    assert encode_body(data) == (data, BYTES)
    assert encode_body(bytearray(data)) == (data, BYTES)
    assert encode_body(memoryview(data)) == (data, BYTES)
    assert decode_body(data, BYTES) == data
    assert decode_body(data, "x-unknown/thing; a=b") == data


@given(texts)
def test_text_stays_text(text: str) -> None:
    body, kind = encode_body(text)
    assert kind == TEXT
    assert decode_body(body, kind) == decode_body(body, kind, str) == text


@given(st.lists(jsons) | st.dictionaries(texts, jsons) | st.integers(-(2**53), 2**53) | st.none() | st.booleans())
def test_what_json_can_carry_comes_back(data: Any) -> None:
    body, kind = encode_body(data)
    assert kind == JSON
    assert decode_body(body, kind) == data
    assert decode_body(body, "application/problem+json; charset=utf-8") == data


@dataclass
class Mail:
    to: str
    sent: datetime.datetime
    copies: int = 1


def test_types_are_built_and_checked() -> None:
    mail = Mail("a@example.org", datetime.datetime(2027, 1, 15, 3, tzinfo=datetime.UTC))
    body, kind = encode_body(mail)
    assert decode_body(body, kind, Mail) == mail
    for wrong in (b'{"to": 1, "sent": "2027-01-15T03:00:00Z"}', b'{"to": "a"}', b"[]", b"{", b"", b"\xff"):
        with pytest.raises(BadBody, match="Mail"):
            decode_body(wrong, kind, Mail)


def test_raw_json_without_a_content_type_is_taken_where_a_type_is_asked() -> None:
    assert decode_body(b'{"to": "a", "sent": "2027-01-15T03:00:00Z"}', BYTES, Mail).to == "a"
    assert decode_body(b"ab", BYTES, bytes) == b"ab"
    assert decode_body(b"ab", TEXT, bytes) == b"ab"
    with pytest.raises(BadBody):
        decode_body(b"ab", BYTES, int)


class Opaque:
    pass


@pytest.mark.parametrize(
    "data", [Opaque(), {1: Opaque()}, lambda: 0, {"a": {"b": object()}}, 1j, "\ud800", ["\ud800"]], ids=lambda d: type(d).__name__
)
def test_what_json_cannot_carry_is_refused_and_never_pickled(data: object) -> None:
    with pytest.raises(BadBody):
        encode_body(data)


def test_endless_nesting_is_refused_both_ways() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadBody):
        encode_body(deep)
    with pytest.raises(BadBody):
        decode_body(b"[" * 100_000 + b"]" * 100_000, JSON)


@given(st.binary(), st.sampled_from([JSON, TEXT, BYTES, "application/x+json", "text/html", "", ";", "\0"]))
def test_any_body_of_any_type_is_data_or_a_bad_body(data: bytes, kind: str) -> None:
    for into in (Any, int, str, bytes, list[int], Mail):
        try:
            decode_body(data, kind, into)
        except BadBody:
            pass
