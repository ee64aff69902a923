"""The way to the servers: which one is asked, by which connection, and what is told when it does not answer.

Connections are made when they are needed and kept for the next call; each is used by one thread at a time. A forked child makes its own.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hiredis import ReplyError

from ...errors import StoreError
from . import faults
from .scripts import Request
from .wire import Broken, Unreached, Wire

if TYPE_CHECKING:
    from ...url import StoreUrl
    from .address import Address
    from .commit import Held

Place = tuple[str, int]
BUFFER = 32 * 1024  # of small commands that go out as one
HOPS = 8  # from node to node, while a cluster rearranges itself


class Family:
    """Which generation of processes this is: asking a number costs less than asking the system who one is."""

    number = 0


def _born() -> None:
    Family.number += 1


os.register_at_fork(after_in_child=_born)


class Local(threading.local):
    """What one thread is in the middle of."""

    held: Held | None = None  # a commit: all by its one connection


class Hub:
    """All connections of one store object. `greet` is called with the first one in each process, before anything is asked."""

    def __init__(self, url: StoreUrl, address: Address, greet: Callable[[Callable[..., Any]], None]) -> None:
        self.where = url.text
        self.address = address
        self._timeout = max(0.001, url.timeout)
        self._greet = greet
        self._lock = threading.Lock()
        self.closed = False
        self._start()

    def _start(self) -> None:
        self._family = Family.number
        self._idle: dict[Place, deque[Wire]] = {}
        self._slots: dict[int, Place] = {}
        self._home: Place | None = None
        self._greeted = False
        self.local = Local()

    @property
    def cluster(self) -> bool:
        """Whether the keys of different queues may lie on different servers."""
        return self.address.kind == "cluster"

    def enter(self) -> None:
        """Before anything is done. Raises StoreError when the store was closed."""
        if self._family != Family.number:
            self._inherited = self._idle  # the parent's: neither used nor closed here
            self._lock = threading.Lock()
            self._start()
        if self.closed:
            raise StoreError(f"{self.where} was closed; nothing was done. Open it again", definite=True)

    # -- asking

    def ask(self, requests: Iterable[Request], *, copies: int = 0) -> list[Any]:
        """The replies, in order. `copies`: how many replicas must have it all before this answers. Raises StoreError, after everything
        was answered, for the first reply that is an error."""
        self.enter()
        if self.cluster:
            replies = self._spread(list(requests), copies)
        else:
            held = self.local.held
            replies = held.ask(requests, copies) if held is not None else self.through(requests, copies)
        for reply in replies:
            if isinstance(reply, ReplyError):
                self.failed(reply)
        return replies

    def one(self, request: Request, *, copies: int = 0) -> Any:
        """The reply to one request: what `ask` does for many, with less ado."""
        if copies or self.address.kind == "cluster" or self.local.held is not None or self._family != Family.number:
            return self.ask((request,), copies=copies)[0]
        if self.closed:
            self.enter()
        wire = self.take()
        try:
            wire.send(request.packed())
            reply = wire.receive()
            if type(reply) is ReplyError and str(reply).startswith("NOSCRIPT"):
                wire.send(request.packed(whole=True))
                reply = wire.receive()
        except Broken as error:
            wire.close()
            self.forget()
            raise faults.broken(self.where, str(error)) from error
        except BaseException:
            wire.close()
            raise
        self.give(wire)
        if type(reply) is ReplyError:
            self.failed(reply)
        return reply

    def failed(self, reply: object) -> None:
        """Raise what the server said."""
        if faults.first_word(reply) in faults.GONE:
            self.forget()
        raise faults.refused(self.where, reply)

    def through(self, requests: Iterable[Request], copies: int = 0, place: Place | None = None) -> list[Any]:
        """All by one connection: packed while those before are being done."""
        wire = self.take(place)
        try:
            sent = push(wire, requests)
            replies = pull(wire, sent)
            if copies:
                self.copied(wire, copies)
        except Broken as error:
            wire.close()
            self.forget()
            raise faults.broken(self.where, str(error)) from error
        except BaseException:
            wire.close()  # replies may still be on their way
            raise
        self.give(wire)
        return replies

    def copied(self, wire: Wire, copies: int) -> None:
        """Wait until that many replicas have all that was done by this connection. Raises StoreError when they have not in time."""
        patience = max(1, int(self._timeout * 500))  # milliseconds: half of what a silent server gets
        wire.send(Request(None, ("WAIT", copies, patience)).packed())
        have = wire.receive()
        if isinstance(have, ReplyError):
            raise faults.refused(self.where, have)
        if have < copies:
            raise StoreError(
                f"{self.where}: done here, but only {have} of {copies} replicas have it in time. It may be lost if this "
                "server is; the same call may be repeated"
            )

    # -- connections

    def take(self, place: Place | None = None) -> Wire:
        """A connection, for one thread. Raises StoreError."""
        place = place or self._home or self._place()
        idle = self._idle.get(place)
        if idle is None:
            idle = self._idle.setdefault(place, deque())
        while idle:
            try:
                wire = idle.pop()
            except IndexError:
                break
            if wire.alive():
                return wire
            wire.close()
        wire = self.dial(place)
        if not self._greeted:
            self._greeted = True
            try:
                self._greet(lambda *words: _plain(wire, words))
            except BaseException:
                self._greeted = False
                wire.close()
                raise
        return wire

    def dial(self, place: Place | None = None) -> Wire:
        """A new connection, in a cluster to any node. Raises StoreError."""
        places = [place] if place else list(self.address.hosts) if self.cluster else [self._place()]
        for one in places:
            try:
                return Wire(self.address, *one, self._timeout)
            except Unreached as error:
                failure = faults.unreached(self.where, str(error), error.reply)
        self.forget()
        raise failure

    def give(self, wire: Wire) -> None:
        """Back, for the next one."""
        if self.closed:
            wire.close()
        else:
            idle = self._idle.get(wire.place)
            (self._idle.setdefault(wire.place, deque()) if idle is None else idle).append(wire)

    def forget(self) -> None:
        """Something is wrong with the server: all idle connections go, and it is looked for anew."""
        before, self._idle = self._idle, {}
        self._home, self._slots = None, {}
        for idle in before.values():
            for wire in list(idle):
                wire.close()

    def close(self) -> None:
        """May be called twice, and in a forked child, where it lets the parent's connections be."""
        self.closed = True
        if self._family == Family.number:
            self.forget()

    # -- which server

    def _place(self) -> Place:
        if self._home is None:
            if self.address.kind == "sentinel":
                from .sentinels import primary

                try:
                    self._home = primary(self.address, self._timeout)
                except Unreached as error:
                    raise faults.unreached(self.where, str(error), error.reply) from None
            else:
                self._home = self.address.hosts[0]
        return self._home

    def place_of(self, slot: int) -> Place:
        """The primary that has this slot, if slots are told apart."""
        return self._slot(slot) if self.cluster else self._home or self._place()

    @property
    def patience(self) -> float:
        """Seconds that a silent server gets."""
        return self._timeout

    def _slot(self, slot: int) -> Place:
        place = self._slots.get(slot)
        if place is None:
            from .nodes import slots

            error: StoreError | None = None
            for host in self.address.hosts:
                try:
                    (reply,) = self.through([Request(None, ("CLUSTER", "SLOTS"))], place=host)
                except StoreError as failure:
                    error = failure
                    continue
                if isinstance(reply, ReplyError):
                    self.failed(reply)
                self._slots = slots(reply, host[0])
                place = self._slots.get(max(slot, 0))
                break
            if place is None:
                raise error or StoreError(f"{self.where}: no node has slot {slot}; nothing was done. Repair the cluster", definite=True)
        return place

    def places(self) -> list[Place]:
        """Every primary of the store."""
        if not self.cluster:
            return [self._place()]
        self._slot(0)
        return sorted(set(self._slots.values()))

    def _spread(self, requests: Sequence[Request], copies: int) -> list[Any]:
        """Each to the node that has its slot; moved along when the slot has moved."""
        replies: list[Any] = [None] * len(requests)
        groups: dict[Place, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(self._slot(request.slot), []).append(index)
        for place, indices in groups.items():
            for index, reply in zip(indices, self.through([requests[i] for i in indices], copies, place), strict=True):
                replies[index] = reply
        for index, request in enumerate(requests):
            for _ in range(HOPS):
                word, _, rest = str(replies[index]).partition(" ") if isinstance(replies[index], ReplyError) else ("", "", "")
                if word not in ("MOVED", "ASK"):
                    break
                host, _, port = rest.rpartition(" ")[2].rpartition(":")
                there = (host or self.address.hosts[0][0], int(port))
                if word == "MOVED":
                    self._slots[request.slot] = there
                ahead = [Request(None, ("ASKING",))] if word == "ASK" else []
                replies[index] = self.through([*ahead, request], copies, there)[-1]
        return replies


def push(wire: Wire, requests: Iterable[Request]) -> list[Request]:
    """Send them, small ones together."""
    sent: list[Request] = []
    buffer: list[bytes] = []
    size = 0
    for request in requests:
        sent.append(request)
        data = request.packed()
        buffer.append(data)
        size += len(data)
        if size >= BUFFER:
            wire.send(b"".join(buffer))
            buffer, size = [], 0
    if buffer:
        wire.send(buffer[0] if len(buffer) == 1 else b"".join(buffer))
    return sent


def pull(wire: Wire, sent: Sequence[Request]) -> list[Any]:
    """Their replies. A server that has lost its scripts gets them again: what it did not know it did not do."""
    replies = [wire.receive() for _ in sent]
    for index, reply in enumerate(replies):
        if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
            wire.send(sent[index].packed(whole=True))
            replies[index] = wire.receive()
    return replies


def _plain(wire: Wire, words: Sequence[str | int]) -> Any:
    try:
        wire.send(Request(None, tuple(words)).packed())
        return wire.receive()
    except Broken as error:
        raise StoreError(f"the connection broke: {error}; nothing was done", definite=True) from error
