"""`work --app` as people run it: several processes, started anew on change, on SIGHUP, for their size; in the background, by pid file."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from .conftest import Process
from .test_process import PATIENCE, until

SHOP = """
import os, time
from pathlib import Path
import ropeway
broker = ropeway.connect()

def note(*words):
    handle = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (" ".join(map(str, (os.getpid(), *words))) + "\\n").encode())
    os.close(handle)

@broker.task(queue="mails")
def nap(seconds: float) -> None:
    note("begin", VERSION)
    time.sleep(seconds)
    note("end", VERSION)

@broker.task(queue="mails")
def eat(size: int) -> None:
    global food
    food = b"x" * size
    note("ate")

VERSION = 1
"""


class Shop:
    """A program in a folder, and what its jobs wrote."""

    def __init__(self, folder: Path, process: Process) -> None:
        self.folder = folder
        self.process = process
        self.rewrite(SHOP)

    def rewrite(self, text: str) -> None:
        """Each time a line longer: of two files of one size and one second Python believes that the compiled one is of both."""
        new, old = self.folder / "shop.new", self.folder / "shop.py"
        tail = len(old.read_text()) - len(SHOP) + 1 if old.exists() else 0
        new.write_text(text + "\n" * tail)
        new.rename(self.folder / "shop.py")

    def work(self, *args: str) -> subprocess.Popen[bytes]:
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and stays so in what is started
        try:
            return self.process.start("work", "--app", "shop:broker", "mails", *args)
        finally:
            signal.signal(signal.SIGHUP, before)

    def put(self, seconds: float, count: int = 1) -> None:
        lines = b'{"seconds": %g}\n' % seconds * count
        assert self.process("put", "mails", "--task", "nap", "--jsonl", "-q", stdin=lines).code == 0

    def lines(self, word: str) -> list[list[str]]:
        path = self.folder / "journal"
        return [line.split() for line in (path.read_text() if path.exists() else "").splitlines() if line.split()[1] == word]

    def pids(self) -> set[int]:
        """Of the workers that are listed."""
        return {row["pid"] for row in self.process("workers").rows}

    def listed(self, count: int) -> set[int]:
        until(lambda: len(self.pids()) == count, f"{count} workers are listed")
        return self.pids()


@pytest.fixture
def shop(process: Process, tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path, process)
    for one in psutil.process_iter(["cwd", "pid"]):
        if one.info["cwd"] == str(tmp_path) and one.pid != os.getpid():
            one.kill()


def ended(work: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, told = work.communicate(timeout=PATIENCE)
    return work.returncode, told.decode()


def test_several_processes_share_the_work_and_one_that_is_killed_costs_no_job(shop: Shop) -> None:
    work = shop.work("-j", "3", "-c", "1")
    pids = shop.listed(3)
    assert work.pid not in pids
    assert {row["supervisor"] for row in shop.process("workers").rows} == {work.pid}
    shop.put(0.4, 6)
    until(lambda: len(shop.lines("begin")) >= 3, "all of them work")
    victim = next(iter(pids))
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(shop.lines("end")) >= 6, "all jobs are done")
    until(lambda: shop.process("get", "mails").code == 3, "and nothing is left")
    now = shop.listed(3)
    assert victim not in now
    assert len(now & pids) == 2
    work.send_signal(signal.SIGTERM)
    code, told = ended(work)
    assert code == 0
    assert f"worker {victim} ended (SIGKILL); another starts" in told
    assert shop.pids() == set()


def test_a_drain_by_several_ends(shop: Shop) -> None:
    shop.put(0.01, 20)
    code, _ = ended(shop.work("-j", "2", "--drain"))
    assert code == 0
    assert len(shop.lines("end")) == 20


def test_a_program_that_cannot_be_loaded_ends_it_with_its_code(shop: Shop) -> None:
    code, told = ended(shop.process.start("work", "--app", "nowhere:broker", "mails", "-j", "2"))
    assert code == 2
    assert "there is no module 'nowhere'" in told
    assert "nothing is tried again" in told


@pytest.mark.parametrize("word", ["thread", "async", "process"])
def test_the_word_for_the_pool_is_passed_on(shop: Shop, word: str) -> None:
    shop.put(0.01, 4)
    work = shop.work("-j", "2", "--pool", word)
    rows = []
    until(lambda: bool(rows.extend(shop.process("workers").rows) or len(rows) >= (1 if word == "process" else 2)), "they are listed")
    assert {row["pool"] for row in rows} == {word}
    assert rows[-1]["slots"] == {"thread": 4, "async": 100, "process": 2}[word]
    until(lambda: len(shop.lines("end")) == 4, "the jobs are done")
    work.send_signal(signal.SIGTERM)
    assert ended(work)[0] == 0


def test_reload_starts_the_new_program_and_lets_the_old_one_finish(shop: Shop) -> None:
    work = shop.work("--reload")
    old = shop.listed(1)
    shop.put(2.5)
    until(lambda: shop.lines("begin"), "a long job runs")
    shop.rewrite(SHOP.replace("VERSION = 1", "VERSION = 2"))
    until(lambda: shop.pids() - old, "the new one is there")
    shop.put(0.01)
    until(lambda: any(line[2] == "2" for line in shop.lines("end")), "the new code runs")
    until(lambda: any(line[2] == "1" for line in shop.lines("end")), "the old job was let finish")
    until(lambda: not shop.pids() & old, "and its worker ended")
    shop.rewrite("this is no Python\n")
    until(lambda: b"did not start" in _so_far(work), "broken code is told")
    assert len(shop.pids()) == 1
    work.send_signal(signal.SIGTERM)
    assert work.wait(PATIENCE) == 0


def _so_far(work: subprocess.Popen[bytes], kept: dict[int, bytes] = {}) -> bytes:  # noqa: B006 - what was read before
    assert work.stderr
    os.set_blocking(work.stderr.fileno(), False)
    kept[work.pid] = kept.get(work.pid, b"") + (work.stderr.read() or b"")
    return kept[work.pid]


def test_hangup_of_a_single_worker_starts_the_program_anew_with_the_same_pid(shop: Shop) -> None:
    work = shop.work()
    until(lambda: bool(shop.pids()), "it is listed")
    (old,) = shop.process("workers").rows
    shop.rewrite(SHOP.replace("VERSION = 1", "VERSION = 2"))
    work.send_signal(signal.SIGHUP)
    until(lambda: [row["id"] for row in shop.process("workers").rows] not in ([], [old["id"]]), "it is another worker")
    assert shop.pids() == {work.pid}
    shop.put(0.01)
    until(lambda: shop.lines("end") == [[str(work.pid), "end", "2"]], "the new code runs")
    work.send_signal(signal.SIGTERM)
    assert ended(work)[0] == 0


def test_hangups_that_come_while_it_is_started_anew_do_not_end_it(shop: Shop) -> None:
    """Two of them in a row killed it: the second met a program without a handler."""
    work = shop.work()
    until(lambda: bool(shop.pids()), "it is listed")
    (old,) = shop.process("workers").rows
    shop.rewrite(SHOP.replace("VERSION = 1", "VERSION = 2"))
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        work.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    until(lambda: [row["id"] for row in shop.process("workers").rows] not in ([], [old["id"]]), "it is another worker")
    assert work.poll() is None
    shop.put(0.01)
    until(lambda: shop.lines("end") == [[str(work.pid), "end", "2"]], "the new code runs")
    work.send_signal(signal.SIGTERM)
    assert ended(work)[0] == 0


def test_processes_are_replaced_after_so_many_jobs_and_for_their_size(shop: Shop) -> None:
    work = shop.work("-j", "1", "-c", "1", "--max-jobs", "3", "--max-memory", "400M")
    shop.put(0.01, 9)
    until(lambda: len(shop.lines("end")) == 9, "all are done")
    by_pid = [line[0] for line in shop.lines("end")]
    assert sorted(by_pid.count(pid) for pid in set(by_pid)) == [3, 3, 3]
    before = shop.listed(1)
    shop.process("put", "mails", "--task", "eat", '{"size": 500000000}', "-q")
    until(lambda: shop.lines("ate"), "it has grown")
    until(lambda: shop.pids() not in (set(), before), "it was replaced")
    work.send_signal(signal.SIGTERM)
    code, told = ended(work)
    assert code == 0
    assert "over the limit" in told


def test_in_the_background_with_a_pid_file(shop: Shop, tmp_path: Path) -> None:
    args = ["work", "--app", "shop:broker", "mails", "-j", "2", "--background", "--pidfile", "pid", "--log", "log"]
    answer = shop.process(*args)
    assert answer.code == 0, answer
    pid = int(answer.out)
    assert (tmp_path / "pid").read_text() == f"{pid}\n"
    daemon = psutil.Process(pid)
    assert os.getsid(pid) not in (os.getsid(0), pid), "a session of its own, which it does not lead"
    assert daemon.terminal() is None
    assert len(shop.listed(2)) == 2, "it is told when they run"
    second = shop.process(*args)
    assert second.code == 6
    assert f"process {pid} runs with the pid file" in second.err
    daemon.terminate()
    until(lambda: not psutil.pid_exists(pid), "it has ended")
    assert not (tmp_path / "pid").exists()
    assert shop.pids() == set()


def test_what_does_not_start_in_the_background_is_told_in_the_foreground(shop: Shop, tmp_path: Path) -> None:
    answer = shop.process("work", "--app", "nowhere:broker", "mails", "-j", "1", "--background", "--log", "log")
    assert answer.code == 1
    assert "it did not start. See log" in answer.err
    assert "there is no module 'nowhere'" in (tmp_path / "log").read_text()


def test_a_pid_file_of_the_dead_stands_in_nobodys_way(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n")
    assert shop.process("work", "--app", "shop:broker", "mails", "--drain", "--pidfile", "pid").code == 0
    assert not (tmp_path / "pid").exists()
    with (tmp_path / "pid").open("w") as file:
        file.write("77\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        answer = shop.process("work", "--app", "shop:broker", "mails", "--drain", "--pidfile", "pid")
        assert (answer.code, "process 77 runs" in answer.err) == (6, True)


def test_poll_is_for_the_store(process: Process, spool: str, tmp_path: Path) -> None:
    process("put", "q", "a", "-q")
    assert process("work", "q", "--poll", "0", "--", "true").code == 0, "0: until it is empty"
    work = process.start("work", "q", "--poll", "0.05", "-u", f"{spool}&bell=off&poll=1h", "--", "sh", "-c", f"touch {tmp_path}/ran")
    until(lambda: bool(process("workers").rows), "it waits")
    process("put", "q", "b", "-q", "-u", f"{spool}&bell=off")
    until((tmp_path / "ran").exists, "it looked by itself")
    work.send_signal(signal.SIGTERM)
    assert work.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["-c", "2", "--", "true"], "--concurrency is for tasks"),
        (["--reload", "--", "true"], "--reload is for tasks"),
        (["--max-memory", "1G", "--", "true"], "--max-memory is for tasks"),
        (["--app", "a:b", "--max-memory", "lots"], "is no size"),
        (["--app", "a:b", "--log", "x"], "--log is for --background"),
        (["--app", "a:b", "--pool", "steam"], "steam"),
        (["mails=0", "--", "true"], "gives no weight"),
        (["--app", "a:b", "--lifeline", "250"], ""),
    ],
)
def test_what_makes_no_sense_is_refused(process: Process, args: list[str], said: str) -> None:
    answer = process("work", "q", *args)
    assert answer.code == 2, answer
    assert said in answer.err
