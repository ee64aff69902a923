"""A worker's signals are heeded whatever its main thread does, and only by the worker itself."""

from __future__ import annotations

import signal
import subprocess
import sys

SLEEPER = """
import os, signal, sys, threading
from ropeway.worker.signals import Signals
done = threading.Event()
with Signals(done.set):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # so that another thread gets it, and nothing wakes this one
    print("ready", flush=True)
    sys.exit(0 if done.wait(60) else 1)
"""

FORKER = """
import os, signal, sys, threading, time
from ropeway.worker.signals import Signals
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
stops = []
with Signals(lambda: stops.append(1), {signal.SIGUSR1: lambda: stops.append(2)}) as signals:
    heard, say = os.pipe()
    child = os.fork()
    if not child:
        os.write(say, b".")  # what is sent before it runs at all is its parent's to heed
        threading.Event().wait(60)
        os._exit(0)
    os.read(heard, 1)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM, "a forked child dies of it"
    left = os.fork()
    if not left:
        threading.Event().wait(60)
        os._exit(0)
    assert stops == []
    os.kill(os.getpid(), signal.SIGUSR1)
    end = time.monotonic() + 60
    while not stops:
        assert time.monotonic() < end
        time.sleep(0.01)
    began = time.monotonic()
assert time.monotonic() - began < 30, "a child that lives on holds nothing up"
assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before
assert (stops, signals.seen, signal.set_wakeup_fd(-1)) == ([2], 0, -1)
os.kill(left, signal.SIGKILL)
os.waitpid(left, 0)
"""


def test_a_signal_is_heeded_though_the_main_thread_sleeps_through_it() -> None:
    """As it does when the signal comes in the instant before it falls asleep; or when another thread is the one that is interrupted."""
    worker = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE)
    assert worker.stdout
    assert worker.stdout.readline() == b"ready\n"
    worker.send_signal(signal.SIGTERM)
    _, _ = worker.communicate(timeout=90)
    assert worker.returncode == 0


def test_a_forked_child_is_no_worker() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKER], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")
