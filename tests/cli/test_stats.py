"""`stats`: the report on a terminal and as JSON."""

from __future__ import annotations

from ropeway.history.tally import Tally
from ropeway.testing.clock import FakeClock
from ropeway.worker.fleet import notice
from ropeway.worker.fleet.notice import Notice

from .conftest import Process, Shell


def ended(shell: Shell, queue: str, *, done: int, failed: int = 0, run: float, wait: float) -> None:
    tally = Tally(shell.link, f"test-{queue}")
    with tally.lock:
        tally.turn()
        cell = tally.cell(queue, "send")
        cell.done, cell.failed = done, failed
        cell.runs += [run] * (done + failed)
        cell.waits += [wait] * (done + failed)
    assert tally.write()


def test_rates_and_latencies_by_queue(shell: Shell, clock: FakeClock) -> None:
    shell.put("mails", "x")
    shell.put("films", "x")
    ended(shell, "mails", done=600, failed=30, run=0.0002, wait=0.02)
    ended(shell, "films", done=3, run=200.0, wait=2.0)
    clock.advance(90)
    told = shell.ok("stats").row
    mails = told["queues"]["mails"]
    assert (mails["ready"], mails["oldest_seconds"]) == (1, 90.0)
    assert (mails["windows"]["5m"]["done"], mails["windows"]["5m"]["failed"]) == (600, 30)
    assert mails["windows"]["5m"]["done_per_second"] == 2.0
    assert mails["windows"]["24h"]["done"] == 600
    assert 0.01 < mails["windows"]["1h"]["wait_p50"] <= 0.025
    assert told["windows"]["1h"]["done"] == 603
    lines = shell.ok("stats", "-o", "table").out.splitlines()
    assert lines[0] == "no workers now, 0 ever"
    assert lines[2].split() == [*("QUEUE", "READY", "OLDEST", "SPAN", "DONE", "FAILED"), *("WAIT", "P50", "P95", "RUN", "P50", "P95")]
    assert [line.split()[0] for line in lines[3:]] == ["films", "1h", "24h", "mails", "1h", "24h", "all", "1h", "24h"]
    assert lines[6].split()[:6] == ["mails", "1", "1m30s", "5m", "2/s", "6/min"]
    assert lines[6].split()[-1].endswith("us")


def test_by_pattern(shell: Shell) -> None:
    for queue in ("mail-a", "mail-b", "other"):
        shell.put(queue, "x")
        ended(shell, queue, done=1, run=0.1, wait=0.1)
    assert list(shell.ok("stats", "mail-*").row["queues"]) == ["mail-a", "mail-b"]
    told = shell.ok("stats", "!mail-a").row
    assert list(told["queues"]) == ["mail-b", "other"]
    assert told["windows"]["5m"]["done"] == 2
    assert shell("stats", "nothing-*").code == 3


def test_the_counters_of_each_worker(shell: Shell, clock: FakeClock) -> None:
    clock.advance(60)
    one = Notice(
        id="web-1-aa", host="web", pid=77, who="", started=clock.now() - 60, at=clock.now(), state="busy", slots=4, running=2, held=3,
        queues=["mails"], totals={"claimed": 9, "done": 5, "failed": 1}, memory=3 << 20, idle=0.0, utilisation=0.5, priority=5,
    )  # fmt: skip
    shell.store.notes.note(notice.PREFIX + one.id, notice.pack(one), 60.0)
    told = shell.ok("stats").row
    (worker,) = told["workers"]
    wanted = {
        "assigned": 9, "started": one.started, "uptime": 60.0, "host": "web", "pid": 77, "memory": 3 << 20, "priority": 5, "idle": 0.0,
        "utilisation": 0.5, "queues": ["mails"], "state": "busy",
    }  # fmt: skip
    assert {name: worker[name] for name in wanted} == wanted
    assert told["fleet"] == {
        "workers": 1, "ever": 1, "gone": 0, "hosts": 1, "slots": 4, "running": 2, "held": 3, "assigned": 9, "utilisation": 0.5,
        "memory": 3 << 20, "started": one.started,
    }  # fmt: skip
    assert shell.ok("stats", "-o", "table").out.startswith("1 workers (1 ever) with 4 slots, 2 of them busy; 50 % used so far, 3 MiB")


def test_what_a_real_worker_did(process: Process) -> None:
    for number in range(3):
        assert process("put", "mails", f"{number}").code == 0
    assert process("work", "mails", "--drain", "--", "true").code == 0
    told = process("stats", "mails").row
    assert told["queues"]["mails"]["windows"]["5m"]["done"] == 3
    assert told["queues"]["mails"]["windows"]["5m"]["run_p50"] > 0
    assert (told["fleet"]["workers"], told["fleet"]["ever"]) == (0, 1)
