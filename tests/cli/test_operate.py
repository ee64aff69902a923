"""`requeue`, `delete`, `cancel`, `move`: by id, by filter, from stdin; what cannot be is said and left alone."""

from __future__ import annotations

import pytest

from ropeway.handle import CANCEL
from ropeway.job import Attempt, Job, State
from ropeway.store import Ack, Handback, Holder, Query
from ropeway.testing.clock import FakeClock

from .conftest import Shell

HOLDER = Holder("host:7:test")
UNKNOWN = "0" * 32


def states(shell: Shell, queue: str = "q") -> dict[str, str]:
    """State by id."""
    return {entry.job.id: str(entry.state) for entry in shell.store.browse(Query(queues=(queue,), limit=None))}


def one_of_each(shell: Shell, error: str = "SMTP 450 busy") -> dict[str, str]:
    """A job in each state; its id by state."""
    jobs = [Job(shell.link.new_id(), "q", b"%d" % n, keep=600.0) for n in range(4)]
    later = Job(shell.link.new_id(), "q", b"later", delay=90.0)
    shell.store.put([*jobs, later])
    done, dead, running = shell.store.claim(["q"], 3, 30.0, HOLDER)
    shell.store.ack([Ack(done.receipt)])
    now = shell.link.clock.now()
    shell.store.bury([Handback(dead.receipt, attempt=Attempt(1, now, now, "w", "failed", error))])
    return {"ready": jobs[3].id, "delayed": later.id, "running": running.job.id, "dead": dead.job.id, "done": done.job.id}


def test_requeue_by_filter_means_the_dead(shell: Shell) -> None:
    ids = one_of_each(shell)
    assert shell.ok("requeue", "--queue", "q", "--error", "SMTP 4").row == {"requeued": 1}
    assert states(shell)[ids["dead"]] == "ready"
    assert states(shell)[ids["done"]] == "done"
    assert shell.ok("requeue", "-Q", "q", "--state", "done", "--state", "delayed").row == {"requeued": 2}
    assert shell.ok("requeue", "-Q", "*").row == {"requeued": 0}


def test_requeue_by_id_gives_a_new_life(shell: Shell) -> None:
    ids = one_of_each(shell)
    wanted = [ids["dead"], ids["done"], ids["delayed"]]
    assert shell.ok("requeue", *wanted).row == {"requeued": 3}
    found = {entry.job.id: entry for entry in shell.store.browse(Query(ids=tuple(wanted)))}
    assert {entry.state for entry in found.values()} == {State.READY}
    assert found[ids["dead"]].attempts == 0


def test_ids_flow_from_one_command_to_the_next(shell: Shell) -> None:
    ids = one_of_each(shell)
    listed = shell.ok("jobs", "--error", "SMTP 4", "-o", "id")
    assert shell.ok("requeue", "-", stdin=listed.stdout).row == {"requeued": 1}
    as_lines = shell.ok("jobs", "--state", "ready")
    assert shell.ok("delete", "-", stdin=as_lines.stdout).row == {"deleted": 2}
    assert ids["dead"] not in states(shell)


def test_delete_leaves_what_runs(shell: Shell) -> None:
    ids = one_of_each(shell)
    refused = shell("delete", ids["running"], ids["dead"], UNKNOWN)
    assert refused.code == 6
    assert refused.row == {"deleted": 1}
    assert f"{ids['running']} is running" in refused.err
    assert f"{UNKNOWN} is not in this store" in refused.err
    assert shell.ok("delete", "--queue", "q", "--state", "delayed").row == {"deleted": 1}
    assert shell.ok("delete", "--queue", "q").row == {"deleted": 2}
    assert states(shell) == {ids["running"]: "running"}


def test_a_person_is_asked_before_a_deletion_by_filter(shell: Shell) -> None:
    one_of_each(shell)
    no = shell("delete", "-Q", "q", terminal=True, stdin=b"n\n")
    assert no.code == 1
    assert "delete 4 jobs? [y/N]" in no.err
    assert len(states(shell)) == 5
    assert shell("delete", "-Q", "q", "-y", terminal=True).out == "deleted 4 jobs\n"


def test_a_dry_run_lists_and_changes_nothing(shell: Shell) -> None:
    ids = one_of_each(shell)
    before = states(shell)
    for verb, expected in (
        (["requeue"], {"dead"}),
        (["delete"], {"ready", "delayed", "dead", "done"}),
        (["cancel"], {"ready", "delayed", "running"}),
        (["move", "--to", "other"], {"ready", "delayed"}),
    ):
        rows = shell.ok(*verb, "--queue", "q", "--dry-run").rows
        assert {row["id"] for row in rows} == {ids[state] for state in expected}, verb
    assert states(shell) == before


def test_cancel(shell: Shell) -> None:
    ids = one_of_each(shell)
    answer = shell("cancel", *ids.values(), UNKNOWN)
    assert answer.code == 6
    assert answer.row == {"cancelled": 3}
    assert states(shell) == {ids["running"]: "running", ids["dead"]: "dead", ids["done"]: "done"}
    assert CANCEL + ids["running"] in shell.store.notes.notes(CANCEL)
    assert f"{ids['dead']} is dead" in answer.err


@pytest.mark.parametrize("verb", [["requeue"], ["delete"], ["cancel"], ["move", "--to", "x"]])
def test_all_of_a_store_is_never_meant_by_mistake(shell: Shell, verb: list[str]) -> None:
    one_of_each(shell)
    before = states(shell)
    nothing = shell(*verb)
    assert nothing.code == 2
    assert "which jobs?" in nothing.err
    assert shell(*verb, "0" * 32, "--queue", "q").code == 2
    assert shell(*verb, "nonsense").code == 2
    assert shell(*verb, UNKNOWN).code == 3
    assert states(shell) == before


def test_wrong_states_are_refused(shell: Shell) -> None:
    one_of_each(shell)
    for args in (["requeue", "-Q", "q", "-s", "ready"], ["delete", "-Q", "q", "-s", "running"], ["move", "-Q", "q", "-s", "done", "--top"]):
        assert shell(*args).code == 2


def taken(shell: Shell) -> list[str]:
    """The bodies in the order in which they come out."""
    return shell("get", "q", "-n", "99", "--lines").out.split()


def test_to_the_top_is_the_next_one_out(shell: Shell, clock: FakeClock) -> None:
    """lpr's topq: whatever priority stands in front, and whoever was put there before."""
    for body, priority in (("a", "50"), ("b", "0"), ("c", "0"), ("d", "10"), ("e", "99")):
        shell.put("q", body, "-p", priority)
    late = shell.put("q", "late", "-d", "1h")
    by_body = {row["body"]: row["id"] for row in shell.ok("jobs", "q").rows}
    assert shell.ok("move", by_body["e"], "--top").row == {"moved": 1}
    assert [row["body"] for row in shell.ok("peek", "q").rows] == ["e"]
    clock.advance(0.01)
    shell.ok("move", late, by_body["d"], "--top")
    assert [row["body"] for row in shell.ok("peek", "q").rows] == ["late"]
    clock.advance(0.01)
    assert taken(shell) == ["late", "d", "e", "b", "c", "a"]


def test_to_the_top_counts_no_attempt(shell: Shell) -> None:
    shell.put("q", "a", "-p", "0")
    wanted = shell.put("q", "b")
    shell.ok("move", wanted, "--top")
    assert [entry.attempts for entry in shell.store.browse(Query())] == [0, 0]


def test_what_does_not_wait_cannot_be_moved(shell: Shell) -> None:
    ids = one_of_each(shell)
    answer = shell("move", ids["running"], ids["done"], "--top")
    assert answer.code == 6
    assert "is running" in answer.err
    assert "is done" in answer.err
    assert answer.row == {"moved": 0}


def test_to_another_priority(shell: Shell) -> None:
    shell.put("q", "a")
    second = shell.put("q", "b")
    later = shell.put("q", "c", "-d", "1h")
    shell.ok("move", second, later, "-p", "1")
    found = {entry.job.id: entry for entry in shell.store.browse(Query())}
    assert {found[second].job.priority, found[later].job.priority} == {1}
    assert found[later].state is State.DELAYED
    assert found[later].due == pytest.approx(shell.link.clock.now() + 3600, abs=1)
    assert taken(shell) == ["b", "a"]


def test_to_another_moment(shell: Shell, clock: FakeClock) -> None:
    job_id = shell.put("q", "a")
    shell.ok("move", job_id, "--delay", "10m")
    assert shell("get", "q").code == 3
    clock.advance(601)
    assert shell.ok("get", "q").row["body"] == "a"


def test_to_another_queue(shell: Shell) -> None:
    ids = one_of_each(shell)
    assert shell.ok("move", ids["ready"], ids["dead"], "--to", "slow").row == {"moved": 2}
    assert sorted(states(shell, "slow").values()) == ["ready", "ready"]
    assert shell.ok("move", "--queue", "q", "--grep", "later", "--to", "slow").row == {"moved": 1}
    assert sorted(states(shell)) == sorted([ids["running"], ids["done"]])


def test_move_wants_one_direction(shell: Shell) -> None:
    job_id = shell.put("q", "a")
    assert shell("move", job_id).code == 2
    assert shell("move", job_id, "--top", "--to", "x").code == 2
    assert shell("move", job_id, "--to", "../x").code == 2
    assert list(states(shell)) == [job_id]


def test_a_queue_where_ids_are_asked_for_is_told_how_it_is_named(shell: Shell) -> None:
    for verb in ("requeue", "delete", "cancel"):
        answer = shell(verb, "mails", "--state", "dead")
        assert answer.code == 2
        assert "'mails' is no job id; a queue is named by --queue 'mails'" in answer.err


def test_many_are_given_another_place_many_at_a_time(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.ok("put", "mails", "--lines", stdin=b"x\n" * 2500)
    picks: list[int] = []
    kind = type(shell.store)
    pick = kind.pick
    monkeypatch.setattr(kind, "pick", lambda store, queue, ids, *more: (picks.append(len(ids)), pick(store, queue, ids, *more))[1])
    assert shell.ok("move", "--queue", "mails", "--priority", "70").row == {"moved": 2500}
    assert picks == [1000, 1000, 500]
    assert {row["priority"] for row in shell.ok("jobs", "mails", "--limit", "3000").rows} == {70}
