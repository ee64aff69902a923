"""What a process takes of the machine, and what it is made of; and, of one that does not answer, what others can see of it."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from typing import Any

from . import kernel
from .secrets import command_line, environment

Row = dict[str, Any]
_born = time.time()
_LIBRARIES = ("msgspec", "click", "uvloop", "psycopg", "redis", "apsw", "pymysql", "starlette", "uvicorn", "nats", "pika", "aio_pika")


def started(pid: int | str = "self") -> float:
    """When the process began, seconds since 1970."""
    fields = kernel.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    uptime = kernel.read("/proc/uptime").split()
    if len(fields) < 20 or not uptime:
        return _born
    return time.time() - float(uptime[0]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def memory(pid: int | str = "self") -> Row:
    """Bytes: resident now, its peak, swapped out, and of the address space."""
    out: Row = {}
    names = {"VmRSS": "resident", "VmHWM": "peak", "VmSwap": "swapped", "VmSize": "virtual"}
    for line in kernel.read(f"/proc/{pid}/status").splitlines():
        name, _, rest = line.partition(":")
        if name in names and rest.split():
            out[names[name]] = int(rest.split()[0]) * 1024
    if not out and pid == "self":
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out["peak"] = most if sys.platform == "darwin" else most * 1024
    return out


def descriptors(pid: int | str = "self") -> Row:
    """How many files are open, of what kind, and how many may be."""
    kinds: dict[str, int] = {}
    count = 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            count += 1
            try:
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            kind = target.partition(":")[0] if target.startswith(("socket:", "pipe:", "anon_inode:")) else "file"
            kinds[kind] = kinds.get(kind, 0) + 1
    except OSError:
        return {}
    out: Row = {"open": count, "kinds": kinds}
    for line in kernel.read(f"/proc/{pid}/limits").splitlines():
        if line.startswith("Max open files"):
            most = line.split()[3]
            out["most"] = int(most) if most.isdigit() else None
    return out


def threads() -> list[Row]:
    """The threads with their processor time; those that are not Python's by the kernel's name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    out = []
    for native in kernel.threads():
        name = names.get(native) or kernel.name(native)
        out.append({"native": native, "name": name, "python": native in names, "cpu": round(kernel.cpu(f"/proc/self/task/{native}"), 3)})
    return out


def versions() -> Row:
    """Python, ropeway, the system, and the libraries of engines that are loaded."""
    from importlib.metadata import PackageNotFoundError, version

    out: Row = {"python": platform.python_version(), "implementation": platform.python_implementation(), "system": platform.platform()}
    out["ropeway"] = str(getattr(sys.modules.get("ropeway"), "__version__", ""))
    for name in _LIBRARIES:
        if name in sys.modules:
            try:
                out[name] = version(name)
            except PackageNotFoundError:
                continue
    return out


def shown() -> Row:
    """All of it for this process, without secrets."""
    times = os.times()
    out: Row = {"pid": os.getpid(), "parent": os.getppid(), "host": os.uname().nodename, "started": started()}
    out["cpu"] = {"user": times.user, "system": times.system, "children": times.children_user + times.children_system}
    out["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    out |= {"memory": memory(), "threads": threads(), "descriptors": descriptors(), "versions": versions()}
    out["command"] = command_line(sys.orig_argv)
    out["folder"] = _folder()
    out["environment"] = environment(os.environ)
    return out


def outside(pid: int, moment: float = 0.1) -> Row:
    """What the kernel tells of a process that does not answer: each thread's state, processor time, and what it waits in."""
    moment = max(moment, 0.001)
    before = {native: kernel.look(native, pid) for native in kernel.threads(pid)}
    if not before:
        return {"pid": pid, "error": "there is no such process"}
    time.sleep(moment)
    rows = []
    for native in kernel.threads(pid):
        seen = kernel.look(native, pid)
        spent = seen.cpu - before[native].cpu if native in before else 0.0
        row: Row = {"native": native, "name": kernel.name(native, pid), "state": seen.state, "cpu": round(seen.cpu, 3)}
        row["busy"] = round(min(1.0, max(0.0, spent / moment)), 2)
        row |= {
            name: value for name, value in (("call", seen.call), ("target", seen.target), ("kernel", kernel.wchan(native, pid))) if value
        }
        rows.append(row)
    return {"pid": pid, "program": kernel.command(pid), "started": started(pid), "memory": memory(pid), "threads": rows}


def outside_text(row: Row) -> str:
    """The same in a line: whether it works, waits or was stopped."""
    if "error" in row:
        return str(row["error"])
    threads = row["threads"]
    if any(one["state"] in ("T", "t") for one in threads):
        return "it was stopped by a signal (SIGSTOP, Ctrl-Z or a debugger)"
    busy = sorted((one for one in threads if one["busy"] >= 0.2 or one["state"] == "R"), key=lambda one: -one["busy"])
    if busy:  # on a machine that is full, one that could run may have got little
        return f"thread {busy[0]['name']} works, at {busy[0]['busy']:.0%} of a core, in code that holds the interpreter"
    waits = {one.get("call") or one.get("kernel") or one["state"] for one in threads}
    return f"it uses no processor time; its {len(threads)} threads wait in: {', '.join(sorted(waits))}"


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
