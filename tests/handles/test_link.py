"""One connection: opened late, shared by threads, renewed after a fork, named for people, and closed once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ropeway.clock import Clock
from ropeway.errors import ConfigError, StoreError
from ropeway.events import Event
from ropeway.link import Link, anchored
from ropeway.queue import Queue
from ropeway.store import Store
from ropeway.stores import open_store


def test_nothing_is_opened_until_first_use(tmp_path: Path) -> None:
    link = Link(f"dir:{tmp_path}/spool")
    Queue[Any](link, "mails")
    assert not link.opened
    assert not (tmp_path / "spool").exists()
    link.close()


def test_threads_open_it_once() -> None:
    opened: list[Store] = []
    ready = threading.Barrier(8)

    def opener(url: str, clock: Clock) -> Store:
        opened.append(open_store(url, clock))
        return opened[-1]

    link = Link("memory:", opener=opener)

    def use() -> None:
        ready.wait()
        assert link.store is opened[0]

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    link.close()


def test_closed_is_closed() -> None:
    link = Link("memory:")
    assert link.store
    link.close()
    link.close()
    with pytest.raises(StoreError, match="closed") as caught:
        link.store  # noqa: B018
    assert caught.value.definite


def test_holders_say_who_claims() -> None:
    link = Link("memory:", name="mailer")
    assert link.holder().name == f"{os.uname().nodename}:{os.getpid()}:mailer"
    assert link.holder().bound
    assert not link.holder(bound=False).bound
    assert Link("memory:").holder().name.count(":") == 2  # the program's own name, when none is given
    link.close()


def test_only_who_listens_pays_for_it() -> None:
    link = Link("memory:")
    bare = link.store
    heard: list[Event] = []
    link.on(heard.append)
    assert link.store is not bare
    Queue[Any](link, "mails").put(1)
    assert [event.name for event in heard] == ["put"]

    def broken(event: Event) -> None:
        raise RuntimeError("a listener's own fault")

    link.on(broken)
    Queue[Any](link, "mails").put(2)
    assert [event.name for event in heard] == ["put", "put"]
    link.close()


def test_a_relative_folder_is_meant_from_where_one_connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    link = Link("dir:spool?durability=os")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Queue[Any](link, "mails").put(1)
    assert (tmp_path / "spool").is_dir()
    assert not (tmp_path / "elsewhere" / "spool").exists()
    link.close()
    odd = tmp_path / "50% ?"
    odd.mkdir()
    monkeypatch.chdir(odd)
    link = Link("dir:spool?durability=os")
    Queue[Any](link, "mails").put(1)
    assert (odd / "spool").is_dir()
    link.close()
    for url in ("memory:", "memory:x", "dir:/x", "dir:%2Fx", "postgresql://h/db", "dir:"):
        assert anchored(url) == url


def test_a_url_that_names_no_store_is_said_at_first_use() -> None:
    with pytest.raises(ConfigError, match="dir:"):
        Link("carrier-pigeon:coop").store  # noqa: B018


FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore")
from ropeway.link import Link
from ropeway.queue import Queue

link = Link(sys.argv[1], name="fork")
queue = Queue(link, "mails")
ids = {link.new_id() for _ in range(10)}
queue.put("parent")
held = queue.claim(lease=60)

async def aput(text):
    await queue.aput(text)

asyncio.run(aput("parent awaited"))
before = link.store
child = os.fork()
if not child:
    code = 1
    try:
        assert not link.opened and link.facade is None
        queue.put("child")
        assert link.store is not before
        asyncio.run(aput("child awaited"))
        assert str(os.getpid()) in link.holder().name
        print(" ".join(link.new_id() for _ in range(500)), flush=True)
        held.extend(60)  # a receipt is good in any process
        link.close()
        code = 0
    finally:
        os._exit(code)
print(" ".join(link.new_id() for _ in range(500)), flush=True)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert link.store is before
queue.put("parent again")
asyncio.run(aput("parent awaited again"))
held.ack()
counts = queue.counts()
print(counts.ready, counts.running, flush=True)
link.close()
"""


def test_a_fork_opens_its_own_and_leaves_its_parents_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, f"dir:{tmp_path}/spool?durability=os"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *ids, counts = done.stdout.splitlines()
    assert counts == "5 0"
    made = [job_id for line in ids for job_id in line.split()]
    assert len(set(made)) == len(made) == 1000
    assert len({job_id[16:] for job_id in made}) == 1000  # not one random tail was handed out on both sides
