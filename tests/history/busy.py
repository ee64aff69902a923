"""A worker in a process of its own that writes its history every other moment, not each minute: for tests that kill it."""

from __future__ import annotations

import sys

import ropeway
from ropeway.history import tally

tally.EACH = 0.1
tally.LATE = 0.0

broker = ropeway.connect(sys.argv[1])


@broker.task(queue="mails")
def send(number: int) -> None:
    print("sent", number, flush=True)


if __name__ == "__main__":
    broker.worker("mails").run()
