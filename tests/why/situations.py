"""Situations of the job itself: ended, gone, held, not due, waiting for others, switched off."""

from __future__ import annotations

import os

from ropeway import schedule
from ropeway.shell import after
from ropeway.store import Ack, Handback, Query
from ropeway.worker.fleet import switch

from .planting import Planted, situation, ushered
from .stage import HOUR, Stage, host

# -- ends


@situation("done", timeless=True)
def ended_well(stage: Stage) -> Planted:
    job = stage.put(keep=HOUR)
    stage.store.ack([Ack(stage.claim().receipt)])
    return Planted(job, ("1 attempt", "forgotten in "), ("ropeway requeue --queue q --state done",))


@situation("dead", timeless=True)
def given_up(stage: Stage) -> Planted:
    job = stage.put()
    stage.bury(stage.claim(), "SMTPError: 451 try later")
    return Planted(job, ("after 1 attempt", "SMTPError: 451 try later", "host-7:70:w"), (f"ropeway requeue {job}", f"ropeway show {job}"))


@situation("dead-killer")
def killed_its_workers(stage: Stage) -> Planted:
    job = stage.put()
    stage.bury(stage.claim(), "killed 3 workers", "lost")
    return Planted(job, ("killed 3 workers",), (f"ropeway requeue {job}",))


@situation("dead-timeout")
def took_too_long(stage: Stage) -> Planted:
    job = stage.put()
    stage.bury(stage.claim(), "timed out after 30s", "timeout")
    return Planted(job, ("timed out after 30s",), ("more time",))


@situation("dead-discarded")
def nobody_wants_another_try(stage: Stage) -> Planted:
    job = stage.put()
    stage.bury(stage.claim(), "no such user", "discarded")
    return Planted(job, ("no such user",))


@situation("gone", timeless=True)
def deleted(stage: Stage) -> Planted:
    job = stage.put()
    stage.store.delete(Query(ids=(job,), limit=None))
    return Planted(job, ("It was made",), ("ropeway check", "namespace="))


@situation("unknown")
def no_id_of_ours(stage: Stage) -> Planted:
    stage.put()
    return Planted("ab" * 16, ("ab" * 16,))


@situation("other-queue", timeless=True)
def looked_for_elsewhere(stage: Stage) -> Planted:
    job = stage.put("mails", delay=HOUR)
    return Planted(job, ("queue mails, not in q",), (f"ropeway why {job}",), also=("delayed", "no-worker"), queue="q")


# -- leases


@situation("running", timeless=True)
def a_worker_runs_it(stage: Stage) -> Planted:
    job = stage.put()
    worker = stage.worker()
    stage.busy(worker)
    return Planted(job, (worker.post.id, "attempt 1", "its lease ends in "), (f"--stacks {worker.post.id}", f"ropeway cancel {job}"))


@situation("cancel-asked")
def called_back(stage: Stage) -> Planted:
    job = stage.put()
    stage.busy(stage.worker())
    stage.store.notes.note(f"cancel/{job}", b"cancel", HOUR)
    return Planted(job, ("asked to stop it",), also=("running",))


@situation("holder-dead")
def its_worker_died(stage: Stage) -> Planted:
    job = stage.put()
    worker = stage.worker()
    pid, who = stage.dead()
    stage.claim(holder=f"{host()}:{pid}:work")
    stage.note(worker, pid=pid, who=who, name="work", state="busy")
    return Planted(job, (worker.post.id, f"pid {pid}", "died"), ("in 1h", "another worker"))


@situation("holder-dead")
def the_shell_that_took_it_is_gone(stage: Stage) -> Planted:
    job = stage.put()
    pid, _ = stage.dead()
    stage.claim(holder=f"{host()}:{pid}:cli")
    return Planted(job, (f"no process {pid} runs",), ("lease ends in 1h", "ropeway ack, nack or bury RECEIPT"))


@situation("holder-halted")
def its_worker_is_stopped(stage: Stage) -> Planted:
    job = stage.put()
    worker = stage.worker()
    pid, who = stage.halted()
    stage.claim(holder=f"{host()}:{pid}:work")
    stage.note(worker, pid=pid, who=who, name="work", state="busy")
    return Planted(job, (worker.post.id, f"pid {pid}"), (f"kill -CONT {pid}", "in 1h"))


@situation("holder-silent")
def another_host_is_not_heard_of(stage: Stage) -> Planted:
    job = stage.put()
    worker = stage.worker()
    stage.claim(holder="web-9:44:work")
    stage.note(worker, host="web-9", pid=44, who="x", name="work", state="busy", at=stage.now - 90, every=20.0)
    return Planted(job, (worker.post.id, "on web-9", "1m30s ago"), ("in 1h",))


@situation("holder-silent")
def another_host_has_left_no_note(stage: Stage) -> Planted:
    job = stage.put()
    stage.claim(holder="web-9:44:work")
    return Planted(job, ("web-9:44:work",), ("lease ends in 1h",))


@situation("held-outside", timeless=True)
def a_program_holds_it(stage: Stage) -> Planted:
    job = stage.put()
    stage.claim(holder=f"{host()}:{os.getpid()}:own")
    return Planted(job, (f"{host()}:{os.getpid()}:own", "no worker"), ("ends in ",))


# -- time


@situation("expired")
def nobody_wants_it_any_more(stage: Stage) -> Planted:
    job = stage.put(ttl=60.0)
    stage.pass_by(90)
    return Planted(job, ("ttl of 1m", "30s ago"), ("Put it again",))


@situation("delayed", timeless=True)
def for_later(stage: Stage) -> Planted:
    job = stage.put(delay=2 * HOUR)
    stage.worker()
    return Planted(job, ("2h after the put",), (f"--state delayed {job}",))


@situation("tick-ahead", timeless=True)
def ahead_of_its_tick(stage: Stage) -> Planted:
    job = stage.put(delay=HOUR, headers={schedule.HEADER: "nightly", schedule.HEADER_TICK: "2030-01-01T03:00:00Z"})
    stage.worker()
    return Planted(job, ("schedule nightly", "2030-01-01T03:00:00Z"))


@situation("record")
def a_schedule_itself(stage: Stage) -> Planted:
    job = stage.put(schedule.QUEUE, key="nightly", delay=HOUR)
    return Planted(job, ("schedule 'nightly'", "in 1h"), ("ropeway schedule next nightly",))


@situation("retry", timeless=True)
def waits_for_another_try(stage: Stage) -> Planted:
    job = stage.put()
    stage.fail(stage.claim(), "ValueError: 7")
    stage.worker()
    return Planted(job, ("attempt 1 failed", "ValueError: 7"), ("attempt 2 is due in ",))


@situation("snoozed", timeless=True)
def asked_for_more_time(stage: Stage) -> Planted:
    job = stage.put()
    stage.store.nack([Handback(stage.claim().receipt, HOUR, restore=True)])
    stage.worker()
    return Planted(job, ("without a failure",), ("due again in ",))


@situation("waits-for", timeless=True)
def comes_after_another(stage: Stage) -> Planted:
    first = stage.put("other")
    job = stage.put(headers=after.headers([first], []))
    stage.worker()
    return Planted(job, (f"job {first} of other",), (f"ropeway why {first}",))


@situation("waits-for")
def was_given_back_since_it_comes_after_another(stage: Stage) -> Planted:
    first = stage.put("other")
    job = stage.put(headers=after.headers([], [first]))
    ushered(stage, stage.worker()).go(4, 0.0)
    return Planted(job, (first,))


@situation("waits-in-vain", timeless=True)
def comes_after_one_that_failed(stage: Stage) -> Planted:
    first = stage.put("other")
    stage.bury(stage.claim("other"), "exit 1")
    job = stage.put(headers=after.headers([first], []))
    stage.worker()
    return Planted(job, (f"job {first} failed: exit 1",))


# -- switches


@situation("claim-stopped", timeless=True)
def the_queue_is_paused(stage: Stage) -> Planted:
    job = stage.put()
    stage.store.pause(["q"], claim=True, reason="deploy of 4.2")
    return Planted(job, ("queue q", "deploy of 4.2"), ("ropeway resume --claim q",), also=("no-worker",))


@situation("all-paused", timeless=True)
def everything_is_paused(stage: Stage) -> Planted:
    switch.pause(stage.link, "the database moves")
    worker = stage.worker()
    job = stage.put()
    worker.go(4, 0.0)
    return Planted(job, ("the database moves",), ("ropeway resume --all",))


@situation("put-stopped", timeless=True)
def refusing_new_jobs_is_beside_the_point(stage: Stage) -> Planted:
    job = stage.put()
    stage.store.pause(["q"], put=True, reason="full")
    stage.busy(stage.worker())
    return Planted(job, also=("put-stopped",))
