"""A worker as a process of its own, for tests that kill it: program.py URL. With "call" behind it: a caller that dies."""

from __future__ import annotations

import os
import signal
import sys

from ropeway.calls.mailroom import mailroom
from ropeway.link import Link
from ropeway.tasks import Tasks
from ropeway.worker import Worker

from .functions import register


def main() -> int:
    """Work until told to stop; or be a caller that dies."""
    link = Link(sys.argv[1], name="elsewhere")
    tasks = register(Tasks(link))
    if sys.argv[2:] == ["call"]:
        add = tasks.get("add")
        assert add is not None
        call = add.options(timeout=600).begin(1)
        print(mailroom(link).queue, call.id, flush=True)
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
    return Worker(link, tasks, ["default"], concurrency=2).run()


if __name__ == "__main__":
    sys.exit(main())
