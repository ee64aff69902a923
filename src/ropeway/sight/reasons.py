"""What a stack waits for, told by the functions of the standard library that it stands in, and by the kernel."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .frames import doing, is_library, is_ours
from .kernel import Seen, command
from .secrets import command_line

Reason = tuple[str, str]  # what kind, and in words

LOCK, SLEEP, PROCESS, QUEUE, SOCKET, FILE, LOOP, EVENT, THREAD, FUTURE, DISK, SIGNAL = (
    *("lock", "sleep", "process", "queue", "socket", "file", "loop", "event", "thread", "future", "disk", "signal"),
)

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_PATH = re.compile(r"(?:await\s+|with\s+)*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*){0,3})")


def _own(frame: FrameType) -> Any:
    return frame.f_locals.get("self")


def _process(frame: FrameType) -> Reason:
    own = _own(frame)
    own = _slot(own, "_process") or own
    pid, args = _slot(own, "pid"), _slot(own, "args")
    return PROCESS, process(pid if isinstance(pid, int) else 0, args)


def process(pid: int, args: Any = None) -> str:
    """A child process, in words."""
    if isinstance(args, str | bytes | os.PathLike):
        args = [args]
    words = [os.fsdecode(word) for word in args if isinstance(word, str | bytes | os.PathLike)] if isinstance(args, list | tuple) else []
    what = " ".join(command_line(words))[:80] or (command(pid) if pid else "")
    return " ".join(part for part in ("process", str(pid) if pid else "", f"({what})" if what else "") if part)


def _thread(frame: FrameType) -> Reason:
    name = _slot(_own(frame), "_name")
    return THREAD, f"the end of thread {name}" if isinstance(name, str) else "the end of a thread"


def _says(kind: str, text: str) -> Callable[[FrameType], Reason]:
    return lambda _: (kind, text)


# (file, function) of the standard library: what whoever stands there waits for. The outermost of those that stand on end is told.
_IN: dict[tuple[str, str], Callable[[FrameType], Reason]] = {
    ("threading.py", "Condition.wait"): _says(EVENT, "a condition"),
    ("threading.py", "Condition.wait_for"): _says(EVENT, "a condition"),
    ("threading.py", "Event.wait"): _says(EVENT, "an event"),
    ("threading.py", "Semaphore.acquire"): _says(LOCK, "a semaphore"),
    ("threading.py", "Barrier.wait"): _says(EVENT, "a barrier"),
    ("threading.py", "Barrier._wait"): _says(EVENT, "a barrier"),
    ("threading.py", "Thread.join"): _thread,
    ("threading.py", "Thread._wait_for_tstate_lock"): _thread,
    ("threading.py", "_RLock.acquire"): _says(LOCK, "a lock"),
    ("queue.py", "Queue.get"): _says(QUEUE, "something in a queue"),
    ("queue.py", "Queue.put"): _says(QUEUE, "room in a queue"),
    ("queue.py", "Queue.join"): _says(QUEUE, "a queue to be done"),
    ("queue.py", "_PySimpleQueue.get"): _says(QUEUE, "something in a queue"),
    ("subprocess.py", "Popen.wait"): _process,
    ("subprocess.py", "Popen._wait"): _process,
    ("subprocess.py", "Popen._try_wait"): _process,
    ("subprocess.py", "Popen.communicate"): _process,
    ("subprocess.py", "Popen._communicate"): _process,
    ("_base.py", "Future.result"): _says(FUTURE, "a future"),
    ("_base.py", "Future.exception"): _says(FUTURE, "a future"),
    ("_base.py", "wait"): _says(FUTURE, "futures"),
    ("_base.py", "as_completed"): _says(FUTURE, "futures"),
    ("thread.py", "_worker"): _says(QUEUE, "work in its thread pool"),
    ("socket.py", "SocketIO.readinto"): _says(SOCKET, "a socket"),
    ("socket.py", "socket.accept"): _says(SOCKET, "a connection"),
    ("socket.py", "create_connection"): _says(SOCKET, "a connection"),
    ("ssl.py", "SSLSocket.read"): _says(SOCKET, "a socket"),
    ("ssl.py", "SSLSocket.recv"): _says(SOCKET, "a socket"),
    ("ssl.py", "SSLSocket.do_handshake"): _says(SOCKET, "a TLS handshake"),
    ("selectors.py", "EpollSelector.select"): _says(SOCKET, "sockets"),
    ("selectors.py", "PollSelector.select"): _says(SOCKET, "sockets"),
    ("selectors.py", "SelectSelector.select"): _says(SOCKET, "sockets"),
    ("selectors.py", "_PollLikeSelector.select"): _says(SOCKET, "sockets"),
    ("selectors.py", "KqueueSelector.select"): _says(SOCKET, "sockets"),
    ("base_events.py", "BaseEventLoop._run_once"): _says(LOOP, "what is due in its event loop"),
    ("popen_fork.py", "Popen.wait"): _says(PROCESS, "a process"),
    ("popen_fork.py", "Popen.poll"): _says(PROCESS, "a process"),
    ("process.py", "BaseProcess.join"): _says(PROCESS, "a process"),
    ("connection.py", "Connection._recv"): _says(SOCKET, "a pipe"),
    ("connection.py", "wait"): _says(SOCKET, "pipes"),
    ("locks.py", "Lock.acquire"): _says(LOCK, "a lock"),
    ("locks.py", "Event.wait"): _says(EVENT, "an event"),
    ("locks.py", "Condition.wait"): _says(EVENT, "a condition"),
    ("locks.py", "Semaphore.acquire"): _says(LOCK, "a semaphore"),
    ("locks.py", "Barrier.wait"): _says(EVENT, "a barrier"),
    ("queues.py", "Queue.get"): _says(QUEUE, "something in a queue"),
    ("queues.py", "Queue.put"): _says(QUEUE, "room in a queue"),
    ("queues.py", "Queue.join"): _says(QUEUE, "a queue to be done"),
    ("tasks.py", "sleep"): _says(SLEEP, "time to pass"),
    ("streams.py", "StreamReader.read"): _says(SOCKET, "a stream"),
    ("streams.py", "StreamReader.readline"): _says(SOCKET, "a stream"),
    ("streams.py", "StreamReader.readuntil"): _says(SOCKET, "a stream"),
    ("streams.py", "StreamReader.readexactly"): _says(SOCKET, "a stream"),
    ("streams.py", "StreamReader._wait_for_data"): _says(SOCKET, "a stream"),
    ("streams.py", "StreamWriter.drain"): _says(SOCKET, "a stream to take more"),
    ("base_events.py", "BaseEventLoop.sock_recv"): _says(SOCKET, "a socket"),
    ("selector_events.py", "BaseSelectorEventLoop.sock_recv"): _says(SOCKET, "a socket"),
    ("selector_events.py", "BaseSelectorEventLoop.sock_connect"): _says(SOCKET, "a connection"),
    ("subprocess.py", "Process.wait"): _process,
    ("subprocess.py", "Process.communicate"): _process,
    ("base_subprocess.py", "BaseSubprocessTransport._wait"): _process,
}  # fmt: skip

_OURS: dict[tuple[str, str], Callable[[FrameType], Reason]] = {("process.py", "Child.wait"): _process}  # worker/process.py

_CALLS: dict[str, Reason] = {
    "futex": (LOCK, "a lock"),
    "sleep": (SLEEP, "time to pass"),
    "poll": (SOCKET, "sockets"),
    "select": (SOCKET, "sockets"),
    "flock": (FILE, "the lock on file"),
    "fcntl": (FILE, "the lock on file"),
    "sync": (DISK, "the disk, for file"),
    "open": (FILE, "a file to open"),
    "read": (FILE, "something to read from"),
    "write": (FILE, "room to write to"),
    "receive": (SOCKET, "something from socket"),
    "send": (SOCKET, "room in socket"),
    "connect": (SOCKET, "a connection, socket"),
    "accept": (SOCKET, "a connection, socket"),
    "pause": (SIGNAL, "a signal"),
    "signal": (SIGNAL, "a signal"),
}


def by_frames(frames: list[FrameType]) -> Reason | None:
    """Why the innermost frames wait, if they are of the standard library, or of our own that wait for others."""
    found = None
    for frame in frames:
        code = frame.f_code
        if not is_library(code) and not is_ours(code):
            break
        make = (_OURS if is_ours(code) else _IN).get((os.path.basename(code.co_filename), code.co_qualname))
        if make is not None:
            found = make(frame)
    return found


def by_kernel(seen: Seen) -> Reason | None:
    """Why the kernel lets it wait."""
    if seen.call == "child":
        pid = int(seen.target) if seen.target.isdigit() else 0
        return PROCESS, process(pid) if pid else "a child process"
    known = _CALLS.get(seen.call)
    if known is None:
        return (FILE, seen.call) if seen.call else (DISK, "a disk") if seen.state == "D" else None
    kind, text = known
    if "socket:" in seen.target or "pipe:" in seen.target:
        kind = SOCKET
    return kind, f"{text} {seen.target}".strip() if text.endswith(("file", "from", "to", "socket")) and seen.target else text


def by_words(frame: FrameType) -> Reason | None:
    """Why a call that was made from here waits, by the type of what stands there: a lock, and who holds it if that can be told."""
    found = _PATH.match(doing(frame))
    if found is None:
        return None
    name, path = found[1], [part for part in found[2].split(".") if part]
    spaces = frame.f_locals, frame.f_globals
    value = next((space[name] for space in spaces if name in space), None)
    for part in [None, *path]:
        value = value if part is None else _slot(value, part)
        if type(value) in _LOCKS:
            return LOCK, f"a lock{_owner(value)}"
        if value is None:
            return None
    return None


def _owner(lock: Any) -> str:
    """Who holds it: a reentrant lock knows."""
    owner = re.search(r"owner=(\d+)", repr(lock))
    if owner is None or owner[1] == "0":
        return ""
    thread = next((one for one in threading.enumerate() if one.ident == int(owner[1])), None)
    return f" that thread {thread.name} holds" if thread else ""


def _slot(value: Any, name: str) -> Any:
    """An attribute, without running any code of the value's: out of its own dictionary, or that of a module."""
    try:
        return object.__getattribute__(value, "__dict__").get(name)
    except (AttributeError, TypeError):
        return None
