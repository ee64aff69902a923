"""A program of its own: it reads which process groups a worker has started, and kills those that are left when the worker is gone.

It must outlive its worker by a moment, so it heeds no signal that is sent to a whole service, and it needs nothing but the interpreter. The
worker writes lines into its standard input: `+PID START` before a command begins, `-PID` once it has ended. The end of that input, or
another parent, says that the worker is no more.
"""

from __future__ import annotations

import os
import select
import signal
import sys

LOOK = 0.5  # seconds between two looks for the parent: a fork of the worker's may hold the pipe open


def main(worker: int) -> None:
    """Hear of what that worker starts, and end it when the worker is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, str] = {}
    rest, poll = b"", select.poll()
    poll.register(0, select.POLLIN)
    while os.getppid() == worker:
        if not poll.poll(LOOK * 1000):
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        follow(lines, groups)
    if poll.poll(0):  # another parent, and more to read
        follow((rest + os.read(0, 1 << 20)).split(b"\n"), groups)
    for group, start in groups.items():
        end(group, start)


def follow(lines: list[bytes], groups: dict[int, str]) -> None:
    for line in lines:
        words = line.decode("ascii", "replace").split()
        if len(words) == 2 and words[0][:1] == "+" and words[0][1:].isdigit():
            groups[int(words[0][1:])] = words[1]
        elif len(words) == 1 and words[0][:1] == "-" and words[0][1:].isdigit():
            groups.pop(int(words[0][1:]), None)


def end(group: int, start: str) -> None:
    """Kill it at once, so that it is over before its job can begin anew; not what has its number by now."""
    now = began(group)
    if group <= 1 or (now and start not in (now, "-")):
        return
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass  # it has ended


def began(pid: int) -> str:
    """When that process was started, in clock ticks; nothing when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


if __name__ == "__main__":
    main(int(sys.argv[1]))
