"""Clears up behind a dead holder and then takes a job or two: the process whose own death is swept."""

from __future__ import annotations

import sys
from pathlib import Path

from ropeway.stores import open_store

from .audit import unmark
from .scenario import QUEUE
from .told import Told
from .trace import await_tracer


def main(url: str, ledger: str, who: str, bug: str = "") -> None:
    """Give back what the dead hold, take a job or two and ack one: the second process of a step. `bug` plants one first."""
    if bug:
        from .planted import plant

        plant(bug)
    store = open_store(url)
    told = Told(store, Path(ledger), who)
    unmark(Path(url.removeprefix("dir:").partition("?")[0]))
    await_tracer()
    told.ledger.write("begin")
    lent = told.claim(QUEUE, 2, 60.0)
    told.ack(lent[:1])
    told.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
