"""The bell's folders of private queues on SQLite: gone with their owner, or with the next one when that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from ropeway.stores import open_store
from ropeway.stores.sql.sqlite import bell

WAITER = """
import sys
from ropeway.stores import open_store
open_store(sys.argv[1]).wait((sys.argv[2],), 600)
"""


def folders(path: Path) -> list[str]:
    return sorted(found.name for found in path.rglob("+*") if found.is_dir())


def test_they_go_with_their_owner(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path}/q.db")
    store.wait(("mails", "_orders.one", "_shared"), 0)
    assert folders(tmp_path) == ["+_orders.one", "+_shared", "+mails"]
    store.close()
    assert folders(tmp_path) == ["+_shared", "+mails"]


def test_those_of_the_killed_go_with_the_next_one(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/q.db"
    killed = subprocess.Popen([sys.executable, "-c", WAITER, url, "_orders.dead"])
    living = subprocess.Popen([sys.executable, "-c", WAITER, url, "_orders.alive"])
    try:
        end = time.monotonic() + 60
        while folders(tmp_path) != ["+_orders.alive", "+_orders.dead"] or len(list(tmp_path.rglob("*.idle"))) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        killed.kill()
        killed.wait()
        for name in ("alive", "dead"):
            folder = next(tmp_path.rglob(f"+_orders.{name}"))
            os.utime(folder, (time.time() - bell.YOUNG - 1,) * 2)
        store = open_store(url)
        store.wait(("_orders.next",), 0)
        assert folders(tmp_path) == ["+_orders.alive", "+_orders.next"]
        store.close()
    finally:
        for one in (killed, living):
            one.kill()
            one.wait()
