"""`ropeway top` on a real pseudo-terminal: shows, sorts, pauses, asks, resizes, loses its store, and always gives the terminal back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import ropeway
from ropeway.broker import Broker
from ropeway.history.tally import Tally
from ropeway.job import Attempt, Job
from ropeway.store import Handback

from .terminal import COMMAND, Terminal

HOSTILE = "evil\x1b[31m\x1b]0;title\x07\x9b2J\u202egnp\rover"


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    url = f"dir:{tmp_path}/spool?durability=os"
    monkeypatch.setenv("ROPEWAY_URL", url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with ropeway.connect(url, config=False) as made:
        yield made


Open = Callable[..., Terminal]


@pytest.fixture
def top(broker: Broker) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*args: str, entry: tuple[str, ...] = (*COMMAND, "top"), **size: int) -> Terminal:
        opened.append(Terminal([*entry, *args], os.environ, **size))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def order(text: str) -> list[str]:
    """The queues, as they stand."""
    return [name for name in re.findall(r"^(\S+)", text, re.MULTILINE) if name in ("alpha", "beta", "gamma")]


def fill(broker: Broker) -> None:
    for name, count in (("alpha", 2), ("beta", 7), ("gamma", 4)):
        broker.queue(name).put_many([str(n) for n in range(count)])


def quits(terminal: Terminal) -> None:
    terminal.type(b"q")
    assert terminal.end() == 0
    assert terminal.whole


def test_it_shows_sorts_and_quits(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top()
    text = terminal.until("gamma")
    assert "13 ready" in text
    assert order(text) == ["alpha", "beta", "gamma"]
    assert terminal.taken
    assert all(len(line) <= 80 for line in text.splitlines())
    assert len(text.splitlines()) == 24
    assert "q quit" in text.splitlines()[-1]
    terminal.type(b"s")
    assert order(terminal.until("order: ready")) == ["beta", "gamma", "alpha"]
    broker.queue("alpha").put_many(["x"] * 20)
    assert order(terminal.until(lambda text: "33 ready" in text)) == ["alpha", "beta", "gamma"]
    quits(terminal)


def test_only_what_changed_is_drawn(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top("--interval", "0.2")
    terminal.until("gamma")
    terminal.type(b"p")
    terminal.until("PAUSED")
    terminal.settle()
    before = len(terminal.sent)
    terminal.type(b"\x1b[B")
    terminal.settle()
    assert 0 < len(terminal.sent) - before < 400, "one line, not the screen"
    assert terminal.sent.count(b"\x1b[2J") == 2, "cleared when it was taken and drawn first, and never again"
    quits(terminal)


def test_the_jobs_of_a_queue_and_why_one_does_not_run(broker: Broker, top: Open) -> None:
    fill(broker)
    broker.queue("beta").pause(claim=True, reason="deploy")
    terminal = top()
    terminal.until("gamma")
    terminal.type(b"jj\r")
    text = terminal.until("ready 7")
    assert "claim: deploy" in text
    (first, *_) = broker.queue("beta").browse()
    terminal.until(first.job.id)
    terminal.type(b"\x1b[B\r")
    text = terminal.until("claim-stopped")
    assert "no-worker" in text
    assert "ropeway resume --claim beta" in text
    terminal.type(b"\x1b")
    terminal.until("ready 7")
    terminal.type(b"\x1b[D")
    terminal.until("alpha")
    terminal.type(b"?")
    terminal.until("the next order of the queues")
    terminal.type(b"?")
    terminal.until("alpha")
    quits(terminal)


def test_pausing_a_queue_is_asked_for_first(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top()
    terminal.until("gamma")
    terminal.type(b"j ")
    terminal.until("Pause the queue alpha?")
    terminal.type(b"n")
    terminal.until(lambda text: "Pause the queue" not in text)
    assert broker.queue("alpha").counts().claim_stopped is None
    terminal.type(b" y")
    terminal.until("alpha is paused")
    assert broker.queue("alpha").counts().claim_stopped == "from ropeway top"
    terminal.until("claim: fr")
    terminal.type(b" ")
    terminal.until("Resume the queue alpha?")
    terminal.type(b"y")
    terminal.until("alpha is resumed")
    assert broker.queue("alpha").counts().claim_stopped is None
    quits(terminal)


def test_paused_display_asks_nothing(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top("--interval", "0.2")
    terminal.until("13 ready")
    terminal.type(b"p")
    terminal.until("PAUSED")
    terminal.settle()
    broker.queue("alpha").put("more")
    terminal.settle()
    assert "13 ready" in terminal.text()
    terminal.type(b"p")
    terminal.until("14 ready")
    quits(terminal)


@pytest.mark.parametrize("size", [(200, 50), (40, 10), (20, 5), (10, 2)])
def test_other_sizes(broker: Broker, top: Open, size: tuple[int, int]) -> None:
    fill(broker)
    terminal = top()
    terminal.until("gamma")
    terminal.resize(*size)
    terminal.until(lambda text: "ropeway" in text.splitlines()[0] and len(text.splitlines()) == size[1])
    terminal.settle()
    assert terminal.text().splitlines()[-1].startswith("q quit"[: size[0]])
    terminal.resize(80, 24)
    terminal.until("gamma")
    quits(terminal)


def test_workers_and_what_they_run(broker: Broker, top: Open) -> None:
    broker.queue("alpha").put_many(["x", "y"])
    worker = subprocess.Popen([*COMMAND, "work", "alpha", "-j", "1", "--", "sleep", "600"], stderr=subprocess.DEVNULL)
    try:
        terminal = top("--interval", "0.2")
        terminal.until(lambda text: re.search(r"WORKER +STATE", text))
        terminal.until(lambda text: re.search(r"busy +1/1 .* alpha \d", text))
        terminal.until("1 worker  1/1 slots  1 queue")
        terminal.type(b"j\r")
        terminal.until("running 1")
        terminal.until(lambda text: re.search(r"^ID +STATE", text, re.MULTILINE))
        terminal.type(b"\r")
        terminal.until("running: worker")
        quits(terminal)
    finally:
        for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
            process.kill()
        worker.wait(60)


def test_failures_of_the_last_minutes_and_what_is_done_a_second(broker: Broker, top: Open) -> None:
    tally = Tally(broker.link, "worker-1")
    with tally.lock:
        tally.turn()
        cell = tally.cell("alpha", "bill")
        cell.done, cell.failed, cell.dead = 120, 12, 3
    assert tally.write()
    broker.queue("alpha").put("x")
    terminal = top()
    text = terminal.until("GIVEN UP")
    assert re.search(r"^alpha +bill +12 +3$", text, re.MULTILINE), text
    assert re.search(r"^alpha( +\d+){4} +\S+ +[12](\.\d+)?\b", text, re.MULTILINE), text
    quits(terminal)


def test_hostile_names_errors_and_reasons(broker: Broker, top: Open) -> None:
    broker.store.put([Job(broker.link.new_id(), "alpha", HOSTILE.encode(), key=HOSTILE, lane=HOSTILE)])
    (lent,) = broker.store.claim(["alpha"], 1, 60.0, broker.link.holder())
    broker.store.bury([Handback(lent.receipt, 0.0, Attempt(1, 1.0, 2.0, HOSTILE, "failed", HOSTILE))])
    broker.queue("alpha").pause(claim=True, reason=HOSTILE)
    broker.pause(HOSTILE)
    broker.notes.note(
        "worker/evil",
        b'{"id":"evil","host":"\\u001b[31mred\\u0007","pid":1,"who":"x","started":1,"at":1,"name":"\\u001b]0;t\\u0007","jobs":'
        b'[{"id":"a\\u001b[2J","queue":"\\u009b2J","task":"\\u001b[5m","since":1}],"state":"\\u001b[7m","running":1}',
        600.0,
    )
    terminal = top(columns=160)
    terminal.until("evil")
    terminal.until("EVERYTHING IS PAUSED")
    terminal.type(b"j\r")
    terminal.until("dead 1")
    terminal.until(lambda text: re.search(r"^ID +STATE", text, re.MULTILINE))
    terminal.type(b"\r")
    terminal.until("requeue")
    terminal.settle()
    for bad in (b"\x1b[31m", b"\x1b]0", b"\x07", b"\x9b", "\u202e".encode(), b"\x1b[2Jgnp", b"\x1b[5m"):
        assert bad not in terminal.sent, bad
    assert terminal.screen.title == ""
    quits(terminal)


# The terminal is given back, whatever happens


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)], ids=lambda v: str(v)
)
def test_signals_that_end_it(broker: Broker, top: Open, number: int, code: int) -> None:
    fill(broker)
    terminal = top()
    terminal.until("gamma")
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert terminal.whole


def test_the_keys_of_signals(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top()
    terminal.until("gamma")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert terminal.whole
    assert b"Traceback" not in terminal.sent


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(condition: Callable[[], Any], terminal: Terminal) -> None:
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end, terminal.text()
        terminal.read()


JOB_CONTROL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:  # what a shell does: takes the terminal when the child stops, gives it back when a line comes
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    os.tcsetpgrp(0, os.getpgrp())
    print("$ stopped", flush=True)
    input()
    os.tcsetpgrp(0, child)
    os.kill(child, signal.SIGCONT)
"""


def test_stopped_and_resumed_as_by_a_shell(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top(entry=(sys.executable, "-c", JOB_CONTROL, *COMMAND, "top"))
    terminal.until("gamma")
    terminal.type(b"\x1a")
    until(lambda: b"$ stopped" in terminal.sent, terminal)
    assert terminal.whole, "the shell has its terminal"
    broker.queue("alpha").put_many(["x"] * 5)
    terminal.type(b"fg\n")
    terminal.until("18 ready")
    assert terminal.taken
    terminal.type(b"\x1a")
    until(lambda: terminal.sent.count(b"$ stopped") == 2, terminal)
    terminal.type(b"fg\n")
    terminal.until("18 ready")
    quits(terminal)


def test_halted_from_outside_and_let_go_on(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top()
    terminal.until("gamma")
    terminal.process.send_signal(signal.SIGSTOP)
    until(lambda: state(terminal.process.pid) == "T", terminal)
    terminal.screen.reset()  # whoever had the terminal meanwhile has written over it
    terminal.process.send_signal(signal.SIGCONT)
    terminal.until("gamma")
    quits(terminal)


CRASH = """
import sys
from ropeway.top import live
count = 0
def broken(*args):
    global count
    count += 1
    if count > 3:
        raise RuntimeError("a fault of ours")
    return before(*args)
before, live.lines = live.lines, broken
from ropeway.cli.__main__ import main
sys.argv = ["ropeway", "top", "--interval", "0.2"]
main()
"""


def test_a_fault_gives_the_terminal_back_before_it_is_told(broker: Broker, top: Open) -> None:
    fill(broker)
    terminal = top(entry=(sys.executable, "-c", CRASH))
    assert terminal.end() == 1
    assert terminal.whole
    after = terminal.sent.rpartition(b"\x1b[?1049l")[2]
    assert b"a fault of ours" in after


# A store that does not answer


def test_a_store_that_is_lost_and_comes_back(top: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*COMMAND, "-u", f"dir:{tmp_path}/shared?durability=os", "serve", "-b", "127.0.0.1:0", "--no-auth"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        line = server.stderr.readline()
        assert " at http" in line, line
        url = line.rpartition(" at ")[2].strip()
        with ropeway.connect(url, config=False) as far:
            far.queue("alpha").put("x")
        monkeypatch.setenv("ROPEWAY_URL", url)
        terminal = top("--interval", "0.2")
        terminal.until("1 ready")
        server.send_signal(signal.SIGSTOP)
        text = terminal.until("LOST the store")
        assert "1 ready" in text, "what was seen last still stands there"
        server.send_signal(signal.SIGCONT)
        terminal.until(lambda text: "LOST" not in text)
        server.send_signal(signal.SIGSTOP)
        terminal.until("LOST the store")
        begun = time.monotonic()
        quits(terminal)
        assert time.monotonic() - begun < 10, "nobody waits for an answer to quit"
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def test_a_store_that_was_never_there(top: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_URL", "redis://127.0.0.1:9?timeout=1")
    terminal = top()
    assert "nothing was seen yet" in terminal.until("LOST the store")
    quits(terminal)


# Not a terminal


def test_in_a_pipe_it_prints_one_table(broker: Broker) -> None:
    fill(broker)
    ran = subprocess.run([*COMMAND, "top"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout
    assert re.search(r"^beta +7 +0 +0 +0", ran.stdout, re.MULTILINE), ran.stdout
    ran = subprocess.run([*COMMAND, "top", "beta", "-o", "json"], capture_output=True, text=True, timeout=60, check=False)
    assert re.search(r'"queue":"beta".*"ready":7', ran.stdout), ran.stdout
    assert "alpha" not in ran.stdout
    ran = subprocess.run([*COMMAND, "-u", "redis://127.0.0.1:9?timeout=1", "top"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 5
