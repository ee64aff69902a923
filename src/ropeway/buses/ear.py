"""The ear of a process: one socket and one thread that hears all who publish. What comes is hostile until proved, and bounded after.

Who does not prove himself within some seconds is cut; so are the oldest of such when they become many: a flood of strangers costs a few
descriptors and no memory.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..bells.place import SleepingPlace, milliseconds
from ..message import Message
from .frames import GREETING, LISTENER, NO_GREETING, PROOF, PUBLISHER, BadFrame, Reader, proof, same
from .hearers import NOTHING, UNKNOWN

PATIENCE = 5.0  # seconds to prove oneself
STRANGERS = 64  # who have not
PEERS = 1024  # who have; the one too many is turned away, and tries again
READ = 256 * 1024  # bytes taken from one of them before the next one's turn
PAUSE = 0.1  # seconds without new ones when no descriptor is left

Tell = Callable[[Sequence[Message], Mapping[str, int]], None]


class Peer:
    """One who publishes."""

    def __init__(self, sock: socket.socket, greeting: bytes) -> None:
        self.sock = sock
        self.greeting = greeting
        self.hello = b""
        self.proven = False
        self.since = time.monotonic()
        self.reader = Reader()


class Ear(SleepingPlace):
    """Listens from `open` until `close`. `tick` is called by its thread now and then, and answers in how many seconds again."""

    def __init__(self, sock: socket.socket, address: str, secret: bytes, greeting: int, tell: Tell, tick: Callable[[], float]) -> None:
        super().__init__()
        self._ear = sock
        self._address = address
        self._secret = secret
        self._greeting = greeting
        self._tell = tell
        self._tick = tick
        self._peers: dict[int, Peer] = {}
        self._strangers = 0
        self._deaf_until = 0.0
        self._ended = False
        self._poll = select.poll()
        self._poll.register(self._event, select.POLLIN)
        self._poll.register(sock, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="ropeway-bus-in", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hears no more when this has answered; from within what it tells, soon after."""
        self._ended = True
        self.wake()
        if self._thread is threading.current_thread():
            return  # what is left to close is closed when nobody holds this any more
        if self._thread.ident is not None:
            self._thread.join()
        super().close()

    def let_go(self) -> None:
        """In a forked child: all of it is the parent's."""
        self._ear.close()
        for peer in list(self._peers.values()):
            peer.sock.close()

    # -- the thread

    def _run(self) -> None:
        try:
            next_tick = time.monotonic() + self._tick()
            while not self._ended:
                now = time.monotonic()
                if next_tick <= now:
                    next_tick = now + self._tick()
                self._cut_strangers(now)
                end = min(next_tick, now + PATIENCE if self._strangers else next_tick)
                if self._deaf_until:
                    end = min(end, self._deaf_until)
                for fd, _ in self._poll.poll(milliseconds(end - now)):
                    self._serve(fd)
                if self._deaf_until and time.monotonic() >= self._deaf_until:
                    self._deaf_until = 0.0
                    self._poll.register(self._ear, select.POLLIN)
        finally:
            for peer in list(self._peers.values()):
                self._close(peer)
            self._ear.close()

    def _serve(self, fd: int) -> None:
        if self._ended:
            return
        if fd == self._event:
            self._wakened()
        elif fd == self._ear.fileno():
            self._accept()
        elif (peer := self._peers.get(fd)) is not None:
            try:
                self._hear(peer)
            except BlockingIOError:
                return
            except (OSError, BadFrame):
                self._lost(peer)

    def _accept(self) -> None:
        for _ in range(STRANGERS):
            try:
                sock, _ = self._ear.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptor is left
                self._poll.unregister(self._ear)
                self._deaf_until = time.monotonic() + PAUSE
                return
            if len(self._peers) - self._strangers >= PEERS:
                sock.close()
                continue
            if self._strangers >= STRANGERS:
                self._close(next(peer for peer in self._peers.values() if not peer.proven))
            peer = Peer(sock, os.urandom(GREETING) if self._greeting else NO_GREETING)
            try:
                sock.settimeout(0.0)
                if self._greeting:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # of a host that is gone nobody hears anything
                    sock.send(peer.greeting)
            except OSError:
                sock.close()
                continue
            self._peers[sock.fileno()] = peer
            self._strangers += 1
            self._poll.register(sock, select.POLLIN)

    def _hear(self, peer: Peer) -> None:
        if not peer.proven:
            self._prove(peer)
            return
        data = peer.sock.recv(READ)
        if not data:
            self._lost(peer)
            return
        for frame in peer.reader.feed(data):
            self._tell(frame.messages, frame.missed or NOTHING)

    def _prove(self, peer: Peer) -> None:
        data = peer.sock.recv(PROOF - len(peer.hello))
        peer.hello += data
        if not data:
            self._close(peer)
        elif len(peer.hello) == PROOF:
            own, shown = peer.hello[:GREETING], peer.hello[GREETING:]
            if not same(shown, proof(self._secret, PUBLISHER, peer.greeting, own, self._address)):
                self._close(peer)
                return
            if self._greeting:
                peer.sock.send(proof(self._secret, LISTENER, peer.greeting, own, self._address))
            peer.proven = True
            self._strangers -= 1

    def _lost(self, peer: Peer) -> None:
        """It ended: in good order, unless something was on its way."""
        self._close(peer)
        if peer.proven and peer.reader.cut:
            self._tell((), UNKNOWN)

    def _cut_strangers(self, now: float) -> None:
        if self._strangers:
            for peer in [peer for peer in self._peers.values() if not peer.proven and now - peer.since >= PATIENCE]:
                self._close(peer)

    def _close(self, peer: Peer) -> None:
        fd = peer.sock.fileno()
        if self._peers.pop(fd, None) is None:
            return
        if not peer.proven:
            self._strangers -= 1
        with suppress(KeyError, ValueError):
            self._poll.unregister(fd)
        peer.sock.close()
