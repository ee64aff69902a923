"""The bus of Redis: PUBLISH to a channel for each topic, and one pattern subscription that covers all that this process listens for.

Redis's patterns are coarser than ours, and tell a message once for each that fits. So there is only ever one: what all patterns begin with,
and a star; the rest is chosen here. In a cluster both sides go to the node of the namespace, so no message takes the way between nodes,
which may lose it.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence

import msgspec
from hiredis import ReplyError
from redis.crc import key_slot

from ...bus import MESSAGE_LIMIT, Heard
from ...buses.hearers import UNKNOWN, Hearer, Hearers
from ...buses.reconnect import keep_listening
from ...errors import RopewayError, StoreError
from ...message import Message, check_message
from .hub import Hub, Place
from .scripts import Request
from .wire import Broken, Wire

TOGETHER = 128 * 1024  # bytes of messages of one topic that are one message to Redis

_pack = msgspec.msgpack.Encoder().encode
_messages = msgspec.msgpack.Decoder(list[Message])


class RedisBus:
    """`stem` is the namespace's. After a fork the child's listeners are its own, and there are none yet."""

    def __init__(self, hub: Hub, stem: str) -> None:
        self._hub = hub
        self._prefix = f"{stem}:topic{hub.address.db or ''}:"  # channels know no databases
        self.patience = hub.patience
        self.widest = f"{self._prefix}*".encode()
        self._slot: int = key_slot(f"{stem}:{{+topics}}".encode())
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._hearers = Hearers()
        self._ear: Ear | None = None
        self._closed = False

    def place(self) -> Place:
        """The server that the topics of this namespace go through. Raises StoreError."""
        return self._hub.place_of(self._slot)

    # -- publishing

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            check_message(message, MESSAGE_LIMIT)
        self._hub.enter()
        requests = [Request(None, ("PUBLISH", self._prefix + topic, data)) for topic, data in _gathered(messages)]
        if requests:
            for reply in self._hub.through(requests, place=self.place()):
                if isinstance(reply, ReplyError):
                    self._hub.failed(reply)

    # -- listening

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        self._hub.enter()
        hearer = Hearer(patterns, heard)
        with self._lock:
            self._hearers.add(hearer)
            try:
                if self._ear is None:
                    ear = Ear(self, self._hearers)
                    ear.open(self._glob())
                    self._ear = ear
                else:
                    self._ear.turn(self._glob())
            except BaseException:
                self._hearers.remove(hearer)
                raise
        hearers = self._hearers

        def end() -> None:
            hearers.remove(hearer)
            if hearers is self._hearers:
                with self._lock:
                    ear = None
                    if not hearers:
                        ear, self._ear = self._ear, None
                if ear is not None:
                    ear.close()

        return end

    def _glob(self) -> bytes:
        """What covers all patterns. It only ever grows coarser: who has ended costs a look at a message too many, and no gap."""
        starts = [_start(pattern) for pattern in self._hearers.patterns()]
        if self._ear is not None:
            starts.append(self._ear.glob.decode()[len(self._prefix) : -1])
        return f"{self._prefix}{_common(starts)}*".encode()

    def subscribed(self) -> Wire:
        """A connection to where the topics go."""
        return self._hub.dial(self.place())

    def forget(self) -> None:
        """That server is gone: it is looked for anew."""
        self._hub.forget()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            ear, self._ear = self._ear, None
        self._hearers.end()
        if ear is not None:
            ear.close()

    def born(self) -> None:
        """In a forked child."""
        self._begin()


class Ear:
    """One connection that is subscribed, and the thread that hears it."""

    def __init__(self, bus: RedisBus, hearers: Hearers) -> None:
        self.glob = b""
        self._bus = bus
        self._hearers = hearers
        self._ended = False
        self._pipe = os.pipe()
        self._wire: Wire | None = None
        self._answers = threading.Condition()
        self._confirmed = b""  # the newest subscription that the server has said yes to: what came under an older one has been told
        self._refused = ""
        self._thread = threading.Thread(target=self._run, name="ropeway-redis-topics", daemon=True)

    def open(self, glob: bytes) -> None:
        """Raises StoreError."""
        try:
            self._wire = self._subscribe(glob)
        except BaseException:
            self._shut()
            raise
        self._thread.start()

    def turn(self, glob: bytes) -> None:
        """From now on that. Answers when the server has said yes. Raises StoreError."""
        if glob == self.glob:
            return
        before, self.glob = self.glob, glob
        wire = self._wire
        try:
            if wire is not None:
                wire.send(Request(None, ("PSUBSCRIBE", glob)).packed() + Request(None, ("PUNSUBSCRIBE", before)).packed())
        except Broken:
            pass  # the thread finds it broken too, and subscribes to what is wanted by then
        with self._answers:
            if not self._answers.wait_for(lambda: self._confirmed == glob or self._refused or self._ended, self._bus.patience):
                raise StoreError("the subscription was not confirmed in time; nobody listens. Try again", definite=True)
            if self._refused or self._ended:
                raise StoreError(f"the subscription was refused: {self._refused or 'closed'}; nobody listens", definite=True)

    def close(self) -> None:
        """From any thread; nothing is heard once it has answered, but from within what is heard it cannot wait."""
        self._ended = True
        with self._answers:
            self._answers.notify_all()
        try:
            os.write(self._pipe[1], b"x")
        except OSError:
            pass
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _subscribe(self, glob: bytes) -> Wire:
        wire = self._bus.subscribed()
        try:
            wire.send(Request(None, ("PSUBSCRIBE", glob)).packed())
            reply = wire.receive()
        except Broken as error:
            wire.close()
            raise StoreError(f"the connection broke: {error}; nobody listens", definite=True) from None
        if not isinstance(reply, list):
            wire.close()
            if glob != self._bus.widest:  # an ACL allows a pattern as it is written there, and none that it covers
                return self._subscribe(self._bus.widest)
            self._refused = str(reply)
            raise StoreError(
                f"this user may not listen: {reply}; nobody listens. Allow PSUBSCRIBE, and the pattern &{glob.decode()} as it stands",
                definite=True,
            )
        with self._answers:
            self.glob, self._confirmed = glob, glob
            self._answers.notify_all()
        return wire

    # -- the thread

    def _run(self) -> None:
        broken = (StoreError, Broken)
        keep_listening(self._wire, self._anew, self._listen, lambda: self._ended, self._pipe[0], broken, self._lost)
        self._shut()

    def _anew(self) -> Wire:
        self._wire = wire = self._subscribe(self.glob)
        self._hearers.tell((), UNKNOWN)
        return wire

    def _lost(self) -> None:
        self._wire = None
        if not self._ended:
            self._bus.forget()

    def _listen(self, wire: Wire) -> None:
        poll = select.poll()
        poll.register(self._pipe[0], select.POLLIN)
        poll.register(wire.fileno(), select.POLLIN)
        while not self._ended:
            if wire.buffered() or any(fd != self._pipe[0] for fd, _ in poll.poll()):
                self._heard(wire.receive())

    def _heard(self, said: object) -> None:
        match said:
            case [b"pmessage", glob, _, bytes(data)] if glob == self._confirmed:
                try:
                    messages = _messages.decode(data)
                    for message in messages:
                        check_message(message, MESSAGE_LIMIT)
                except (msgspec.MsgspecError, RopewayError):
                    self._hearers.tell((), UNKNOWN)  # published by somebody else than us, or a later release
                else:
                    self._hearers.tell(messages)
            case [b"psubscribe", bytes(glob), _]:
                with self._answers:
                    self._confirmed = glob
                    self._answers.notify_all()
            case ReplyError():
                with self._answers:
                    self._refused = str(said)
                    self._answers.notify_all()

    def _shut(self) -> None:
        for end in self._pipe:
            os.close(end)


def _start(pattern: str) -> str:
    """What every topic begins with that the pattern means."""
    words = pattern.split(".")
    plain = next((at for at, word in enumerate(words) if word in ("*", "#")), len(words))
    start = ".".join(words[:plain])
    return start if plain == len(words) or words[plain] == "#" else f"{start}." if start else ""


def _common(texts: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(texts), max(texts)
    return first[: next((at for at, one in enumerate(first) if at >= len(last) or one != last[at]), len(first))]


def _gathered(messages: Sequence[Message]) -> Iterator[tuple[str, bytes]]:
    """Those that follow each other in one topic, together."""
    some: list[bytes] = []
    size, topic = 0, ""
    for message in messages:
        data = _pack(message)
        if some and (message.topic != topic or size + len(data) > TOGETHER):
            yield topic, _pack([msgspec.Raw(one) for one in some])
            some, size = [], 0
        topic = message.topic
        some.append(data)
        size += len(data)
    if some:
        yield topic, _pack([msgspec.Raw(one) for one in some])


_all: weakref.WeakSet[RedisBus] = weakref.WeakSet()


def _born() -> None:
    for bus in list(_all):
        bus.born()


os.register_at_fork(after_in_child=_born)
