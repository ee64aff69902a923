"""What a process leaves behind when it dies at any point, and that somebody else brings it to its end: D8 to D13."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import ropeway
from ropeway.store import Ack, Query
from ropeway.stores import open_store
from ropeway.stores.directory import DirectoryStore
from ropeway.stores.directory.layout import Part, Staged, read_held, read_waiting

from .conftest import HOLDER, drain, job, names

Opened = Callable[..., DirectoryStore]
InChild = Callable[..., str]


def holder_folder(spool: Path) -> Path:
    """The one holder's folder in run/ that holds something."""
    return next(p for p in (spool / "q" / "run").iterdir() if p.is_dir() and any(read_held(n.name) for n in p.iterdir()))


def test_a_killed_worker_is_noticed_on_its_host_at_once(opened: Opened, in_child: InChild) -> None:
    """D10, W4: well before the lease of 600 s ends."""
    store = opened()
    store.put([job(b"%d" % n) for n in range(5)])
    in_child("assert len(store.claim(['q'], 3, 600.0, HOLDER)) == 3", kill=True)
    began = time.monotonic()
    got: list[tuple[bytes, int, int]] = []
    while len(got) < 5:
        store.wait(["q"], 5.0)
        for lent in store.claim(["q"], 10, 30.0, HOLDER):
            got.append((lent.job.body, lent.attempt, lent.deaths))
            assert store.ack([Ack(lent.receipt)]) == [True]
    assert time.monotonic() - began < 60
    assert sorted(got) == [(b"0", 2, 1), (b"1", 2, 1), (b"2", 2, 1), (b"3", 1, 0), (b"4", 1, 0)]


def test_a_receipt_that_was_printed_outlives_its_process(opened: Opened, in_child: InChild) -> None:
    store = opened()
    store.put([job(b"one"), job(b"two")])
    receipt = in_child("print(store.claim(['q'], 1, 600.0, Holder('shell', bound=False))[0].receipt)", kill=True).strip()
    store._hub.made("q").rescue.look()
    assert store.counts()["q"].running == 1, "the process is dead, the lease is not"
    assert store.extend([receipt], 900.0) == [True]
    assert store.ack([Ack(receipt)]) == [True]
    assert store.ack([Ack(receipt)]) == [False]
    assert [lent.job.body for lent in drain(store)] == [b"two"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_live_worker_of_another_user_is_not_robbed() -> None:
    """The original asked "may I signal this pid", and took a refusal for death."""
    python = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin") or ""
    base = Path(tempfile.mkdtemp(prefix="ropeway-"))
    base.chmod(0o755)
    try:
        url = f"dir:{base}/spool?durability=os&mode=660"
        claimer = open_store(url)
        claimer.put([job()])
        assert len(claimer.claim(["q"], 1, 600.0, HOLDER)) == 1
        for path in ((base / "spool"), *(base / "spool").rglob("*")):
            os.chown(path, 65534, 65534)
        lines = (
            "from ropeway.stores import open_store\n"
            f"s = open_store({url!r})\n"
            "print(s._hub.made('q').rescue.look(), s.counts()['q'].running)\n"
        )
        shutil.copytree(Path(ropeway.__file__).parent, base / "path" / "ropeway")
        shutil.copytree(Path(msgspec.__file__).parent, base / "path" / "msgspec")
        done = subprocess.run(
            [python, "-c", lines], capture_output=True, text=True, timeout=60, user=65534, group=65534, extra_groups=[], cwd="/",
            env={"PYTHONPATH": str(base / "path"), "PYTHONDONTWRITEBYTECODE": "1"},
        ) if python else None  # fmt: skip
        if done is None or "ModuleNotFoundError" in done.stderr:
            pytest.skip("there is no Python that another user may run")
        assert done.stdout.split() == ["0", "1"], done.stderr
        claimer.close()
    finally:
        shutil.rmtree(base)


def planted(spool: Path, in_child: InChild, count: int = 6, taken: int = 6) -> tuple[Path, Part]:
    """A dead holder that holds one part of `taken` records; its folder and the part."""
    in_child(
        f"store.put([job(b'%d' % n) for n in range({count})])\nassert len(store.claim(['q'], {taken}, 600.0, HOLDER)) == {taken}",
        kill=True,
    )
    folder = holder_folder(spool)
    part = next(p for n in folder.iterdir() if (p := read_held(n.name)))
    return folder, part


def stage(folder: Path, kind: str, part: Part, record: int, end: int | None = None) -> Path:
    """Link what a split, a nack, a bury or a kept ack of these records stages, as the dead one did before its commit."""
    target = part.cut(record, end or record + 1)
    if kind in "dk":
        target.until = int((time.time() + (3600 if kind == "k" else 0)) * 1e6)
    name = folder / Staged(kind, part.serial, target).name()
    os.link(folder / part.held(), name)
    return name


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("kind", ["s", "n", "d", "k"])
def test_staged_work_is_real_only_when_its_parent_says_so(
    opened: Opened, in_child: InChild, spool: Path, kind: str, committed: bool
) -> None:
    folder, part = planted(spool, in_child)
    if kind == "s":
        stage(folder, kind, part, 4, 6)
        after = part.cut(0, 4)
    else:
        stage(folder, kind, part, 4)
        after = part.but(bits=1 << 4)
    if committed:
        (folder / part.held()).rename(folder / after.held())
    store = opened()
    counts = None
    for _ in range(3):
        store._hub.made("q").rescue.look()
        counts = store.counts()["q"]
    assert counts is not None
    there = {"s": (6, 0, 0), "n": (6, 0, 0), "d": (5, 1, 0), "k": (5, 0, 1)}[kind] if committed else (6, 0, 0)
    assert (counts.ready, counts.dead, counts.done) == there
    bodies = sorted(lent.job.body for lent in drain(store))
    assert bodies == sorted(b"%d" % n for n in range(6) if there[0] == 6 or n != 4), "each once"
    assert not folder.exists(), "and nothing is left of the dead one"


def test_a_part_all_of_whose_records_are_settled_does_not_come_back(opened: Opened, in_child: InChild, spool: Path) -> None:
    folder, part = planted(spool, in_child)
    (folder / part.held()).rename(folder / part.but(bits=0b111111).held())
    store = opened()
    store._hub.made("q").rescue.look()
    assert drain(store) == []
    assert not folder.exists()


def test_an_ack_cut_off_behind_its_commit_is_brought_to_its_end(opened: Opened, in_child: InChild, spool: Path) -> None:
    """A large body lies beside: the part is renamed to g..., then the body goes, then g. Killed after the first step."""
    in_child("store.put([job(source=iter([b'z' * 100000]))]); assert store.claim(['q'], 1, 600.0, HOLDER)", kill=True)
    folder = holder_folder(spool)
    held = next(n for n in folder.iterdir() if read_held(n.name))
    held.rename(folder / f"g{held.name}")
    store = opened()
    store._hub.made("q").rescue.look()
    assert names(spool / "q" / "big") == []
    assert drain(store) == []
    assert not folder.exists()


@pytest.mark.parametrize("published", [False, True])
def test_a_put_cut_off_with_a_large_body(opened: Opened, in_child: InChild, spool: Path, published: bool) -> None:
    in_child("store.put([job(b'other')]); store.put([job(source=iter([b'z' * 100000]))])", kill=True)
    folder = next(p for p in (spool / "q" / "run").iterdir() if p.is_dir())
    big = next(p for p in (spool / "q" / "big").rglob("*") if p.is_file())
    os.link(big, folder / f"b9.{big.name}")
    if not published:
        part = next(p for p in (spool / "q" / "jobs").rglob("*") if p.is_file() and big.name in p.name)
        part.rename(folder / "t9")
    store = opened()
    store._hub.made("q").rescue.look()
    assert not folder.exists()
    assert len(names(spool / "q" / "big")) == published
    got = drain(store)
    assert len(got) == 1 + published
    assert names(spool / "q" / "big") == []


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not(opened: Opened, in_child: InChild, spool: Path) -> None:
    in_child(
        "store.put([job()]); run = store._hub.made('q').room.run('p'); open(f'{store._place.path}/q/run/{run.name}/t7', 'w')", kill=True
    )
    store = opened()
    store.put([job()])
    mine = store._hub.made("q").room.run("p")
    living = spool / "q" / "run" / mine.name / "t99"
    living.write_bytes(b"being written")
    store._hub.made("q").rescue.look()
    assert [n for n in names(spool / "q" / "run") if "/t" in n] == [f"{mine.name}/t99"]
    living.unlink()


def test_a_holder_of_an_earlier_boot_is_dead(opened: Opened, in_child: InChild, spool: Path) -> None:
    folder, _ = planted(spool, in_child)
    parts = folder.name.split(".")
    parts[1] = "0123456789ab"
    parts[3] = "1"  # a pid that certainly runs
    folder.rename(folder.with_name(".".join(parts)))
    store = opened()
    assert store._hub.made("q").rescue.look() == 6


def test_a_holder_in_another_process_namespace_is_judged_by_its_lease_only(opened: Opened, in_child: InChild, spool: Path) -> None:
    folder, _ = planted(spool, in_child)
    parts = folder.name.split(".")
    parts[2] = "abc"
    folder.rename(folder.with_name(".".join(parts)))
    assert opened()._hub.made("q").rescue.look() == 0


def test_looking_changes_nothing(opened: Opened, in_child: InChild, spool: Path) -> None:
    """D12."""
    planted(spool, in_child, count=9, taken=4)
    store = opened()
    store.queues()
    before = names(spool)
    entries = store.browse(Query())
    assert sum(e.holder == "host-1:77:rows" for e in entries) == 4
    store.counts()
    list(store.check())
    assert names(spool) == before


@pytest.mark.parametrize("die", [False, True])
def test_one_key_wanted_by_many_processes(opened: Opened, spool: Path, die: bool) -> None:
    """Never two live jobs with one key, also when some die between the end of a job and the tidying of its key."""
    lines = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from stores.rows.conftest import *\n"
        "from ropeway.stores.directory import keys\n"
        "keys.TIDY_AFTER = 0.05\n"
        f"store = open_store('dir:{spool}?durability=os')\n"
        "won = 0\n"
        "end = time.monotonic() + 1.5\n"
        "while won < 5 or time.monotonic() < end:\n"
        "    if store.put([job(b'x', key='k')]) == [True]:\n"
        "        won += 1\n"
        "        seen = [store.counts(['q'])['q'] for _ in range(20)]\n"  # one look may meet a job, and the next one of that key
        "        assert any(one.ready + one.running <= 1 for one in seen), seen\n"
        "        lent = store.claim(['q'], 1, 30.0, HOLDER)[0]\n"
        f"        if {die} and won == 5:\n"
        "            held = next(iter(store._hub.made('q').held.values()))\n"
        "            os.unlink(held.name, dir_fd=held.run.fd)\n"
        "            print('died', won, flush=True); os._exit(0)\n"
        "        assert store.ack([Ack(lent.receipt)]) == [True]\n"
        "print('won', won)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    total = 0
    told = [(*child.communicate(timeout=60), child.returncode) for child in children]  # all of them, before one may fail the test
    for out, errors, code in told:
        assert code == 0, errors
        total += int(out.split()[1])
    assert total > 10


def test_names_that_a_crash_can_leave_are_read_back(tmp_path: Path) -> None:
    part = Part(0x0660BFF166D82A, "0" * 31 + "a", 3, 200, 4, 1, 0xFFFF)
    again = read_waiting(part.waiting())
    assert again is not None and again.waiting() == part.waiting()
    assert len(part.but(first=0, end=256, bits=(1 << 256) - 1, serial=1 << 40, until=1 << 50).held()) < 250
    shutil.rmtree(tmp_path)
