"""Between the lines and the topics of a store: what is said on one side is heard on the other, and never comes back.

A plain line is a message of the notifier's own topic. `@orders.created {"id": 1}` is one of the topic orders.created; a message of another
topic than its own reaches the lines in that form.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import threading
from collections.abc import Sequence
from uuid import uuid4

from ..broker import Broker
from ..errors import RopewayError
from ..job import TEXT
from ..listening import Listening
from ..message import Message
from ..topic import publish
from ..topics import check_topic
from .hub import Hub
from .lines import LONGEST, harmless

log = logging.getLogger("ropeway.notifier")

MARK = "ropeway-notifier"  # the header that says through which notifier a message came
WAITING = 10_000  # lines that may wait for the store; beyond, they are not published, and that is said
AT_ONCE = 500

_ADDRESSED = re.compile(rb"@([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}) (.*)\Z", re.ASCII | re.DOTALL)


class Bridge:
    """`topic`: of plain lines. `patterns`: which other topics the lines hear of. Two threads: one publishes, one listens."""

    def __init__(self, broker: Broker, topic: str, patterns: Sequence[str]) -> None:
        self._broker = broker
        self._topic = check_topic(topic)
        self._patterns = tuple({topic, *patterns})
        self._name = uuid4().hex
        self._lines: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._listening: Listening | None = None
        self._threads: list[threading.Thread] = []
        self.dropped = 0

    @property
    def url(self) -> str:
        """The store's, without secrets."""
        return self._broker.url

    def start(self, hub: Hub) -> None:
        """From now on. Raises what `Broker.listen` raises."""
        self._listening = self._broker.listen(*self._patterns)
        loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._publish, name="ropeway-notifier-publish", daemon=True),
            threading.Thread(target=self._listen, args=(hub, loop, self._listening), name="ropeway-notifier-listen", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def said(self, lines: list[bytes]) -> None:
        """Lines that a client has said; never waits."""
        for line in lines:
            try:
                self._lines.put_nowait(line)
            except queue.Full:
                self.dropped += 1
                if self.dropped == 1:
                    log.warning("the store is slower than the lines: some are not published")

    def close(self) -> None:
        """Publish what waits, and end."""
        if self._listening is not None:
            self._listening.close()
        self._lines.put(None)
        for thread in self._threads:
            thread.join(10)

    def _publish(self) -> None:
        while (first := self._lines.get()) is not None:
            batch, ended = [first], False
            while len(batch) < AT_ONCE and not ended:
                try:
                    line = self._lines.get_nowait()
                except queue.Empty:
                    break
                if line is None:
                    ended = True
                else:
                    batch.append(line)
            try:
                publish(self._broker.link, [self._message(line) for line in batch])
            except RopewayError as error:
                log.warning("%d lines were not published: %s", len(batch), error)
            if ended:
                return

    def _message(self, line: bytes) -> Message:
        found = _ADDRESSED.match(line)
        topic, text = (found[1].decode(), found[2]) if found else (self._topic, line)
        link = self._broker.link
        return Message(topic, link.new_id(), text, TEXT, {MARK: self._name}, link.clock.now())

    def _listen(self, hub: Hub, loop: asyncio.AbstractEventLoop, listening: Listening) -> None:
        for message in listening:
            if message.headers.get(MARK) != self._name:
                lines = self._told(message)
                try:
                    loop.call_soon_threadsafe(hub.say, lines)
                except RuntimeError:
                    return  # the loop has ended

    def _told(self, message: Message) -> list[bytes]:
        """A message as lines: a body of several lines is several."""
        head = b"" if message.topic == self._topic else b"@%s " % message.topic.encode()
        return [head + harmless(line[:LONGEST]) for line in message.body.splitlines() or [b""]]
