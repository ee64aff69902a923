"""What idle workers cost: `./dev bench ENGINE --fleet [N]`. So many processes with a worker each, no job, and what they ask of the server.

Statements are those that the server has counted for the fleet's own database (PostgreSQL: transactions, which here are one statement
each), for the run's own server (Redis: commands), or for everybody (MariaDB: so nobody else may use it meanwhile).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .places import Place, places
from .systems.urls import url

HOME = Path(__file__).resolve().parent.parent
SETTLED = 45.0  # seconds until all have looked, wait, and the server has counted what they did before
WATCHED = 30.0
ALLOWED = 5.0  # statements a second, of a hundred
SHARE = 0.3  # percent of a core, each


def main(engine: str, workers: int, server: str | None, above: str) -> int:
    """Print what so many idle workers cost, and what a hundred would."""
    with places(engine, "plain", above, server, large=False) as (place,):
        room = place.room("full" if engine != "redis" else "os")
        command = [sys.executable, "-m", "bench.fleet", url(engine, room, "full")]
        fleet = [subprocess.Popen(command, cwd=HOME) for _ in range(workers)]
        try:
            time.sleep(SETTLED)
            before, cpu, began = _statements(place, room), sum(map(_cpu, fleet)), time.monotonic()
            time.sleep(WATCHED)
            after, spent, took = _statements(place, room), sum(map(_cpu, fleet)) - cpu, time.monotonic() - began
            gone = sum(one.poll() is not None for one in fleet)
        finally:
            for one in fleet:
                one.kill()
                one.wait()
            place.leave([room])
    print(f"{place.what}; {workers} idle workers, a process each, watched for {took:.0f} s")
    if gone:
        print(f"{gone} of them ended: nothing can be said")
        return 1
    if before is not None and after is not None:
        asked = (after - before) / took
        print(f"statements a second: {asked:.2f}; of a hundred: {asked / workers * 100:.2f} (at most {ALLOWED:.0f})")
    print(f"processor: {spent / took / workers * 100:.2f} % of a core each (at most {SHARE} %)")
    return 0


def _statements(place: Place, room: str) -> int | None:
    """How many the server has counted so far; None where there is no server."""
    counted = getattr(place, "statements", None)
    return counted(room) if counted else None


def _cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time that a process has taken."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(address: str) -> None:
    from ropeway.broker import connect

    broker = connect(address, config=False)
    broker.worker("mails").run()


if __name__ == "__main__":
    _work(sys.argv[1])
