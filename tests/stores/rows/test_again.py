"""A put or a carry that was killed before it published its job, and is repeated by another process: the job is there, once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Attempt, Job, State
from ropeway.store import Entry, Query
from ropeway.stores.directory import DirectoryStore

from .conftest import drain

Opened = Callable[..., DirectoryStore]
InChild = Callable[..., str]

DIES = """
import os, signal
from ropeway.stores.directory.intake import Intake
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
Intake._publish = die
"""


@pytest.mark.parametrize("key", ["", "k"])
def test_a_guarded_put_is_not_taken_for_done(opened: Opened, in_child: InChild, key: str) -> None:
    """The id was guarded already when it died: whoever repeats the put must not be told that the job is here."""
    store = opened()
    job_id = IdMaker(time.time_ns, lambda size: b"7" * size)()
    in_child(f"{DIES}\nstore.put([Job('{job_id}', 'q', b'x', key='{key}', once=True)])", kill=True)
    assert store.put([Job(job_id, "q", b"x", key=key, once=True)]) == [True]
    assert [lent.job.id for lent in drain(store)] == [job_id]


@pytest.mark.parametrize("state", [State.READY, State.DEAD, State.DONE])
def test_a_guarded_job_is_brought_after_all(opened: Opened, in_child: InChild, state: State) -> None:
    store = opened()
    job_id = IdMaker(time.time_ns, lambda size: b"8" * size)()
    fields = f"Job('{job_id}', 'q', b'x' * 70_000, key='k', once=True, created=1e9), State('{state}'), 4e9, 2, 1"
    in_child(
        f"{DIES}\nfrom ropeway.store import Entry\nfrom ropeway.job import Attempt, State\n"
        f"store.bring([Entry({fields}, history=[Attempt(1, 1.0, 2.0, 'w', 'failed', 'E')])])",
        kill=True,
    )
    entry = Entry(Job(job_id, "q", b"x" * 70_000, key="k", once=True, created=1e9), state, 4e9, 2, 1)
    entry.history = [Attempt(1, 1.0, 2.0, "w", "failed", "E")]
    assert store.bring([entry]) == [True]
    (shown,) = store.browse(Query())
    assert (shown.attempts, shown.deaths, shown.error, len(shown.history)) == (2, 1, "E", 1)
    assert shown.job.source.read() == b"x" * 70_000
    assert [f.text for f in store.check() if f.level in ("warning", "fault")] == []


def test_what_has_ended_is_synced_with_every_new_folder_above_it(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead and done ones of one stretch of time lie in two folders of one name."""
    store = opened("durability=full")
    now = time.time() // 600 * 600 + 1200
    new_id = IdMaker(time.time_ns, lambda size: b"9" * size)
    synced: list[str] = []

    def sync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}").rpartition("/q/")[2].partition(" ")[0])

    store.put([Job(new_id(), "q")])
    monkeypatch.setattr(store._hub.place.disk, "sync", sync)
    jobs = [Job(new_id(), "q"), Job(new_id(), "q")]
    assert store.bring([Entry(jobs[0], State.DEAD, now), Entry(jobs[1], State.DONE, now)]) == [True, True]
    stretch = f"{int(now * 1e6) >> 28:07x}"
    assert {"dead", "done", f"dead/{stretch}", f"done/{stretch}"} <= set(synced)
    files = [name for name in synced if name.count("/") == 2]
    assert [name.rpartition("/")[0] for name in files] == [f"dead/{stretch}", f"done/{stretch}"]
