"""The bus of a server: what is published is one request, and each listener hears the server's events, coming back where it was cut off."""

from __future__ import annotations

import base64
import binascii
import http.client
import os
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ...bus import MESSAGE_LIMIT, Heard, NoBus
from ...buses.hearers import UNKNOWN, Hearer
from ...buses.reconnect import keep_listening
from ...errors import NotAllowed, RopewayError, StoreError
from ...message import Message, check_message
from ...store import Feature
from .wire import BROKEN, Wire

SILENCE = 50.0  # seconds without a word of a server that says one each 15 s
LINE = 3 * MESSAGE_LIMIT  # bytes of one line: a message in base64, and its headers
TOGETHER = 8 << 20  # bytes of bodies that are one request


class Told(Struct):
    """A message as the server's events tell it."""

    topic: str
    id: str
    body_base64: str
    content_type: str
    headers: dict[str, str] = {}
    at: float = 0.0


_told = msgspec.json.Decoder(Told)
_missed = msgspec.json.Decoder(dict[str, int])


class RemoteBus:
    """Each listener has a connection and a thread of its own. After a fork the child has none of them."""

    def __init__(self, wire: Wire, url: str, features: Callable[[], frozenset[Feature]], call: Callable[..., Any]) -> None:
        self._wire = wire
        self._url = url
        self._features = features
        self._call = call
        self._ears: set[Ear] = set()
        self._closed = False
        _all.add(self)

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            check_message(message, MESSAGE_LIMIT)
        self._need()
        some: list[Message] = []
        size = 0
        for message in messages:
            if some and size + len(message.body) > TOGETHER:
                self._call("publish", some)
                some, size = [], 0
            some.append(message)
            size += len(message.body) + 512
        if some or not messages:
            self._call("publish", some)

    def listen(self, patterns: Sequence[str], heard: Heard) -> Callable[[], None]:
        hearer = Hearer(patterns, heard)
        self._need()
        if self._closed:
            raise StoreError(f"{self._url} was closed; nothing was done", definite=True)
        ear = Ear(self._wire, hearer)
        ear.open()
        self._ears.add(ear)

        def end() -> None:
            hearer.end()
            ear.close()
            self._ears.discard(ear)

        return end

    def _need(self) -> None:
        """Unsupported where the server's own store has no topics."""
        if Feature.TOPICS not in self._features():
            NoBus(self._url).publish(())

    def close(self) -> None:
        self._closed = True
        for ear in list(self._ears):
            ear.hearer.end()
            ear.close()
        self._ears.clear()

    def born(self) -> None:
        """In a forked child: what listens is the parent's."""
        _inherited.extend(self._ears)  # kept as they are: their sockets are closed with this process, and not ended
        self._ears = set()


class Stream:
    """One answer of the server that does not end: its events, as they come."""

    def __init__(self, wire: Wire, response: http.client.HTTPResponse) -> None:
        self.response = response
        self.sock: socket.socket | None = response.ropeway.sock  # type: ignore[attr-defined]
        self._wire = wire

    def close(self) -> None:
        self._wire.drop(self.response)


class Ear:
    """Who listens to one stream of events after the other."""

    def __init__(self, wire: Wire, hearer: Hearer) -> None:
        self.hearer = hearer
        self._wire = wire
        self._path = f"/v1/topics/{quote(','.join(hearer.patterns), safe=',*')}/events?body=base64"
        self._last = ""
        self._ended = False
        self._pipe = os.pipe()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name="ropeway-remote-topics", daemon=True)

    def open(self) -> None:
        """Answers when the server has said that it listens. Raises StoreError, NotAllowed."""
        try:
            self._connect()
        except BaseException:
            self._shut()
            raise
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        try:
            os.write(self._pipe[1], b"x")
            if (stream := self._stream) is not None and stream.sock is not None:
                stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _connect(self) -> Stream:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last} if self._last else {})
        stream = Stream(self._wire, self._wire.open("GET", self._path, None, headers))
        if stream.sock is None:
            stream.close()
            raise StoreError("the answer came on a line that closes behind it, as of HTTP/1.0; nobody listens", definite=True)
        self._stream = stream
        try:
            stream.sock.settimeout(SILENCE)
            while (event := self._event(stream.response))[0] != "listening":
                self._tell(*event)
        except BROKEN as error:
            stream.close()
            raise StoreError(f"the server ended the stream ({error}); nobody listens", definite=True) from None
        return stream

    def _again(self) -> Stream:
        try:
            return self._connect()
        except NotAllowed:  # the token is over, or was taken back: perhaps it is given again
            self.hearer.tell((), UNKNOWN)
            raise

    def _listen(self, stream: Stream) -> None:
        while not self._ended:
            self._tell(*self._event(stream.response))

    def _run(self) -> None:
        broken, refused = (*BROKEN, StoreError, AttributeError), (RopewayError,)
        keep_listening(self._stream, self._again, self._listen, lambda: self._ended, self._pipe[0], broken, refused=refused)
        self._shut()

    def _event(self, response: http.client.HTTPResponse) -> tuple[str, bytes]:
        """The next event: its kind, and what it says. Raises OSError, HTTPException."""
        kind, data, last = "", b"", ""
        while True:
            line = response.readline(LINE)
            if not line.endswith(b"\n"):
                raise http.client.IncompleteRead(line)
            line = line.rstrip(b"\r\n")
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data = data + b"\n" + value if data else value
                if len(data) > LINE:
                    raise http.client.LineTooLong("event")
            elif name == b"event":
                kind = value.decode("ascii", "replace")
            elif name == b"id":
                last = value.decode("ascii", "replace")[:100]
            elif not line and (kind or data):
                self._last = last or self._last
                return kind, data

    def _tell(self, kind: str, data: bytes) -> None:
        try:
            if kind == "missed":
                count = _missed.decode(data)["missed"]
                self.hearer.lose(count)
            elif kind in ("", "message"):
                told = _told.decode(data)
                body = base64.b64decode(told.body_base64, validate=True)
                message = Message(told.topic, told.id, body, told.content_type, told.headers, told.at)
                self.hearer.tell([check_message(message, MESSAGE_LIMIT)])
        except (msgspec.MsgspecError, binascii.Error, KeyError, UnicodeDecodeError, RopewayError):
            self.hearer.tell((), UNKNOWN)  # of a server that is no such server, or of another release

    def _shut(self) -> None:
        if self._stream is not None:
            self._stream.close()
        for end in self._pipe:
            os.close(end)


_inherited: list[Ear] = []
_all: weakref.WeakSet[RemoteBus] = weakref.WeakSet()


def _born() -> None:
    for bus in list(_all):
        bus.born()


os.register_at_fork(after_in_child=_born)
