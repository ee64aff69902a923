"""What is not ropeway's, is damaged, or comes from the future: counted or set aside, never followed, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ropeway.errors import BadName, ConfigError
from ropeway.events import Event
from ropeway.store import Query
from ropeway.stores.directory import DirectoryStore

from .conftest import drain, job, names, waiting

Opened = Callable[..., DirectoryStore]


@pytest.fixture
def one_bad(opened: Opened, spool: Path) -> tuple[DirectoryStore, Path, list[Event]]:
    """Three jobs waiting, the file of the middle one at hand."""
    store = opened()
    events: list[Event] = []
    store.listeners = (events.append,)
    for body in (b"first", b"middle", b"last"):
        store.put([job(body)])
    return store, waiting(spool)[1], events


DAMAGE = {
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "one bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "another file": lambda data: b"MZ" + data,
    "many records said": lambda data: data[:4] + b"\xff\xff\xff\xff" + data[8:],
    "a length beyond": lambda data: data[:12] + b"\xff\xff\xff\x7f" + data[16:],
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_part_is_set_aside_and_the_rest_goes_on(one_bad: tuple[DirectoryStore, Path, list[Event]], spool: Path, how: str) -> None:
    store, path, events = one_bad
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    assert any(f.level == "fault" for f in store.check()), "check sees it while it still waits"
    assert [lent.job.body for lent in drain(store)] == [b"first", b"last"]
    assert [e.name for e in events].count("quarantined") == 1
    assert len(names(spool / "q" / "bad")) == 1
    assert any(f.level == "fault" and "bad" in f.text for f in store.check())
    assert drain(store) == [], "and it is met only once"


def test_a_part_of_a_later_format_is_left_alone(one_bad: tuple[DirectoryStore, Path, list[Event]], spool: Path) -> None:
    store, path, events = one_bad
    future = b"rw2\n" + path.read_bytes()[4:]
    path.write_bytes(future)
    assert [lent.job.body for lent in drain(store)] == [b"first", b"last"]
    assert names(spool / "q" / "bad") == []
    left = waiting(spool)
    assert [p.read_bytes() for p in left] == [future]
    assert any("newer" in f.text for f in store.check())
    assert [e.detail for e in events if e.name == "quarantined"] == ["left alone"]


@pytest.mark.parametrize("kind", ["file", "symlink", "fifo", "folder", "socket name", "huge name", "no text"])
def test_foreign_things_among_the_jobs(one_bad: tuple[DirectoryStore, Path, list[Event]], spool: Path, kind: str, tmp_path: Path) -> None:
    store, path, _ = one_bad
    secret = tmp_path / "secret"
    secret.write_bytes(b"not yours")
    for folder in (path.parent, path.parent.parent, spool / "q" / "run", spool / "q" / "dead", spool / "q", spool / "q" / "bell"):
        target = folder / ("x" * 250 if kind == "huge name" else "foreign")
        if kind == "symlink":
            target.symlink_to(secret)
        elif kind == "fifo":
            os.mkfifo(target)
        elif kind == "folder":
            target.mkdir()
        elif kind == "no text":
            os.close(os.open(os.fsencode(folder) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))
        else:
            target.write_bytes(b"?")
    assert len(drain(store)) == 3
    assert store.counts()["q"].ready == 0
    assert store.browse(Query()) == []
    list(store.check())
    assert secret.read_bytes() == b"not yours"


def test_a_link_under_a_parts_own_name_is_not_followed(
    one_bad: tuple[DirectoryStore, Path, list[Event]], spool: Path, tmp_path: Path
) -> None:
    store, path, _ = one_bad
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert [lent.job.body for lent in drain(store)] == [b"first", b"last"]
    assert elsewhere.exists()
    assert len(names(spool / "q" / "bad")) == 1


def test_a_queue_that_is_a_link_is_refused(opened: Opened, spool: Path, tmp_path: Path) -> None:
    store = opened()
    store.put([job()])
    (tmp_path / "outside").mkdir()
    (spool / "evil").symlink_to(tmp_path / "outside")
    with pytest.raises(Exception, match="foreign"):
        store.put([job(queue="evil")])
    assert names(tmp_path / "outside") == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".hidden", "a\0b", "x" * 129, "ä", "a b", "a\nb", "*", "+notes"])
def test_a_hostile_name_changes_nothing(opened: Opened, spool: Path, name: str) -> None:
    store = opened()
    store.put([job()])
    before = names(spool.parent)
    with pytest.raises(BadName):
        store.put([job(queue=name)])
    assert names(spool.parent) == before


def test_names_that_differ_in_case_are_two_queues(opened: Opened, spool: Path) -> None:
    store = opened()
    for queue in ("Mails", "mails", "MAILS", "CON", "X" * 128):
        store.put([job(queue.encode(), queue=queue)])
    folders = [p.name for p in spool.iterdir() if p.is_dir()]
    assert len({f.lower() for f in folders}) == 5
    assert store.queues() == sorted(["Mails", "mails", "MAILS", "CON", "X" * 128])
    for queue in store.queues():
        assert [lent.job.body for lent in drain(store, queue)] == [queue.encode()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ropeway directory store\nversion 2\nclock boot\n", "Update ropeway"),
        ("something else\n", "not of a ropeway store"),
        ("", "not of a ropeway store"),
    ],
)
def test_a_store_from_the_future_is_refused_and_unchanged(opened: Opened, spool: Path, text: str, says: str) -> None:
    spool.mkdir()
    (spool / "format").write_text(text)
    with pytest.raises(ConfigError, match=says):
        opened().put([job()])
    assert names(spool) == ["format"]
    assert (spool / "format").read_text() == text


def test_a_folder_that_is_something_else_is_refused(opened: Opened, spool: Path) -> None:
    spool.mkdir()
    (spool / "thesis.tex").write_text("do not touch")
    with pytest.raises(ConfigError, match="holds other files"):
        opened().put([job()])
    assert names(spool) == ["thesis.tex"]


def test_a_folder_open_to_everybody_is_refused(opened: Opened, spool: Path) -> None:
    spool.mkdir()
    spool.chmod(0o777)
    with pytest.raises(ConfigError, match="written by everybody"):
        opened().put([job()])


@pytest.mark.parametrize(
    "options", ["durability=never", "wonder=1", "mode=999", "mode=606", "bell=udp://1.2.3.4:5", "poll=-1", "require=X"]
)
def test_an_option_that_is_none_is_refused(opened: Opened, spool: Path, options: str) -> None:
    with pytest.raises(ConfigError, match=r"nothing was (opened|done)"):
        opened(options)
    assert not spool.exists()
