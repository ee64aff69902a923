"""What the kernel knows of a thread: whether it runs, how long it has run, the system call that it waits in. Linux; elsewhere nothing."""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

_X86 = {
    0: "read", 1: "write", 7: "poll", 17: "read", 18: "write", 19: "read", 20: "write", 23: "select", 34: "pause", 35: "sleep",
    42: "connect", 43: "accept", 44: "send", 45: "receive", 46: "send", 47: "receive", 61: "wait4", 72: "fcntl", 73: "flock",
    74: "sync", 75: "sync", 128: "signal", 202: "futex", 230: "sleep", 232: "poll", 247: "waitid", 257: "open", 270: "select",
    271: "poll", 281: "poll", 288: "accept", 299: "receive", 441: "poll", 449: "futex",
}  # fmt: skip
_ARM = {
    22: "poll", 25: "fcntl", 32: "flock", 56: "open", 63: "read", 64: "write", 65: "read", 66: "write", 67: "read", 68: "write",
    72: "select", 73: "poll", 82: "sync", 83: "sync", 95: "waitid", 98: "futex", 101: "sleep", 115: "sleep", 137: "signal",
    202: "accept", 203: "connect", 206: "send", 207: "receive", 211: "send", 212: "receive", 242: "accept", 260: "wait4",
    441: "poll", 449: "futex",
}  # fmt: skip
_NAMES = {"x86_64": _X86, "aarch64": _ARM}.get(platform.machine(), {})
_ON_FDS = frozenset({"read", "write", "send", "receive", "connect", "accept", "flock", "fcntl", "sync"})


class Seen(NamedTuple):
    """A thread as the kernel sees it. `state`: R runs, S sleeps, D waits for a disk, T is stopped, "" nobody knows; `cpu`: seconds that it
    ran; `call`: what it waits in, "" when it runs or that cannot be seen; `target`: the pid, or the descriptor's file, of that call."""

    state: str = ""
    cpu: float = 0.0
    call: str = ""
    target: str = ""


def look(native: int, pid: int | str = "self") -> Seen:
    """The thread of this native id, of this process or another."""
    folder = f"/proc/{pid}/task/{native}"
    fields = read(f"{folder}/stat").rpartition(")")[2].split()
    if len(fields) < 14:
        return Seen()
    call, target = _call(folder, str(pid))
    return Seen(fields[0], cpu(folder, fields), call, target)


def cpu(folder: str, fields: list[str] | None = None) -> float:
    """Seconds of processor time of the process or thread in this folder of /proc, in nanoseconds where the kernel counts so."""
    exact = read(f"{folder}/schedstat").split()
    if exact and exact[0].isdigit() and "/task/" in folder:
        return int(exact[0]) / 1e9
    fields = fields or read(f"{folder}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else 0.0


def threads(pid: int | str = "self") -> list[int]:
    """The native ids of its threads."""
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))
    except (OSError, ValueError):
        return []


def name(native: int, pid: int | str = "self") -> str:
    """The thread's name, as the kernel has it."""
    return read(f"/proc/{pid}/task/{native}/comm").strip()


def command(pid: int | str) -> str:
    """The program that a process runs, without its arguments."""
    return read(f"/proc/{pid}/comm").strip()


def wchan(native: int, pid: int | str = "self") -> str:
    """The function of the kernel that it waits in, where that may be seen."""
    text = read(f"/proc/{pid}/task/{native}/wchan").strip()
    return "" if text == "0" else text


def catches(pid: int, number: int) -> bool:
    """Whether that process has a handler for this signal, and so does not die of it."""
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def _call(folder: str, pid: str) -> tuple[str, str]:
    words = read(f"{folder}/syscall").split()
    if not words or not words[0].isdigit():
        return "", ""
    call = _NAMES.get(int(words[0]), f"system call {words[0]}")
    try:
        first, second = int(words[1], 16), int(words[2], 16)
    except (IndexError, ValueError):
        return call, ""
    if call == "wait4":
        return "child", str(first) if 0 < first < 1 << 31 else ""
    if call == "waitid":
        return "child", str(second) if first == 1 else _pid_of(pid, second) if first == 3 else ""
    if call in _ON_FDS:
        return call, _file(pid, first)
    return call, ""


def _file(pid: str, fd: int) -> str:
    try:
        return f"{fd} ({os.readlink(f'/proc/{pid}/fd/{fd}')})"
    except OSError:
        return str(fd) if fd < 1 << 20 else ""


def _pid_of(pid: str, fd: int) -> str:
    for line in read(f"/proc/{pid}/fdinfo/{fd}").splitlines():
        if line.startswith("Pid:"):
            return line.split()[1]
    return ""


def read(path: str) -> str:
    """A small file of /proc, or nothing."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
