"""Whether a process lives: told by its boot, its process namespace, its pid and its start time, and never by a guess.

The same boot and the same namespace make a process visible; then its pid with its start time says dead or alive, and "not permitted"
means alive. A boot that is over means dead, where only this machine can be meant. All else nobody here can know.
"""

from __future__ import annotations

import os
import re

UNKNOWN_BOOT = "0" * 12

_IDENTITY = re.compile(r"([0-9a-f]{12})\.([0-9a-f]+)\.([0-9]+)\.([0-9a-f]+)\Z", re.ASCII)
_seen: tuple[int, str] | None = None


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when no such process runs (any more); -1 when it cannot be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            return -1
        return -1  # it is there, but /proc hides it
    except OSError:
        return -1
    fields = text.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def boot() -> str:
    """What tells this boot of the machine from others: 12 hex digits."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().replace("-", "").strip()[:12]
    except OSError:
        return UNKNOWN_BOOT


def namespace() -> str:
    """What tells processes that see each other's pids from others: hex digits."""
    try:
        return f"{int(re.sub('[^0-9]', '', os.readlink('/proc/self/ns/pid'))):x}"
    except (OSError, ValueError):
        return "0"


def identity() -> str:
    """This process, as text without spaces: another run of the same pid is another one."""
    global _seen
    if _seen is None or _seen[0] != os.getpid():
        _seen = os.getpid(), f"{boot()}.{namespace()}.{os.getpid()}.{max(start_time(os.getpid()) or 0, 0):x}"
    return _seen[1]


def neighbours() -> str:
    """How the identities begin whose life can be seen from here; nothing when none can."""
    world, space = identity().split(".")[:2]
    return "" if world == UNKNOWN_BOOT or space == "0" else f"{world}.{space}."


def can_be_seen(who: str) -> bool:
    """Whether the process of this identity runs, or ran, where this one does: same boot, same namespace."""
    return bool(_IDENTITY.match(who) and neighbours() and who.startswith(neighbours()))


def is_dead(who: str) -> bool:
    """Whether the process of this identity is certainly gone. False where that cannot be seen from here."""
    found = _IDENTITY.match(who)
    if not found or not neighbours() or not who.startswith(neighbours()):
        return False
    started = start_time(int(found[3]))
    return started is None or (started >= 0 and int(found[4], 16) not in (0, started))


def is_halted(who: str) -> bool:
    """Whether the process of this identity is there but was stopped by a signal (SIGSTOP, Ctrl-Z, a debugger). False where that cannot be
    seen from here."""
    found = _IDENTITY.match(who)
    if not found or not neighbours() or not who.startswith(neighbours()) or is_dead(who):
        return False
    try:
        with open(f"/proc/{found[3]}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False
