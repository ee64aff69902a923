"""A program with a schedule, for tests that start it many times: each run writes down its tick, its job and which try it was."""

from __future__ import annotations

import os
import sys

import ropeway

url, queue, out = sys.argv[1:4]
broker = ropeway.connect(url, config=False)


@broker.cron("every 1s", catch_up="all")
@broker.task(queue="ticks")
def beat() -> None:
    claim = ropeway.current_claim()
    assert claim is not None
    line = f"{claim.headers['ropeway-tick']} {claim.id} {claim.attempt}\n"
    file = os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


print("ready", flush=True)
sys.exit(broker.worker(queue, concurrency=1, grace=1).run())
