"""A watcher that is killed: between any two steps, and for real."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import ropeway
from ropeway.errors import StoreError
from ropeway.job import State
from ropeway.store import Ack
from ropeway.watch import handing

from .yard import QUEUE, Yard

pytestmark = pytest.mark.slow


class Died(BaseException):
    """Where the process ends."""


STEPS = ("begin", "put", "note put", "release", "note release")


def _die(monkeypatch: pytest.MonkeyPatch, yard: Yard, step: str, *, done: bool) -> None:
    """From now on the process dies in that step, before it or, with `done`, once it is done."""

    def deadly(call: Callable[..., Any], turn: int = 0) -> Callable[..., Any]:
        turns = iter(range(100))

        def dying(*args: Any, **kwargs: Any) -> Any:
            mine = next(turns) == turn
            if mine and not done:
                raise Died
            answer = call(*args, **kwargs)
            if mine:
                raise Died
            return answer

        return dying

    store = yard.link.store
    if step in ("put", "release"):
        verb = "put" if step == "put" else "requeue"
        monkeypatch.setattr(store, verb, deadly(getattr(store, verb)))
    elif step == "move":
        monkeypatch.setattr(handing.os, "rename", deadly(os.rename))
    else:
        turn = STEPS[::2].index(step)
        assert yard.watcher is not None
        record = yard.watcher._record
        monkeypatch.setattr(record, "write", deadly(record.write, turn))


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("step", [*STEPS, "move"])
def test_between_any_two_steps(yard: Yard, monkeypatch: pytest.MonkeyPatch, step: str, done: bool) -> None:
    more = {"move_to": str(yard.place / "taken")} if step == "move" else {}
    yard.watch(**more)
    names = ["a", "b", "c"]
    for name in names:
        yard.bring(name, name.encode())
    with monkeypatch.context() as patch:
        _die(patch, yard, step, done=done)
        with pytest.raises(Died):
            yard.step()
    before = yard.link.store.claim((QUEUE,), 10, 30, yard.link.holder())  # what was released runs meanwhile, and is gone
    yard.link.store.ack([Ack(lent.receipt) for lent in before])
    yard.watch(**more)
    yard.step(2.1)
    yard.step(60)
    ran = [os.path.basename(os.fsdecode(lent.job.body)) for lent in before] + [os.path.basename(body) for body in yard.bodies(*State)]
    assert sorted(ran) == names
    assert yard.asleep() == 0
    if more:
        assert sorted(path.name for path in (yard.place / "taken").iterdir()) == names


@pytest.mark.parametrize("verb", ["put", "requeue"])
def test_in_the_middle_of_a_batch(yard: Yard, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Some of the batch were put, or released, and have run, when the watcher dies."""
    names = [f"{number:03}" for number in range(600)]
    yard.watch()
    for name in names:
        yard.bring(name)
    store = yard.link.store
    whole = getattr(store, verb)

    def half(what: Any) -> Any:
        whole(what[:300] if verb == "put" else replace(what, ids=what.ids[:300]))
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(store, verb, half)
        with pytest.raises(Died):
            yard.step()
    before = store.claim((QUEUE,), 200, 30, yard.link.holder())
    assert len(before) == (0 if verb == "put" else 200)
    store.ack([Ack(lent.receipt) for lent in before])
    yard.watch()
    yard.step(2.1)
    yard.step(60)
    ran = [os.path.basename(os.fsdecode(lent.job.body)) for lent in before] + yard.bodies(*State)
    assert sorted(ran) == names
    assert yard.asleep() == 0


def test_a_put_of_which_nobody_knows_whether_it_was_done(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails after it has stored: the watcher lives, and tries again."""
    yard.watch()
    for name in ("a", "b"):
        yard.bring(name)
    store = yard.link.store
    put = store.put

    def lost(jobs: Any) -> Any:
        put(jobs)
        raise StoreError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(store, "put", lost)
        yard.step()
    assert yard.asleep() == 2
    yard.step(60)
    assert yard.bodies(*State) == ["a", "b"]
    assert yard.asleep() == 0


def test_a_file_that_changes_while_its_watcher_is_dead(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.watch()
    yard.bring("a", b"1")
    with monkeypatch.context() as patch:
        _die(patch, yard, "put", done=True)
        with pytest.raises(Died):
            yard.step()
    yard.bring("a", b"22")
    yard.watch()
    yard.step(2.1)
    assert yard.bodies(*State) == ["a"]
    assert yard.asleep() == 0


def test_killed_for_real_again_and_again(tmp_path: Path) -> None:
    folder, url, count = tmp_path / "in", f"dir:{tmp_path}/spool?durability=os", 300
    folder.mkdir()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "ROPEWAY_URL": url}
    command = [sys.executable, "-m", "ropeway", "watch", str(folder), QUEUE, "--existing"]
    chance = random.Random(7)
    made, kills, end = 0, 0, time.monotonic() + 60
    with (tmp_path / "out").open("wb") as out:
        while made < count:
            watcher = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.DEVNULL)
            begun = time.monotonic()
            alive_for = 0.25 + chance.random() * 0.35
            while time.monotonic() - begun < alive_for and made < count:
                (tmp_path / "t").write_bytes(b"%d" % made)
                os.rename(tmp_path / "t", folder / f"{made:04}")
                made += 1
                time.sleep(0.004)
            watcher.send_signal(signal.SIGKILL)
            watcher.wait()
            kills += 1
            assert time.monotonic() < end
    last = subprocess.run([*command, "--once", "--settle", "0.1s"], env=environment, capture_output=True, timeout=60)
    assert last.returncode == 0, last.stderr
    with ropeway.connect(url) as broker:
        queue = broker.queue(QUEUE)
        names = Counter(os.path.basename(entry.job.body.decode()) for entry in queue.browse(limit=None))
        counts = queue.counts()
    assert kills >= 3
    assert names == Counter(f"{number:04}" for number in range(count))
    assert (counts.ready, counts.delayed) == (count, 0)


def test_sigterm_ends_it_well(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "ROPEWAY_URL": f"dir:{tmp_path}/spool"}
    watcher = subprocess.Popen([sys.executable, "-m", "ropeway", "watch", str(folder), QUEUE], env=environment, stdout=subprocess.PIPE)
    assert watcher.stdout is not None
    deadline = time.monotonic() + 30
    while not list((tmp_path / "state").glob("ropeway/watch/*.lock")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    number = 0
    while True:  # the first that comes once it watches
        (tmp_path / "t").write_bytes(b"x")
        os.rename(tmp_path / "t", folder / f"file-{number}")
        number += 1
        if select.select([watcher.stdout], [], [], 0.5)[0]:
            break
        assert time.monotonic() < deadline
    row = json.loads(watcher.stdout.readline())
    assert row["file"].startswith("file-")
    assert len(row["id"]) == 32
    watcher.terminate()
    watcher.stdout.close()
    assert watcher.wait(20) == 0
