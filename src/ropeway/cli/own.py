"""What the shell commands share on a store that is this user's alone: where output is kept, and the worker that comes by itself."""

from __future__ import annotations

import fcntl
import os
import sys
from hashlib import sha256

from .. import orphan
from ..config import state_folder
from ..errors import ConfigError
from ..shell.private import shared_because
from .session import Session

LOG = "shell.log"
KEY = "shell.key"
KEY_SIZE = 32
LARGEST_LOG = 1 << 20


def is_own(session: Session) -> bool:
    """Whether nobody else can put jobs there."""
    return not shared_because(session.link.url)


def outputs(session: Session, *, make: bool = False) -> str | None:
    """The folder where commands print into; None where the store keeps it."""
    if not is_own(session):
        return None
    folder = f"{state_folder()}/output"
    return _made(folder) if make else folder


def own_key() -> bytes:
    """The key that seals this user's command lines; made when there is none."""
    path = f"{_made(state_folder())}/{KEY}"
    fresh = f"{path}.{os.getpid()}"
    for _ in range(2):
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                if len(key := file.read(KEY_SIZE + 1)) == KEY_SIZE:
                    return key
            raise ConfigError(f"{path} is no key; nothing was put. Remove it, and a new one is made")
        except FileNotFoundError:
            pass
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(os.urandom(KEY_SIZE))
        try:
            os.link(fresh, path)  # whole, and only if nobody else was first
        except FileExistsError:
            pass
        finally:
            os.unlink(fresh)
    raise ConfigError(f"{path} cannot be read; nothing was put")


class Watch:
    """The lock that the worker of a queue holds which came by itself. The kernel lets go of it when that dies, however it dies."""

    def __init__(self, session: Session, queue: str) -> None:
        name = sha256(f"{os.uname().nodename}\0{session.link.url.partition('?')[0]}\0{queue}".encode()).hexdigest()[:32]
        self.path = f"{_made(f'{state_folder()}/shell')}/{name}.lock"
        self._fd = -1

    def take(self) -> bool:
        """Whether it is ours now."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def sign(self) -> None:
        """Write down whose it is, for people."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def leave(self) -> None:
        """Let go of it."""
        os.close(self._fd)
        self._fd = -1


def see_to_it(session: Session, queue: str) -> None:
    """Have a worker for the commands in that queue: start one in the background, unless one runs or the store is not this user's alone."""
    if not is_own(session):
        return
    watch = Watch(session, queue)
    if not watch.take():
        return
    try:
        if _somebody_works(session, queue):
            return
    finally:
        watch.leave()
    _start(session, queue)


def has_worker(session: Session, queue: str) -> bool:
    """Whether some worker of the fleet takes commands from that queue."""
    return _somebody_works(session, queue)


def _somebody_works(session: Session, queue: str) -> bool:
    from ..names import matching
    from ..worker.fleet.members import present

    return any(
        seen.commands and seen.state in ("idle", "busy", "paused") and queue in matching(seen.patterns, [queue])
        for seen in present(session.store)
    )


def _start(session: Session, queue: str) -> None:
    """Detached from terminal, session and parent. What commands get of the environment they bring themselves."""
    log = f"{_made(state_folder())}/{LOG}"
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(fd).st_size > LARGEST_LOG:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)
    command = [sys.executable, "-P", "-m", "ropeway", "work", queue, "--allow-commands", "--attend"]
    orphan.start(command, log, {**os.environ, "ROPEWAY_URL": session.link.url}, cwd="/")


def _made(folder: str) -> str:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}; nothing was started") from None
    return folder
