"""`schedule`, and the options of `put` about time and keys, as far as one process can show them."""

from __future__ import annotations

import pytest

from ropeway.link import Link
from ropeway.store import Query
from ropeway.testing.clock import FakeClock
from ropeway.worker.planter import Planter

from .conftest import Shell


def planted(shell: Shell, queue: str = "q") -> list[bytes]:
    """The bodies of the jobs that are there once a planter has looked."""
    link = Link(shell.url, shell.link.clock)
    Planter(link, lambda: False, pytest.fail).look()
    link.close()
    return [entry.job.body for entry in shell.store.browse(Query(queues=(queue,), limit=None))]


def test_add_look_and_remove(shell: Shell, clock: FakeClock) -> None:
    row = shell.ok("schedule", "add", "beat", "every 10s", "q", "tick").row
    told = {"name": "beat", "state": "on", "expression": "every 10s", "tz": "UTC", "catch_up": "last", "queue": "q", "source": "operator"}
    assert {name: row[name] for name in told} == told
    assert shell.ok("schedule", "ls").rows == [row]
    assert shell.ok("schedule", "ls", "beat", "-o", "id").out == "beat\n"
    assert "beat" in shell.ok("schedule", "ls", terminal=True).out
    clock.advance(10)
    assert planted(shell) == [b"tick"]
    assert shell.ok("schedule", "rm", "beat", "beat").row == {"deleted": 1}  # named twice, it is one
    assert shell.ok("schedule", "ls").out == ""


def test_all_that_may_be_said(shell: Shell, clock: FakeClock) -> None:
    more = ["-p", "3", "--ttl", "1h", "--keep", "1d", "--lane", "l", "-H", "a=b", "--catch-up", "all"]
    shell.ok("schedule", "add", "n", "0 3 * * *", "q", "[1]", "--task", "nightly", "--tz", "Europe/Berlin", *more)
    clock.advance(86400)
    planted(shell)
    job = shell.store.browse(Query(queues=("q",)))[0].job
    assert (job.body, job.task, job.priority, job.keep, job.lane, job.content_type) == (
        b"[1]",
        "nightly",
        3,
        86400,
        "l",
        "application/json",
    )
    assert job.headers.keys() == {"a", "ropeway-schedule", "ropeway-tick"}
    assert 3600 <= job.ttl <= 3606


def test_without_a_queue_the_default_one(shell: Shell) -> None:
    assert shell.ok("schedule", "add", "n", "@daily", "--task", "nightly").row["queue"] == "default"


def test_add_twice(shell: Shell) -> None:
    shell.ok("schedule", "add", "n", "@daily", "q", "a")
    assert shell("schedule", "add", "n", "@hourly", "q", "b").code == 6
    assert shell.ok("schedule", "add", "n", "@hourly", "q", "b", "--replace").row["expression"] == "@hourly"
    assert shell.ok("schedule", "edit", "n", "every 5m", "--catch-up", "none").row["catch_up"] == "none"
    assert shell.ok("schedule", "edit", "n", "--tz", "Asia/Tokyo").row["tz"] == "Asia/Tokyo"


def test_pause_resume_and_run(shell: Shell) -> None:
    for name in "ab":
        shell.ok("schedule", "add", name, "@daily", "q", name)
    assert [row["state"] for row in shell.ok("schedule", "pause", "a", "b").rows] == ["paused", "paused"]
    assert "paused" in shell.ok("schedule", "ls", terminal=True).out
    assert [row["next"] for row in shell.ok("schedule", "ls").rows] == [None, None]
    assert shell.ok("schedule", "resume", "a").row["state"] == "on"
    row = shell.ok("schedule", "run", "b").row
    assert row["queue"] == "q"
    assert shell.ok("show", row["id"]).row["headers"] == {"ropeway-schedule": "b"}


def test_next(shell: Shell) -> None:
    shell.ok("schedule", "add", "a", "0 3 * * *", "q", "x", "--tz", "Europe/Berlin")
    shell.ok("schedule", "add", "b", "every 1h", "q", "x")
    rows = shell.ok("schedule", "next", "-n", "2").rows
    assert [row["name"] for row in rows] == ["b", "b", "a", "a"]
    assert rows[2]["local"].endswith("03:00:00+01:00")
    assert [row["next"] for row in shell.ok("schedule", "next", "30 2 * * *", "--tz", "UTC").rows] == ["2027-01-16T02:30:00.000Z"]
    assert "Berlin" in shell.ok("schedule", "next", "a", terminal=True).out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["add", "n", "* * *", "q", "x"], 2, "3 fields"),
        (["add", "n", "@daily", "q", "x", "--tz", "Mars"], 2, "time zone"),
        (["add", "n", "@daily"], 2, "takes NAME EXPRESSION"),
        (["add", "n", "0", "3", "*", "*", "*"], 2, "Quote the expression"),
        (["add", "a/b", "@daily", "q", "x"], 2, "is no name"),
        (["edit", "n", "@daily"], 3, "there is no schedule"),
        (["rm", "n"], 3, "there is no schedule"),
        (["run", "n"], 3, "there is no schedule"),
        (["next", "n"], 3, "there is no schedule"),
        (["ls", "n"], 3, "there is no schedule"),
        (["pause"], 2, "which schedule"),
        (["rm", "n", "--tz", "UTC"], 2, "means nothing"),
        (["list"], 2, "ls"),
    ],
)
def test_what_is_wrong_is_one_line(shell: Shell, args: list[str], code: int, said: str) -> None:
    answer = shell("schedule", *args)
    assert (answer.code, answer.err.count("\n")) == (code, 1), answer
    assert said in answer.err
    assert shell.ok("schedule", "ls").out == ""


# -- put


def test_put_replace(shell: Shell) -> None:
    first = shell.put("q", "old", "-k", "k", "-d", "1h")
    assert shell("put", "q", "new", "-k", "k").code == 6
    assert shell.put("q", "new", "-k", "k", "--replace") == first
    assert shell.ok("get", "q", "--raw").stdout.rstrip(b"\n") == b"new"
    assert shell("put", "q", "x", "--replace").code == 2


def test_put_debounce(shell: Shell, clock: FakeClock) -> None:
    for body in "abc":
        shell.put("q", body, "-k", "k", "--debounce", "10s", "--debounce-max", "30s")
        clock.advance(9)
    assert shell("get", "q").code == 3
    shell.put("q", "d", "-k", "k", "--debounce", "10s", "--debounce-max", "30s")
    assert shell("get", "q").code == 3
    clock.advance(4)
    assert shell.ok("get", "q", "--raw").stdout.rstrip(b"\n") == b"d", "30 seconds after the first of them"
    assert shell("put", "q", "x", "--debounce", "10s").code == 2


def test_put_unique_for(shell: Shell, clock: FakeClock) -> None:
    shell.put("q", "a", "-k", "k", "--unique-for", "10m")
    shell.ok("get", "q")
    assert shell("put", "q", "a", "-k", "k").code == 6
    clock.advance(601)
    shell.put("q", "a", "-k", "k")


def test_put_front(shell: Shell, clock: FakeClock) -> None:
    shell.put("q", "urgent", "-p", "0")
    shell.put("q", "usual")
    shell.put("q", "first", "--front")
    clock.advance(1)
    got = [shell.ok("get", "q", "--raw").stdout.rstrip(b"\n") for _ in range(3)]
    assert got == [b"first", b"urgent", b"usual"]
    assert shell("put", "q", "x", "--front", "-d", "1m").code == 2


def test_put_at_comes_at_its_moment(shell: Shell, clock: FakeClock) -> None:
    shell.put("q", "later", "--at", f"@{int(clock.now()) + 60}")
    assert shell("get", "q").code == 3
    clock.advance(61)
    assert shell.ok("get", "q", "--raw").stdout.rstrip(b"\n") == b"later"


def test_put_ttl_is_not_given_out_when_it_is_over(shell: Shell, clock: FakeClock) -> None:
    shell.put("q", "fish", "--ttl", "10s", "-d", "5s")
    clock.advance(11)
    assert shell("get", "q").code == 3


def test_taken_out_by_what_they_hold(shell: Shell) -> None:
    """Dequeue by content, by task, by key."""
    for body, more in (("ada", []), ("bob", []), ("x", ["--task", "t"]), ("y", ["-k", "k"])):
        shell.put("q", body, *more)
    assert shell.ok("delete", "--queue", "q", "--grep", "ada", "-y").row == {"deleted": 1}
    assert shell.ok("delete", "--task", "t", "-y").row == {"deleted": 1}
    assert shell.ok("delete", "--key", "k", "-y").row == {"deleted": 1}
    assert shell.ok("get", "q", "--raw").stdout.rstrip(b"\n") == b"bob"
