"""The bus of PostgreSQL: NOTIFY in a transaction of its own, and LISTEN on a connection of its own, heard by a thread.

A notification holds less than 8,000 bytes of text. So messages go packed, several together, as base64 in numbered pieces; the pieces of a
transaction arrive in order and nothing comes between them. A commit with a NOTIFY waits for all others of the database (PostgreSQL holds a
lock for their order), so who publishes much does it in batches; it waits for no disk.
"""

from __future__ import annotations

import binascii
import os
import re
import select
import threading
import time
import weakref
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import msgspec
import psycopg
from psycopg import pq

from ....bus import MESSAGE_LIMIT, Heard
from ....buses.hearers import UNKNOWN, Hearer, Hearers
from ....buses.reconnect import keep_listening
from ....errors import ConfigError, RopewayError, StoreError
from ....message import Message, check_message
from ..desk import Desk
from ..session import Again, Broken, Session
from .faults import Lost, Refused, broken, told
from .session import PostgresSession
from .wire import Call

PIECE = 5_904  # bytes: 7,872 characters of base64, and room for the piece's head within 7,999
TOGETHER = 512 * 1024  # bytes of messages that are one transaction; a larger message is one by itself
MOST_PIECES = 2 * (MESSAGE_LIMIT + TOGETHER) // PIECE
QUIET = 30.0  # seconds without a word after which the server is asked for one
PROOF = 2.0  # seconds for a notification of our own to come back
IDLE_ROUNDS = 100  # a socket that is readable so often with nothing in it is at its end

_SAY = (
    b"with fast as materialized (select set_config('synchronous_commit', 'off', true)) "
    b"select pg_notify($1, said) from fast, unnest($2) said"
)
_TEXT, _TEXTS = 25, 1009  # types
_PIECE = re.compile(rb"([0-9a-f]{16})\.([1-9][0-9]{0,4})\.([1-9][0-9]{0,4})\.", re.ASCII)

_pack = msgspec.msgpack.Encoder().encode
_messages = msgspec.msgpack.Decoder(list[Message])


class PostgresBus:
    """`connect` opens the connection to listen on; `which` names the tables whose topics these are."""

    def __init__(self, url: str, desk: Desk, connect: Callable[[], PostgresSession], which: Callable[[], str]) -> None:
        self._url = url
        self._desk = desk
        self._connect = connect
        self._which = which
        self._name = ""
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._hearers = Hearers()
        self._ear: Ear | None = None

    @property
    def channel(self) -> str:
        if not self._name:
            self._name = f"ropeway_topics_{sha256(self._which().encode()).hexdigest()[:24]}"
        return self._name

    # -- publishing

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            check_message(message, MESSAGE_LIMIT)
        for some in _gathered(messages):
            self.say(list(_pieces(some)))

    def say(self, payloads: Sequence[bytes]) -> None:
        """Notify of these, in this order, as one transaction."""
        values = [self.channel.encode(), b"{" + b",".join(payloads) + b"}"]
        call = Call(_SAY, values, [_TEXT, _TEXTS], [pq.Format.TEXT, pq.Format.TEXT], b"ropeway_say")

        def work(session: Session) -> None:
            assert isinstance(session, PostgresSession)
            try:
                session.wire.ask(call)
            except Refused as error:
                raise told(error) from None
            except Lost as error:
                if error.undone:
                    raise broken(error, committing=False) from None
                raise StoreError(f"{self._url}: {error}; it is unknown whether the messages were published") from None

        self._desk.apart(work)

    # -- listening

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        hearer = Hearer(patterns, heard)
        with self._lock:
            if self._ear is None:
                hearers = self._hearers
                ear = Ear(self._url, self, hearers)
                ear.open()
                self._ear = ear
            self._hearers.add(hearer)
        hearers = self._hearers

        def end() -> None:
            hearers.remove(hearer)
            if hearers is self._hearers:
                ear = None
                with self._lock:
                    if not hearers:
                        ear, self._ear = self._ear, None
                if ear is not None:
                    ear.close()

        return end

    def listening(self) -> PostgresSession:
        """A connection that listens. Raises StoreError."""
        try:
            session = self._connect()
        except (Again, Broken, ConfigError) as error:
            raise StoreError(f"{self._url}: {error}; nobody listens", definite=True) from None
        try:
            session.wire.ask(Call(f'listen "{self.channel}"'.encode()))
        except (Lost, Refused, Again) as error:
            session.close()
            raise StoreError(f"{self._url}: {error}; nobody listens", definite=True) from None
        return session

    def close(self) -> None:
        with self._lock:
            ear, self._ear = self._ear, None
        self._hearers.end()
        if ear is not None:
            ear.close()

    def born(self) -> None:
        """In a forked child: the connection is the parent's, and stays open and unused here."""
        if self._ear is not None:
            _inherited.append(self._ear)
        self._begin()


class Ear:
    """The connection that listens, and its thread."""

    def __init__(self, url: str, bus: PostgresBus, hearers: Hearers) -> None:
        self._url = url
        self._bus = bus
        self._hearers = hearers
        self._ended = False
        self._pipe = os.pipe()
        self._pieces = Pieces()
        self._session: PostgresSession | None = None
        self._thread = threading.Thread(target=self._run, name="ropeway-postgres-topics", daemon=True)

    def open(self) -> None:
        """Raises StoreError."""
        try:
            self._session = self._bus.listening()
            self._prove(self._session)
        except BaseException:
            self._shut()
            raise
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        try:
            os.write(self._pipe[1], b"x")
        except OSError:
            pass
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _prove(self, session: PostgresSession) -> None:
        """That a notification of another connection comes in: through a pooler LISTEN succeeds, and is of no use."""
        word = b"proof." + os.urandom(8).hex().encode()
        self._bus.say([word])
        end = time.monotonic() + PROOF
        while (left := end - time.monotonic()) > 0:
            if session.wire.wait(left) and word in self._come(session):
                return
        raise StoreError(
            f"{self._url}: no NOTIFY comes back: a pooler in transaction mode stands between, so nobody can listen to topics through it "
            "(publishing works); nobody listens. Give listeners a URL that leads to PostgreSQL itself, or to a pool in session mode",
            definite=True,
        )

    def _run(self) -> None:
        keep_listening(self._session, self._anew, self._listen, lambda: self._ended, self._pipe[0], (StoreError, Lost), self._lost)
        self._shut()

    def _anew(self) -> PostgresSession:
        self._session = session = self._bus.listening()
        self._pieces = Pieces()
        self._hearers.tell((), UNKNOWN)
        return session

    def _lost(self) -> None:
        self._session = None

    def _listen(self, session: PostgresSession) -> None:
        poll = select.poll()
        poll.register(self._pipe[0], select.POLLIN)
        poll.register(session.wire.pg.socket, select.POLLIN)
        idle = 0
        while not self._ended:
            ready = poll.poll(QUIET * 1000)
            if not ready:
                self._ask_whether_it_lives(session)
            if not ready or any(fd != self._pipe[0] for fd, _ in ready):
                come = self._come(session)
                idle = 0 if come or not ready else idle + 1
                if idle > IDLE_ROUNDS:
                    raise Lost("the server has closed the connection")
                for payload in come:
                    messages, lost = self._pieces.add(payload)
                    if messages or lost:
                        self._hearers.tell(messages, UNKNOWN if lost else {})

    @staticmethod
    def _ask_whether_it_lives(session: PostgresSession) -> None:
        """A server that vanished without a word would be listened to for hours. Raises Lost."""
        try:
            session.wire.ask(Call(b"select 1"))
        except (Refused, Again) as error:
            raise Lost(str(error)) from None

    @staticmethod
    def _come(session: PostgresSession) -> list[bytes]:
        """What has come. Raises Lost."""
        pg, found = session.wire.pg, []
        try:
            pg.consume_input()
            while not pg.is_busy() and pg.get_result() is not None:
                continue
            while (one := pg.notifies()) is not None:
                found.append(bytes(one.extra))
        except psycopg.Error as error:
            raise Lost(str(error)) from None
        return found

    def _shut(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
        for end in self._pipe:
            os.close(end)


class Pieces:
    """Puts together what came in pieces. Anybody with a login may have sent them."""

    def __init__(self) -> None:
        self._of = b""
        self._all = 0
        self._some: list[bytes] = []

    def add(self, payload: bytes) -> tuple[list[Message], bool]:
        """The messages that are whole by it, and whether others were lost."""
        found = _PIECE.match(payload)
        if not found:
            return [], False
        of, number, count = found[1], int(found[2]), int(found[3])
        lost = False
        if self._some and (of, number, count) != (self._of, len(self._some) + 1, self._all):
            lost, self._some = True, []
        if number != len(self._some) + 1 or number > count or count > MOST_PIECES:
            self._some = []
            return [], True
        self._of, self._all = of, count
        self._some.append(payload[found.end() :])
        if number < count:
            return [], lost
        whole, self._some = self._some, []
        try:
            messages = _messages.decode(b"".join(b64decode(one, validate=True) for one in whole))
            for message in messages:
                check_message(message, MESSAGE_LIMIT)
        except (binascii.Error, msgspec.MsgspecError, RopewayError):
            return [], True
        return messages, lost


def _gathered(messages: Sequence[Message]) -> Iterator[bytes]:
    some: list[msgspec.Raw] = []
    size = 0
    for message in messages:
        data = _pack(message)
        if some and size + len(data) > TOGETHER:
            yield _pack(some)
            some, size = [], 0
        some.append(msgspec.Raw(data))
        size += len(data)
    if some:
        yield _pack(some)


def _pieces(data: bytes) -> Iterator[bytes]:
    which = os.urandom(8).hex().encode()
    count = -(-len(data) // PIECE)
    for number in range(count):
        yield b"%b.%d.%d.%b" % (which, number + 1, count, b64encode(data[number * PIECE : (number + 1) * PIECE]))


_inherited: list[Ear] = []
_all: weakref.WeakSet[PostgresBus] = weakref.WeakSet()


def _born() -> None:
    for bus in list(_all):
        bus.born()


os.register_at_fork(after_in_child=_born)
