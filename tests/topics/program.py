"""A publisher or a member of groups as a process of its own, for tests that kill it: program.py publish|work URL FOLDER [GROUP]..."""

from __future__ import annotations

import os
import sys

from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.message import Message
from ropeway.tasks import current_claim


def main() -> int:
    """Publish for ever, and write down the id of each message when it was acknowledged; or handle messages, and write those down."""
    what, url, folder, *groups = sys.argv[1:]
    broker = Broker(Link(url), config=False)
    journal = os.open(f"{folder}/{what}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if what == "publish":
        number = 0
        while True:
            sent = broker.topic(f"t.{number % 5}").publish_many(range(number, number + 1 + number % 3))
            os.write(journal, "".join(f"{message.id}\n" for message in sent).encode())
            number += 1

    for group in groups:

        @broker.subscribe("t.*", group=group)
        def hear(message: Message) -> None:
            claim = current_claim()
            assert claim is not None
            os.write(journal, f"{claim.job.queue.removeprefix('_group.')} {message.id}\n".encode())

    return broker.worker("default", concurrency=2, lease=5).run()


if __name__ == "__main__":
    sys.exit(main())
