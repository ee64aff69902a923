"""A worker that only pretends, for tests of the supervisor: pretend.py JOURNAL PLAN --lifeline FD. PLAN is a file that says what to do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from ropeway.worker.fleet.lifeline import AGAIN, Lifeline

journal, plan = sys.argv[1:3]
ended = threading.Event()
code = 0


def say(*words: object) -> None:
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, (" ".join(map(str, (os.getpid(), *words))) + "\n").encode())
    os.close(handle)


def got(number: int, _: object) -> None:
    say("got", signal.Signals(number).name)
    if number in (signal.SIGTERM, signal.SIGQUIT) and "stubborn" not in does:
        ended.set()


does = Path(plan).read_text().split()
say("born", *does)
if "broken" in does:
    sys.exit(3)
for one in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT):
    signal.signal(one, got)


def orphaned() -> None:
    say("orphaned")
    ended.set()


line = Lifeline(int(sys.argv[4]), orphaned)
line.start()
say("ready")
if "die" in does:
    os.kill(os.getpid(), signal.SIGKILL)
if "hang" in does and not Path(journal + ".hung").exists():
    Path(journal + ".hung").touch()
    line.say = lambda word: None  # type: ignore[method-assign]
if "again" in does and not Path(journal + ".again").exists():
    Path(journal + ".again").touch()
    line.say(AGAIN)
    sys.exit(0)
for word in does:
    if word.startswith("exit="):
        time.sleep(0.05)
        sys.exit(int(word[5:]))
while not ended.wait(0.05):
    pass
say("end")
sys.exit(code)
