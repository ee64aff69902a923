"""`workers`: the list, and orders to real workers; `pause --all` and `resume --all`; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropeway.link import Link
from ropeway.worker.fleet import Notice, notice

from .conftest import Process, Shell
from .test_process import PATIENCE, until

SHOP = """
import time
from pathlib import Path
import ropeway
broker = ropeway.connect()
@broker.task(queue="mails")
def nap(seconds: float) -> None:
    Path(f"began-{seconds}").touch()
    time.sleep(seconds)
@broker.task(queue="mails")
def waits() -> None:
    Path("waits").touch()
    while not Path("go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def seen(name: str, **more: Any) -> Notice:
    return Notice(id=name, host="elsewhere", pid=77, who="elsewhere", started=0.0, at=0.0, **more)


def note(shell: Shell, one: Notice) -> None:
    shell.store.notes.note("worker/" + one.id, notice.pack(one), 1000)


def test_the_list_as_rows_and_as_a_table(shell: Shell) -> None:
    assert shell("workers").out == ""
    job = notice.Current("0" * 32, "mails", "welcome", 5.0)
    note(
        shell,
        seen(
            "web-1-aaaaaa",
            patterns=["mails", "!low"],
            queues=["mails"],
            state="busy",
            slots=4,
            running=2,
            jobs=[job],
            totals={"done": 1234},
        ),
    )
    note(shell, seen("web-2-bbbbbb", patterns=["*"], state="idle\33[31m", slots=1))
    first, second = shell.ok("workers").rows
    assert (first["id"], first["queues"], first["state"]) == ("web-1-aaaaaa", ["mails"], "busy")
    assert (first["jobs"][0]["task"], first["totals"]["done"], first["slots"]) == ("welcome", 1234, 4)
    assert second["queues"] == ["*"]
    assert [row["id"] for row in shell.ok("workers", "web-2").rows] == ["web-2-bbbbbb"]
    table = shell.ok("workers", terminal=True).out
    assert "web-1-aaaaaa" in table
    assert "1,234" in table
    assert "2/4" in table
    assert "\33" not in table
    assert "web-2-bbbbbb" in shell.ok("workers", "-o", "id").out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["workers", "nobody"], 3, "there is no worker 'nobody'"),
        (["workers", "web"], 2, "may be web-1-aaaaaa or web-2-bbbbbb"),
        (["workers", "--stop", "nobody"], 3, "there is no worker"),
        (["workers", "--resize", "web-1"], 2, "--resize takes ID=N"),
        (["workers", "--resize", "web-1=x"], 2, "--resize takes ID=N"),
        (["workers", "--resize", "web-1=0"], 1, "whole number from 1"),
        (["workers", "web-1", "--stop", "web-1"], 2, "which worker is an order for"),
        (["workers", "--ping", "web-1", "--wait", "0.01"], 124, "has not answered"),
        (["pause"], 2, "which queues"),
        (["pause", "mails", "--all"], 2, "leave queues, --put and --claim out"),
        (["resume", "--all", "--put"], 2, "leave queues"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, args: list[str], code: int, said: str) -> None:
    note(shell, seen("web-1-aaaaaa"))
    note(shell, seen("web-2-bbbbbb"))
    answer = shell(*args)
    assert answer.code == code, answer
    assert said in answer.err


def test_pause_all_and_resume_all(shell: Shell) -> None:
    assert shell.ok("pause", "--all", "--reason", "deploy").row == {"all": "paused", "workers": 0}
    link = Link(shell.url, shell.link.clock)
    from ropeway.worker.fleet import switch

    assert switch.paused(link.store if shell.url.startswith("dir") else shell.store) == "deploy"
    assert "everything is paused: deploy" in shell.ok("ls", terminal=True).err
    assert shell.ok("resume", "--all").row == {"all": "resumed", "workers": 0}
    assert switch.paused(shell.store) is None
    assert "paused" not in shell.ok("ls", terminal=True).err
    link.close()


def test_orders_to_workers_of_their_own_processes(process: Process, shop: Path) -> None:
    """Listed, paused, resumed, resized, looked into, ended: each from another process."""
    work = process.start("work", "--app", "shop:broker", "mails", "-c", "2", "--grace", "60")
    until(lambda: process("workers").rows, "it is listed")
    (row,) = process("workers").rows
    assert (row["pid"], row["queues"], row["state"], row["pool"], row["slots"]) == (work.pid, ["mails"], "idle", "thread", 2)
    assert "pong" not in process("workers", "--ping", row["id"]).row["said"]

    assert process("pause", "--all").row["workers"] == 1
    process("put", "mails", "--task", "nap", '{"seconds": 0.01}')
    assert process("workers", "--ping", row["id"]).row["said"].startswith("here: paused")
    assert not (shop / "began-0.01").exists()
    process("resume", "--all")
    until((shop / "began-0.01").exists, "it goes on")

    assert "3 slots, 2 before" in process("workers", "--resize", f"{row['id']}=3").row["said"]
    process("put", "mails", "--task", "waits")
    until((shop / "waits").exists, "a job runs")
    stacks = process("workers", "--stacks", row["id"][:-2]).row["said"]
    assert "shop.py" in stacks
    assert "in waits" in stacks
    (shop / "go").touch()
    until(lambda: json.loads(process("workers").out)["state"] in ("busy", "idle"), "its note says that it goes on")
    assert "ends when its jobs have" in process("workers", "--quiet", "all").row["said"]
    assert work.wait(PATIENCE) == 0
    assert process("workers").rows == []
    assert [row["queue"] for row in process("ls", "-a").rows if not row["queue"].startswith("_orders.")] == ["mails"]
    assert process("ls").rows[0]["ready"] == 0


def test_a_killed_worker_is_gone_from_the_list_at_once_and_its_job_is_done(process: Process, shop: Path) -> None:
    process("put", "mails", "--task", "nap", '{"seconds": 0.5}')
    work = process.start("work", "--app", "shop:broker", "mails")
    until((shop / "began-0.5").exists, "the job runs")
    work.kill()
    work.wait()
    assert process("workers").rows == []
    assert process("work", "--app", "shop:broker", "mails", "--drain").code == 0
    assert process("get", "mails").code == 3


@pytest.mark.parametrize("number", ["1e308", "-1e308", "99999999999999999999999", "-5", "1e-320"])
def test_a_note_that_lies_breaks_no_list(shell: Shell, number: str) -> None:
    """Whoever can write notes can write nonsense."""
    whole = str(int(float(number))) if abs(float(number)) < 1e18 else "9223372036854775807"
    text = (
        f'{{"id":"liar","host":"\\u001b[2J","pid":{whole},"who":"x","started":{number},"at":{number},"cpu":{number},"idle":{number},'
        f'"utilisation":{number},"memory":{whole},"claimed":{number},"answered":{number},"every":{number},"slots":{whole},"running":{whole},'
        f'"totals":{{"done":{whole}}},"patterns":["\\u202e"],"jobs":[{{"id":"\\u0007","queue":"q","since":{number}}}]}}'
    )
    shell.store.notes.note("worker/liar", text.encode(), 100)
    assert [row["id"] for row in shell.ok("workers").rows] == ["liar"]
    table = shell.ok("workers", terminal=True).out
    assert "liar" in table
    assert not set(table) & set("\x1b\x07\u202e")
