"""The line between a worker and its supervisor: a pair of sockets. One byte each two seconds says that the interpreter runs; its end, on
either side, that the other is gone.

    +   ready: the program is imported, the worker runs
    .   alive
    r   about to end, to be started anew (it has grown too large, or done its number of jobs)
"""

from __future__ import annotations

import faulthandler
import os
import socket
import threading
from collections.abc import Callable

from ...bells.place import readable
from ...errors import ConfigError

READY, ALIVE, AGAIN = b"+", b".", b"r"
BEAT = 2.0


class Lifeline:
    """The worker's end. `orphaned` is called once, when the supervisor is gone. Raises ConfigError for what is no such line."""

    def __init__(self, number: int, orphaned: Callable[[], object]) -> None:
        try:
            self._socket = socket.socket(fileno=os.dup(number))
            os.close(number)
            self._socket.settimeout(0.0)
        except OSError as error:
            raise ConfigError(f"descriptor {number} leads to no supervisor: {error.strerror}; nothing was started") from None
        self._orphaned = orphaned

    def start(self) -> None:
        """Say that the worker is ready, and go on saying that it lives, from a thread of its own."""
        if not faulthandler.is_enabled():
            faulthandler.enable()  # SIGABRT, from a supervisor that hears nothing more, then says where everything stood
        self.say(READY)
        threading.Thread(target=self._run, name="ropeway-lifeline", daemon=True).start()

    def say(self, word: bytes) -> None:
        """Send a byte; lost when the supervisor stands still for long."""
        try:
            self._socket.send(word)
        except OSError:
            pass

    def _run(self) -> None:
        while True:
            heard = readable([self._socket], BEAT)
            if heard and not self._hear():
                self._socket.close()
                self._orphaned()
                return
            if not heard:
                self.say(ALIVE)

    def _hear(self) -> bool:
        try:
            return bool(self._socket.recv(64))
        except BlockingIOError:
            return True
        except OSError:
            return False
