"""What `notify` does: makes messages of an argument or of the lines of stdin, publishes them, says their ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..ids import check_id
from ..job import JSON
from ..message import Message
from ..names import check_headers
from ..topic import publish
from ..topics import check_topic
from .output import Row
from .putting import headers, type_of
from .session import Session
from .verdict import USAGE, Failure


def notify(session: Session, options: dict[str, Any]) -> int:
    """Publish; the exit code."""
    return Notifying(session, options).run()


class Notifying:
    """One run of `notify`."""

    def __init__(self, session: Session, options: dict[str, Any]) -> None:
        self.session = session
        self.topic = check_topic(options["topic"])
        self.body: str | None = options["body"]
        self.split: str | None = options["split"]
        self.headers = check_headers(headers(options["headers"]))
        self.content_type: str = options["content_type"] or (JSON if self.split == "jsonl" else "")
        self.own_id = check_id(options["message_id"]) if options["message_id"] else ""
        if (self.body is None) == (self.split is None):
            raise Failure(
                USAGE,
                f"give a body (ropeway notify {self.topic} 'text'), - for stdin, or --lines, and not two of them; nothing was published",
            )
        if self.own_id and self.split:
            raise Failure(USAGE, "one id cannot stand for many messages; nothing was published")

    def run(self) -> int:
        out = self.session.out
        count = self._print(self._lines() if self.split else self._one())
        if self.split and out.mode == "table":
            self.session.note(f"published {count:,} message{'' if count == 1 else 's'} on {self.topic}")
        return 0

    def _one(self) -> Iterator[Row]:
        if self.body == "-":
            from .reading import stdin

            body = stdin().read()
        else:
            body = os.fsencode(self.body or "")
        yield from self._published([self._message(body, self.own_id)])

    def _lines(self) -> Iterator[Row]:
        from ..bus import MESSAGE_LIMIT
        from .lines import as_they_come, batches
        from .reading import stdin

        found = batches(stdin(), longest=MESSAGE_LIMIT)
        return as_they_come(found, self._messages, self._published, self.session.out.stream.flush, "published")

    def _messages(self, lines: list[bytes], before: int) -> tuple[list[Message], Failure | None]:
        """The messages of these lines, up to the first that is wrong."""
        from .lines import sound

        good, error = sound(lines, before, json=self.split == "jsonl", rest="; it and what follows were not published")
        return [self._message(line) for line in good], error

    def _message(self, body: bytes, own_id: str = "") -> Message:
        link = self.session.link
        return Message(self.topic, own_id or link.new_id(), body, self.content_type or type_of(body), self.headers, link.clock.now())

    def _published(self, messages: list[Message]) -> Iterator[Row]:
        if messages:
            publish(self.session.link, messages, once=bool(self.own_id))
        for message in messages:
            yield {"id": message.id, "topic": message.topic}

    def _print(self, rows: Iterator[Row]) -> int:
        out = self.session.out
        if out.quiet or (self.split and out.mode == "table"):
            return sum(1 for _ in rows)
        return out.rows(rows, lambda rows: (row["id"] for row in rows))
