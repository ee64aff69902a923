"""Codecs: another one works when both ends name it, two ends that differ get a clear error, and nothing is unpickled unasked."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ropeway
from ropeway import BadBody, BadValue, Broker, ConfigError, Tasks
from ropeway.codecs import MSGPACK, NAMES, PICKLE, YAML, codec, name_of, way
from ropeway.job import BYTES, JSON, TEXT


class Mail(msgspec.Struct):
    to: str
    when: datetime | None = None
    seal: bytes = b""


@dataclass
class Size:
    width: int
    height: int = 0


MAIL = Mail("a@example.org", datetime(2030, 1, 2, tzinfo=UTC), b"\x00\xff")
CARRIERS = ("json", "msgpack", "yaml", "pickle")  # of anything with a type
KINDS = {"json": JSON, "msgpack": MSGPACK, "yaml": YAML, "raw": BYTES, "pickle": PICKLE}


@contextmanager
def configured(folder: Path, **codecs: Any) -> Iterator[Broker]:
    """A broker whose configuration says this of its queues: codec, or (codec, accept)."""
    lines = []
    for queue, said in codecs.items():
        name, accept = said if isinstance(said, tuple) else (said, [])
        lines.append(f"[queues.{queue}]\ncodec = '{name}'\naccept = {accept}\n")
    file = folder / "ropeway.toml"
    file.write_text("\n".join(lines))
    with ropeway.connect("memory:", config=str(file)) as broker:
        yield broker


# -- queues


@pytest.mark.parametrize("name", CARRIERS)
def test_a_codec_that_both_ends_name_works(broker: Broker, name: str) -> None:
    """Row S10."""
    mails = broker.queue("mails", Mail, codec=name)
    handle = mails.put(MAIL, keep=60)
    claim = mails.claim()
    assert claim is not None
    assert (claim.data, claim.job.content_type) == (MAIL, KINDS[name])
    claim.ack({"sent": True})
    done = mails.browse(state="done")[0]
    assert done.result_type == KINDS[name]
    assert handle.result(0) == mails.handle(handle.id).result(0) == {"sent": True}


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_names_it_for_all(tmp_path: Path, name: str) -> None:
    with configured(tmp_path, mails=name) as broker:
        mails = broker.queue("mails")
        handle = mails.put(b"\x01", keep=60)
        claim = mails.claim()
        assert claim is not None
        assert claim.data == b"\x01" or name in ("json", "yaml")
        claim.ack(b"\x02")
        assert handle.result(0) == b"\x02"


@pytest.mark.parametrize("written", CARRIERS)
@pytest.mark.parametrize("read", NAMES)
def test_two_ends_that_name_different_ones_get_a_clear_error(broker: Broker, written: str, read: str) -> None:
    broker.queue("mails", codec=written).put({"to": "a"})
    claim = broker.queue("mails", codec=read).claim()
    assert claim is not None
    if written == read:
        assert claim.data == {"to": "a"}
        return
    with pytest.raises(BadBody, match=f"came as '{KINDS[written]}', and here it is {read} that is read: it was not decoded"):
        _ = claim.data
    assert claim.body  # the bytes are there for whoever wants to look


def test_other_codecs_can_be_read_while_old_jobs_are_about(tmp_path: Path) -> None:
    with configured(tmp_path, mails=("msgpack", ["json", "yaml"])) as broker:
        for name in ("json", "msgpack", "yaml"):
            broker.queue("mails", codec=name).put({"n": name})
        seen = []
        for claim in broker.queue("mails").claims(idle=0):
            with claim:
                seen.append(claim.data["n"])
        assert seen == ["json", "msgpack", "yaml"]
        assert broker.queue("mails").put({"n": 1}).entry().job.content_type == MSGPACK  # type: ignore[union-attr]


def test_bytes_and_text_say_what_they_are(broker: Broker) -> None:
    queue = broker.queue("q", codec="msgpack")
    queue.put_encoded(b"plain", TEXT)
    queue.put_encoded(msgspec.msgpack.encode([1]), BYTES)  # somebody who names no type is taken at the queue's word
    queue.put_encoded(b"\x89PNG", "image/png")
    assert [claim.data for claim in queue.claims(idle=0)] == ["plain", [1], b"\x89PNG"]


def test_raw_is_bytes_and_nothing_else(broker: Broker) -> None:
    raw = broker.queue("raw", codec="raw")
    for data in (b"a", bytearray(b"b"), memoryview(b"c")):
        raw.put(data)
    with pytest.raises(BadBody, match="raw carries bytes"):
        raw.put("text")
    assert [claim.data for claim in raw.claims(idle=0)] == [b"a", b"b", b"c"]
    with pytest.raises(BadValue, match="cannot be the type of a queue"):
        broker.queue("raw", Mail, codec="raw")


@pytest.mark.parametrize("name", CARRIERS)
def test_types_are_checked_at_both_ends(broker: Broker, name: str) -> None:
    mails = broker.queue("mails", Mail, codec=name)
    with pytest.raises(BadBody):
        mails.put({"to": 3})  # type: ignore[arg-type]
    broker.queue("mails", codec=name).put(["not a mail"])
    claim = mails.claim()
    assert claim is not None
    with pytest.raises(BadBody, match="the body is not Mail as"):
        _ = claim.data


def test_unknown_codecs_are_refused(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="no codec 'bson'; there are: json msgpack yaml raw pickle"):
        broker.queue("q", codec="bson")
    with pytest.raises(BadValue, match="no codec 'bson'"):
        broker.queue("q", accept=["bson"])
    with pytest.raises(BadValue, match="no codec 'bson'"):
        broker.task(codec="bson")(print)
    file = tmp_path / "ropeway.toml"
    file.write_text("[queues.q]\naccept = ['bson']\n")
    with pytest.raises(ConfigError, match="no codec 'bson'"):
        ropeway.connect("memory:", config=str(file)).queue("q")


def test_yaml_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch, broker: Broker) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    codec.cache_clear()
    way.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"needs PyYAML.*pip install 'ropeway\[yaml\]'"):
            broker.queue("q", codec="yaml").put({})
    finally:
        codec.cache_clear()
        way.cache_clear()


def test_content_types_by_their_many_names() -> None:
    known = {"application/JSON; charset=utf-8": "json", "application/ld+json": "json", "application/vnd.msgpack": "msgpack"}
    known |= {"text/yaml": "yaml", "application/x-python-serialize": "pickle", "image/png": "", "": "", TEXT: "", BYTES: ""}
    assert {kind: name_of(kind) or "" for kind in known} == known


# -- hostile bodies

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join(['*' + chr(ord(c) - 1)] * 9)}]\n" for c in "bcdefghij")
HOSTILE_YAML = [
    BOMB.encode(),
    b"&a [*a]",
    b"!!python/object/apply:os.system ['false']",
    b"!!python/name:os.system",
    b"!!binary x",
    b"!!timestamp ''",
    b"{[a]: 1}",
    b"[" * 50_000,
    b"- " * 50_000,
    b"1: " + b"9" * 10_000,
    b"\xff\xfe\x00",
    b"a: b: c",
    b"%YAML 9.9\n---\n",
    b"2030-99-99",
]


@pytest.mark.parametrize("body", HOSTILE_YAML, ids=range(len(HOSTILE_YAML)))
@pytest.mark.parametrize("into", [Any, Mail])
def test_hostile_yaml_is_one_error(body: bytes, into: Any) -> None:
    with pytest.raises(BadBody, match=r"as yaml|not yaml"):
        way("yaml").decode(body, YAML, into)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(), st.sampled_from(["json", "msgpack", "yaml"]), st.sampled_from([Any, Mail, int, list[str]]))
def test_any_bytes_are_a_value_or_one_error(data: bytes, name: str, into: Any) -> None:
    try:
        way(name).decode(data, KINDS[name], into)
    except BadBody:
        pass


class Planted:
    """What a pickle of this does when it is loaded."""

    fired: list[str] = []

    def __reduce__(self) -> Any:
        return Planted.fired.append, ("it ran",)


PICKLE_KINDS = [
    PICKLE,
    "application/x-python-serialize",
    f"{PICKLE}; protocol=5",
    PICKLE.upper(),
    BYTES,
    TEXT,
    JSON,
    MSGPACK,
    YAML,
    "x/y",
    "",
]


@pytest.mark.parametrize("kind", PICKLE_KINDS)
@pytest.mark.parametrize("name", ["json", "msgpack", "yaml", "raw"])
def test_nothing_is_unpickled_where_pickle_was_not_named(broker: Broker, kind: str, name: str) -> None:
    Planted.fired.clear()
    body = pickle.dumps(Planted())

    @broker.task(codec=name, retry=1)
    def task(data: bytes) -> None: ...

    queue = broker.queue("default", codec=name)
    queue.put_encoded(body, kind, task="task")
    queue.put_encoded(body, kind)
    for typed in (queue, broker.queue("default", bytes, codec=name), broker.queue("default", Any, codec=name)):
        claim = typed.claim()
        assert claim is not None
        try:
            assert claim.data is not None
        except BadBody:
            pass
        claim.nack(restore=True)
    broker.worker("default", drain=True).run()
    assert Planted.fired == []


def test_a_pickled_job_is_buried_with_that_reason(broker: Broker) -> None:
    @broker.task
    def f(n: int) -> None: ...

    handle = broker.queue("default").put_encoded(pickle.dumps({"args": [1], "kwargs": {}}), PICKLE, task="f")
    assert broker.worker("default", drain=True).run() == 10
    entry = handle.entry()
    assert entry is not None
    assert entry.state == "dead"
    assert entry.attempts == 1
    assert "came as 'application/x-python-pickle', and here it is json that is read: it was not decoded" in entry.error
    assert 'codec = "pickle"' in entry.error


def test_octets_are_not_unpickled_even_where_pickle_was_named(broker: Broker) -> None:
    """A content type is what the sender says of his bytes: one who does not say pickle gets none."""
    Planted.fired.clear()
    queue = broker.queue("q", codec="pickle")
    for kind in (BYTES, TEXT, "", "x/y"):
        queue.put_encoded(pickle.dumps(Planted(), 0), kind)
    for claim in queue.claims(idle=0):
        assert isinstance(claim.data, bytes | str)
    assert Planted.fired == []


# -- tasks


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("by", ["task", "queue"])
def test_arguments_and_results_travel_by_the_codec(tmp_path: Path, name: str, by: str) -> None:
    with configured(tmp_path, default=name if by == "queue" else "json") as broker:
        tasks = Tasks()
        broker.include(tasks)

        @tasks.task(keep=60, **({"codec": name} if by == "task" else {}))  # type: ignore[call-overload]
        def f(mail: Mail, *, size: Size = Size(1), flags: frozenset[int] = frozenset()) -> tuple[Mail, Size, list[int]]:  # noqa: B008
            return mail, size, sorted(flags)

        @tasks.task(keep=60, **({"codec": name} if by == "task" else {}))  # type: ignore[call-overload]
        def stars(first: int, /, *rest: Size, **named: bytes) -> str:
            return f"{first} {rest} {named}"

        handles = [f.put(MAIL, size=Size(2, 3), flags=frozenset({2, 1})), f.put(MAIL), stars.put(1, Size(2), a=b"\xff")]
        entry = handles[0].entry()
        assert entry.job.content_type == KINDS[name]
        assert broker.worker("default", drain=True).run() == 0
        assert [handle.result(0) for handle in handles] == [
            (MAIL, Size(2, 3), [1, 2]),
            (MAIL, Size(1), []),
            "1 (Size(width=2, height=0),) {'a': b'\\xff'}",
        ]
        assert handles[0].entry().result_type == KINDS[name]
        with pytest.raises(BadBody, match="task f"):
            f.put("not a mail")
        with pytest.raises(BadBody, match="task stars"):
            stars.put("x")
        with pytest.raises(TypeError, match="task f"):
            f.put(mail=MAIL, sise=1)


def test_pickle_carries_what_nothing_else_does(broker: Broker) -> None:
    @broker.task(codec="pickle", keep=60)
    def f(number: complex, path: Path, kind: type, error: Exception, *rest: Any) -> Any:
        return number, path, kind, repr(error), rest

    same = {1, 2}
    handle = f.put(1j, Path("x"), Mail, ValueError("e"), same, same)
    assert broker.worker("default", drain=True).run() == 0
    value = handle.result(0)
    assert value == (1j, Path("x"), Mail, "ValueError('e')", (same, same))
    assert value[4][0] is value[4][1]
    with pytest.raises(BadBody, match="number: expected complex, got str"):
        f.put("x", Path("x"), Mail, ValueError("e"))
    with pytest.raises(BadBody, match="cannot be carried as pickle"):
        f.put(1j, Path("x"), Mail, ValueError("e"), lambda: None)


@pytest.mark.parametrize(
    "body", [b"nonsense", pickle.dumps(3), pickle.dumps([1, 2, 3]), pickle.dumps({"args": 1}), pickle.dumps({"kwargs": {1: 2}}), b""]
)
def test_pickles_that_do_not_fit_are_buried(broker: Broker, body: bytes) -> None:
    @broker.task(codec="pickle")
    def f(n: int) -> None: ...

    handle = broker.queue("default").put_encoded(body, PICKLE, task="f")
    broker.worker("default", drain=True).run()
    entry = handle.entry()
    assert entry is not None
    assert entry.error.startswith("ropeway.errors.BadBody: task f: ")


def test_a_raw_task_takes_the_bytes_as_they_are(broker: Broker) -> None:
    seen: list[bytes] = []

    @broker.task(codec="raw", keep=60)
    def size(image: bytes) -> int:
        seen.append(image)
        return len(image)

    handle = size.put(b'{"not": "looked at"}')
    broker.queue("default").put_encoded(b"\x00", BYTES, task="size")
    broker.queue("default").put_encoded(b"\x01", "image/png", task="size")
    assert broker.worker("default", drain=True, concurrency=1).run() == 0
    assert seen == [b'{"not": "looked at"}', b"\x00", b"\x01"]
    assert handle.result(0) == 20

    @broker.task(codec="raw")
    def two(a: bytes, b: bytes = b"") -> None: ...

    with pytest.raises(BadBody, match="raw bytes are its one argument, and it takes 2"):
        two.put(b"a")
    with pytest.raises(BadBody, match="image: expected bytes, got str"):
        size.put("text")  # type: ignore[arg-type]


def test_templates_see_the_arguments_whatever_the_codec(broker: Broker) -> None:
    for name in (*CARRIERS, "raw"):

        @broker.task(name=f"t-{name}", codec=name, unique="{data}", lane="lane-{data}")
        def f(data: bytes) -> None: ...

        entry = f.put(b"x").entry()
        assert entry is not None
        assert (entry.job.key, entry.job.lane) == ("b'x'", "lane-b'x'")
        entry.job.key = ""
        broker.queue("default").purge()


@settings(deadline=None)  # the machine may be busy
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(["msgpack", "yaml", "pickle"]),
)
def test_what_goes_in_comes_out(data: Any, name: str) -> None:
    by = way(name)
    try:
        body, kind = by.encode(data)
    except BadBody:
        assert any(0xD800 <= ord(c) <= 0xDFFF for c in repr(data)) or "\\ud" in repr(data)
        return
    assert by.decode(body, kind) == data
