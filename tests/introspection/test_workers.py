"""What a job does now is named, in each pool: a lock, a busy loop, an await, a child process; by the page, by orders, by the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway.errors import BadValue
from ropeway.worker.fleet import Member

from .conftest import PATIENCE, until

SHOP = """
import asyncio, re, subprocess, sys, threading, time
import ropeway
broker = ropeway.connect()
lock = threading.Lock()
lock.acquire()

@broker.task(queue="q")
def on_a_lock() -> None:
    print("printed by a job", flush=True)
    lock.acquire()

@broker.task(queue="q")
def in_a_loop() -> None:
    while True:
        sum(range(100))

@broker.task(queue="q")
async def in_an_await() -> None:
    await deeper()

async def deeper() -> None:
    await asyncio.Event().wait()

@broker.task(queue="q")
def in_a_process() -> None:
    subprocess.run(["sleep", "600"])

@broker.task(queue="q")
def in_c() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")

@broker.task(queue="q", batch=2, batch_wait=0.05)
def together(numbers: list[int]) -> None:
    time.sleep(600)
"""

EXPECTED = {  # state, what it waits for, the function that is named, words in the text
    "on_a_lock": ("waits", "lock", "on_a_lock", "lock.acquire()"),
    "in_a_loop": ("runs", None, "in_a_loop", "sum("),
    "in_an_await": ("waits", "event", "deeper", "asyncio.Event().wait()"),
    "in_a_process": ("waits", "process", "in_a_process", "(sleep 600)"),
}


class Site:
    """A worker process on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shop.py").write_text(SHOP)
        self.url = f"dir:{folder}/spool?durability=os"
        self.environment = {**os.environ, "ROPEWAY_URL": self.url, "XDG_STATE_HOME": str(folder / "state")}
        self.broker = ropeway.connect(self.url, config=False)
        self.process: subprocess.Popen[bytes] | None = None

    def put(self, *names: str, **arguments: object) -> list[str]:
        return [self.broker.queue("q").put(arguments, task=name).id for name in names]

    def work(self, *args: str) -> int:
        command = [sys.executable, "-m", "ropeway", "work", *args]
        with open(self.folder / "out", "wb") as out:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        return self.process.pid

    def member(self) -> Member:
        found: Member = until(self.broker.workers, "the worker is listed")[0]
        return found

    def inspect(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ropeway", "inspect", *args]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def close(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.broker.close()
        for entry in Path("/proc").glob("[0-9]*"):  # what the jobs have started, and what passes output on
            try:
                if f"XDG_STATE_HOME={self.folder}".encode() in (entry / "environ").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def check(look: Callable[[], Any]) -> None:
    """Look until each job is named as it should be. One that has just begun may still be told as it was a moment ago."""

    def wrong() -> list[Any]:
        rows = {row["task"]: row for row in look()["jobs"]}
        return [(name, rows.get(name)) for name in EXPECTED if name not in rows or not fits(name, rows[name])]

    end = time.monotonic() + PATIENCE
    while found := wrong():
        assert time.monotonic() < end, found


def fits(name: str, row: dict[str, Any]) -> bool:
    state, kind, function, words = EXPECTED[name]
    does = row.get("doing", {})
    if (does.get("state"), does.get("waits_for"), does.get("function")) != (state, kind, function):
        return False
    place = does["file"].endswith("shop.py") and (words in does["text"] or state == "runs")
    return bool(place and row["lease_left"] > 0 and row["seconds"] > 0)


@pytest.mark.parametrize("pool", ["thread", "process", "async"])
def test_by_orders_in_each_pool(site: Site, pool: str) -> None:
    site.put(*EXPECTED)
    site.work("--app", "shop:broker", "q", "--pool", pool, "-c", "5")
    member = site.member()
    check(lambda: member.inspect("jobs", timeout=60))
    state = member.inspect("state", timeout=60)
    assert state["workers"][0]["id"] == member.id
    assert state["workers"][0]["running"] == 4
    stacks = member.inspect("stacks", timeout=60)
    assert ("children" in stacks) == (pool == "process")
    text = member.order("stacks", timeout=60)
    assert "in on_a_lock" in text, "children too"
    assert until(lambda: "printed by a job" in member.inspect("output", timeout=60)["stdout"]["lines"])
    metrics = member.inspect("metrics", timeout=60)
    assert metrics["pid"] == member.seen.pid
    assert len(metrics.get("children", [])) == (5 if pool == "process" else 0)
    with pytest.raises(BadValue, match="is no view"):
        member.inspect("flame")


def test_by_the_page_in_a_second(site: Site) -> None:
    """The look itself; what the machine has to do beside it is not counted."""
    site.put(*EXPECTED)
    pid = site.work("--app", "shop:broker", "q", "-c", "5", "--introspect", "127.0.0.1:0")
    from ropeway.introspection.asking import Silent, Source
    from ropeway.introspection.places import Place

    path = site.folder / "state" / "ropeway" / "processes" / f"{pid}.json"
    until(path.exists, "the page is announced")
    import msgspec

    source = Source(msgspec.json.decode(path.read_bytes(), type=Place).url)
    took: list[float] = []

    def look() -> Any:
        start = time.monotonic()
        try:
            seen = source.view("jobs", 30.0)
        except Silent:
            return {"jobs": []}
        took.append(time.monotonic() - start)
        return seen

    check(look)
    until(lambda: min(took) < 1.0 or not look(), "a look within a second")
    said = site.inspect(str(pid), "jobs", "-o", "json", "--wait", "30s")
    assert {row["task"] for row in json.loads(said.stdout)["jobs"]} == EXPECTED.keys()
    told = site.inspect(str(pid), "jobs", "-o", "table", "--wait", "30s").stdout
    assert "waits for process" in told
    assert "in on_a_lock" in told
    assert site.inspect(str(pid), "page", "-o", "table").stdout.strip() == source.url
    listed = site.inspect("-o", "jsonl").stdout
    assert json.loads(listed)["pid"] == pid
    assert source.url not in listed, "without the token"


def test_a_command_and_a_batch(site: Site) -> None:
    site.put("together", "together", item=1)
    site.work("--app", "shop:broker", "q", "-c", "2")
    member = site.member()
    rows = until(lambda: [row for row in member.inspect("jobs", timeout=60)["jobs"] if row.get("doing", {}).get("waits_for") == "sleep"])
    assert rows[0]["doing"]["function"] == "together"


def test_a_command_is_named(site: Site) -> None:
    site.broker.queue("c").put("x")
    site.work("c", "--", "sleep", "600")
    member = site.member()
    (row,) = until(
        lambda: [one for one in member.inspect("jobs", timeout=60)["jobs"] if one.get("doing", {}).get("waits_for") == "process"]
    )
    assert "(sleep" in row["doing"]["text"]


def test_code_that_holds_the_interpreter_is_told_from_outside(site: Site) -> None:
    pid = site.work("--app", "shop:broker", "q", "-c", "2", "--introspect", "127.0.0.1:0")
    until(lambda: site.inspect(str(pid), "--wait", "20s").returncode == 0, "it answers while it can")
    site.put("in_c")
    said = until(lambda: (found := site.inspect(str(pid), "jobs")).returncode == 124 and found)
    assert f"process {pid} does not answer within 2 s" in said.stderr
    assert "code that holds the interpreter" in said.stderr
    assert "in in_c" in said.stderr, "and where it stands, by its own signal"


def test_a_process_that_is_stopped_is_told(site: Site) -> None:
    pid = site.work("--app", "shop:broker", "q", "--introspect", "127.0.0.1:0")
    until(lambda: site.inspect(str(pid), "--wait", "20s").returncode == 0)
    os.kill(pid, signal.SIGSTOP)
    try:
        said = site.inspect(str(pid))
        assert said.returncode == 124
        assert "stopped by a signal" in said.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: site.inspect(str(pid), "--wait", "20s").returncode == 0, "it goes on as if nothing had been")


def test_supervised_workers_have_pages_of_their_own_and_the_signal_kills_none(site: Site) -> None:
    pid = site.work("--app", "shop:broker", "q", "-j", "2", "-c", "1", "--introspect", "127.0.0.1:0")
    rows = until(lambda: (found := [json.loads(line) for line in site.inspect().stdout.splitlines()]) and len(found) == 3 and found)
    assert pid in {row["pid"] for row in rows}
    assert len({row["page"] for row in rows}) == 3
    state = until(lambda: (seen := json.loads(site.inspect(str(pid), "-o", "json").stdout)) and len(seen["supervises"]) == 2 and seen)
    children = {child["pid"] for child in state["supervises"]}
    assert children == {row["pid"] for row in rows} - {pid}
    for child in children:
        seen = json.loads(until(lambda child=child: site.inspect(str(child), "-o", "json", "--wait", "20s").stdout))
        assert seen["workers"][0]["slots"] == 1


def test_a_program_that_has_taken_its_place_is_sent_no_signal(site: Site) -> None:
    """The same process, and its file still says that it listens to the signal: it would die of it."""
    script = "import os, ropeway; ropeway.introspect(); os.execvp('sleep', ['sleep', '600'])"
    with subprocess.Popen([sys.executable, "-c", script], cwd=site.folder, env=site.environment, stdin=subprocess.DEVNULL) as process:
        try:
            until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
            said = site.inspect(str(process.pid))
            assert said.returncode == 124
            assert "does not answer" in said.stderr
            assert process.poll() is None
        finally:
            process.kill()


def test_who_is_not_there(site: Site) -> None:
    nobody = site.inspect("99999999")
    assert (nobody.returncode, "there is no process" in nobody.stderr) == (3, True)
    stranger = site.inspect(str(os.getpid()))
    assert stranger.returncode == 3
    assert "has no page of yours" in stranger.stderr
    assert site.inspect("nowhere-1").returncode == 3
    assert site.inspect("http://127.0.0.1:1/x").returncode == 124
    assert site.inspect("ftp://x").returncode == 2
    assert site.inspect("1", "everything").returncode == 2
