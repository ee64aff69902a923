"""The lobby: what connect needs, what it opens, and what the Broker leads to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway.errors import BadName, ConfigError, StoreError
from ropeway.events import Event
from ropeway.retry import Retry


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, no home but the test's own."""
    for name in ("ROPEWAY_URL", "ROPEWAY_CONFIG", "ROPEWAY_QUEUE"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.chdir(home)


def test_connect_opens_nothing(tmp_path: Path) -> None:
    broker = ropeway.connect(f"dir:{tmp_path}/spool")
    broker.queue("mails")
    assert not (tmp_path / "spool").exists()
    broker.close()


def test_a_wrong_url_is_said_at_once() -> None:
    for url in ("spool", "dir:x?colour=red", "ftp://x", "dir:x?poll=often"):
        with pytest.raises(ConfigError):
            ropeway.connect(url)


def test_without_a_url_a_folder_of_ones_own(tmp_path: Path) -> None:
    with ropeway.connect() as broker:
        broker.queue("mails").put(1)
    folder = tmp_path / "home" / "state" / "ropeway"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "spool" / "mails").is_dir()


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_URL", f"dir:{tmp_path}/elsewhere")
    with ropeway.connect() as broker:
        broker.queue("mails").put(1)
    assert (tmp_path / "elsewhere" / "mails").is_dir()


def test_secrets_are_not_shown() -> None:
    broker = ropeway.connect("memory:bob")
    assert broker.url == "memory:bob"
    broker._link.url = "postgresql://bob:hunter2@db/jobs"
    assert "hunter2" not in broker.url + repr(broker)


def test_what_it_leads_to() -> None:
    heard: list[Event] = []
    with ropeway.connect("memory:", config=False) as broker:
        broker.on(heard.append)
        mails = broker.queue("mails")
        handle = mails.put({"a": 1}, keep=60)
        broker.queue("other").put(1)
        assert broker.queues() == ["mails", "other"]
        assert broker.counts(["mails"])["mails"].ready == 1
        assert set(broker.counts()) == {"mails", "other"}
        assert broker.handle("mails", handle.id) == handle
        broker.notes.note("x", b"1", 60)
        assert broker.notes.notes("x") == {"x": b"1"}
        with pytest.raises(BadName):
            broker.queue("no/name")
    assert [event.name for event in heard][:2] == ["put", "put"]
    with pytest.raises(StoreError, match="closed"):
        mails.put(1)


def test_typed_queues() -> None:
    with ropeway.connect("memory:", config=False) as broker:
        broker.queue("n", int).put(5)
        with pytest.raises(ropeway.BadBody):
            broker.queue("n", type=int).put("5")  # type: ignore[arg-type]


def test_tasks_go_through_the_brokers_queues(tmp_path: Path) -> None:
    (tmp_path / "home" / "ropeway.toml").write_text('[queues.mails]\nkeep = "1h"\n')
    with ropeway.connect("memory:") as broker:

        @broker.task(queue="mails")
        def welcome(user: int) -> bool:
            return user > 0

        @broker.task
        def other() -> None: ...

        handle = welcome.put(42)
        claim = broker.queue("mails").claim()
        assert claim is not None
        assert (claim.data, claim.job.task, claim.job.keep) == ({"user": 42}, "welcome", 3600)
        claim.ack(result=True)
        assert handle.result(0) is True
        assert {task.name for task in broker.tasks} == {"welcome", "other"}
        assert welcome(1)


def test_settings_come_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "home" / "ropeway.toml"
    file.write_text('[queues.mails]\nkeep = "1h"\nlease = "2m"\npriority = 7\nretry = { attempts = 1 }\n')
    with ropeway.connect("memory:") as broker:
        mails = broker.queue("mails")
        assert (mails.settings.keep, mails.settings.lease, mails.settings.priority) == (3600, 120, 7)
        mails.put(1)
        with pytest.raises(ValueError, match="x"), mails.claim() or pytest.fail("no claim"):
            raise ValueError("x")
        assert mails.counts().dead == 1  # one attempt is all it gets
        assert broker.queue("other").settings.keep == 0
    with ropeway.connect("memory:", config=False) as broker:
        assert broker.queue("mails").settings.keep == 0
    moved = file.rename(tmp_path / "moved.toml")
    with ropeway.connect("memory:", config=str(moved)) as broker:
        assert broker.queue("mails").settings.keep == 3600


def test_a_worker_takes_its_options_from_the_call_then_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ropeway import worker

    made: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(worker, "Worker", lambda link, tasks, patterns, **options: made.append((patterns, options)))
    (tmp_path / "home" / "ropeway.toml").write_text('[worker]\nconcurrency = 8\ngrace = "5s"\n')
    retry = Retry(2)
    with ropeway.connect("memory:") as broker:
        broker.worker("critical", "*", "!low", concurrency=2, retry=retry)
        broker.worker()
        monkeypatch.setenv("ROPEWAY_QUEUE", "mails")
        broker.worker()
        with pytest.raises(ropeway.BadValue):
            broker.worker("a b")
    assert made == [
        (("critical", "*", "!low"), {"concurrency": 2, "grace": "5s", "retry": retry}),
        (("default",), {"concurrency": 8, "grace": "5s"}),
        (("mails",), {"concurrency": 8, "grace": "5s"}),
    ]


def test_copy_carries_the_queues_that_are_meant() -> None:
    one, other = ropeway.connect("memory:"), ropeway.connect("memory:")
    for name in ("mails", "films", "mail.old"):
        one.queue(name).put_many(["a", "b"], priority=3)
    assert [(c.queue, c.jobs) for c in one.copy(other, "mail*", "!*.old")] == [("mails", 2)]
    assert [(c.queue, c.jobs) for c in asyncio.run(one.acopy(other))] == [("films", 2), ("mail.old", 2), ("mails", 2)]
    assert one.copy(other, "nothing*", "neither") == []
    assert [c.queue for c in one.copy(other, "!mail*")] == ["films"]
    assert [claim.data for claim in other.queue("mails").claims(idle=0)] == ["a", "b"]
    with pytest.raises(ropeway.BadValue):
        one.copy(one)
