"""A worker on the workshop's tasks as a process of its own, for tests that signal it: station.py URL JOURNAL [name=value of Worker]..."""

from __future__ import annotations

import json
import sys

from tests.worker import workshop

from ropeway.broker import Broker
from ropeway.link import Link


def main() -> int:
    url, journal, *pairs = sys.argv[1:]
    options = {name: json.loads(value) for name, _, value in (pair.partition("=") for pair in pairs)}
    broker = Broker(Link(url), config=False)
    broker.include(workshop.tasks)
    worker = broker.worker("default", **{"concurrency": 2, **options})
    workshop.say(journal, "up")
    code = worker.run()
    workshop.say(journal, "down", code)
    return code


if __name__ == "__main__":
    sys.exit(main())
