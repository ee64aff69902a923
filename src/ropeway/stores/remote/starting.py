"""`?autostart=`: the first client on this machine starts the server when none is there. Who comes at the same moment waits for that one.

The server is nobody's child: it stays when the client ends, until somebody stops it. What it says is in a file of the state folder.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time

from ... import living, orphan
from ...errors import ConfigError, StoreError
from .address import Address, state_folder

PATIENCE = 20.0  # seconds until it takes connections


def start(at: Address, store: str, url: str) -> None:
    """Return once a server listens at that address; started here, if need be, on `store` ("1": the user's own folder of jobs).
    Raises StoreError, with its last words, when it does not come up."""
    folder = state_folder()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(f"{folder}/autostart-{at.port}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of those who find none at once, one starts it
        if _answers(at):
            return
        log = f"{folder}/autostart-{at.port}.log"
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        pid = _launch(at, f"dir:{folder}/spool" if store == "1" else store, log)
        end = time.monotonic() + PATIENCE
        while not _answers(at):
            if time.monotonic() > end or living.start_time(pid) is None:
                with open(log, encoding="utf-8", errors="replace") as file:
                    words = file.read()[-500:].strip()
                raise StoreError(f"{url}: the server did not start; nothing was done. Its last words: {words or 'none'}", definite=True)
            time.sleep(0.02)


def _launch(at: Address, store: str, log: str) -> int:
    command = [sys.executable, "-m", "ropeway.cli", "-q", "-u", store, "serve", "-b", f"{at.bracketed}:{at.port}"]
    env = {name: value for name, value in os.environ.items() if name != "ROPEWAY_URL"}  # which may be the URL that led here
    try:
        return orphan.start(command, log, env)
    except OSError as error:
        raise ConfigError(f"the server cannot be started: {error}; nothing was done") from None


def _answers(at: Address) -> bool:
    try:
        socket.create_connection((at.host, at.port), timeout=5.0).close()
    except OSError:
        return False
    return True
