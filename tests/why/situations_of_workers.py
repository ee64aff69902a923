"""Situations of the workers, of lanes, limits and turns."""

from __future__ import annotations

from ropeway.shell.command import CONTENT_TYPE
from ropeway.store import Handback, Limits

from .planting import Planted, situation, ushered
from .stage import HOUR, Stage

# -- workers


@situation("no-worker", timeless=True)
def no_worker_at_all(stage: Stage) -> Planted:
    return Planted(stage.put(), ("none takes q",), ("ropeway work q",))


@situation("not-for-queue", timeless=True)
def workers_of_other_queues(stage: Stage) -> Planted:
    worker = stage.worker("mails", "web*")
    return Planted(stage.put(), ("no worker takes q", f"{worker.post.id} (mails web*)"), ("ropeway work q",))


@situation("left-out", timeless=True)
def left_out_by_a_pattern(stage: Stage) -> Planted:
    worker = stage.worker("*", "!q")
    return Planted(stage.put(), (f"{worker.post.id} (* !q)",), ("change those patterns",))


@situation("no-subscriber")
def a_message_for_a_group(stage: Stage) -> Planted:
    stage.worker("*")
    return Planted(stage.put("_group.mailer"), ("group mailer",), ("subscribes as mailer",))


@situation("addressee-gone")
def an_order_to_nobody(stage: Stage) -> Planted:
    return Planted(stage.put("_orders.web-1-77-ab12cd"), ("web-1-77-ab12cd",), ("nobody will read it",))


@situation("no-task", timeless=True)
def nobody_knows_its_task(stage: Stage) -> Planted:
    worker = stage.worker(tasks=["bill", "welcome"])
    return Planted(stage.put(task="cancel"), ("task cancel", worker.post.id, "bill, welcome"), ("ropeway pause q",))


@situation("names-no-task")
def no_task_at_all(stage: Stage) -> Planted:
    worker = stage.worker(tasks=["bill"])
    return Planted(stage.put(), (worker.post.id,), ("--task NAME",))


@situation("needs-commands", timeless=True)
def a_command_line_that_nobody_runs(stage: Stage) -> Planted:
    worker = ushered(stage, stage.worker())
    return Planted(stage.put(content_type=CONTENT_TYPE), (worker.post.id,), ("ropeway work q --allow-commands",))


@situation("needs-commands")
def a_command_line_that_was_left_to_others(stage: Stage) -> Planted:
    worker = ushered(stage, stage.worker())
    job = stage.put(content_type=CONTENT_TYPE)
    worker.go(4, 0.0)
    return Planted(job, (worker.post.id,))


@situation("only-commands")
def workers_that_run_command_lines_alone(stage: Stage) -> Planted:
    worker = ushered(stage, stage.worker(), commands=True, others=False)
    return Planted(stage.put(), (worker.post.id,), ("ropeway work q -- COMMAND",))


@situation("workers-dead")
def all_workers_died(stage: Stage) -> Planted:
    pid, who = stage.dead()
    seen = stage.note(stage.worker(), pid=pid, who=who)
    return Planted(stage.put(), (f"{seen.id} (pid {pid})",), ("ropeway work q",))


@situation("workers-halted")
def all_workers_are_stopped(stage: Stage) -> Planted:
    pid, who = stage.halted()
    seen = stage.note(stage.worker(), pid=pid, who=who)
    return Planted(stage.put(), (seen.id,), (f"kill -CONT {pid}",))


@situation("workers-silent")
def no_worker_is_heard_of(stage: Stage) -> Planted:
    seen = stage.note(stage.worker(), host="web-9", who="x", at=stage.now - 600, every=180.0)
    return Planted(stage.put(), (f"{seen.id} on web-9", "10m ago"), ("ropeway check",))


@situation("workers-paused", timeless=True)
def a_worker_was_told_to_pause(stage: Stage) -> Planted:
    worker = stage.worker()
    worker.order("pause")
    return Planted(stage.put(), (worker.post.id,), (f"ropeway workers --resume {worker.post.id}",))


@situation("workers-leaving", timeless=True)
def a_worker_goes_home(stage: Stage) -> Planted:
    stage.put()
    worker = stage.worker(slots=1)
    stage.busy(worker)
    worker.order("quiet")
    return Planted(stage.put(), (worker.post.id,), ("start another worker",))


@situation("workers-full", timeless=True)
def all_slots_are_taken(stage: Stage) -> Planted:
    first = stage.put(task="bill")
    worker = stage.worker(slots=1)
    stage.busy(worker)
    return Planted(stage.put(), ("the only slot of 1 worker", f"job {first} (bill)"), (f"--resize {worker.post.id}=2",))


@situation("suspect")
def workers_died_with_it(stage: Stage) -> Planted:
    job = stage.put()
    for _ in range(2):
        stage.claim(lease=10.0)
        stage.pass_by(11)
    stage.store.nack([Handback(stage.claim().receipt, restore=True)])
    stage.worker()
    return Planted(job, ("2 workers died", "alone"), ("after 3 deaths",))


@situation("not-noticed")
def a_wake_up_was_lost(stage: Stage) -> Planted:
    worker = stage.worker()
    job = stage.put()
    stage.pass_by(40)
    return Planted(job, ("for 40s", worker.post.id, "2 slots free"), (f"--ping {worker.post.id}", "poll="))


@situation("next")
def about_to_begin(stage: Stage) -> Planted:
    worker = stage.worker()
    return Planted(stage.put(), (worker.post.id,), ("within moments",))


# -- lanes, limits and turns


@situation("lane-busy", timeless=True)
def its_lane_is_busy(stage: Stage) -> Planted:
    first, job = stage.put(lane="customer 7"), stage.put(lane="customer 7")
    worker = stage.worker()
    stage.busy(worker)
    return Planted(job, ("'customer 7'", first, worker.link.holder().name), (f"ropeway why {first}",))


@situation("lane-busy", timeless=True)
def all_places_of_its_lane_are_taken(stage: Stage) -> Planted:
    stage.put("other")
    stage.store.limit(["q"], Limits(lane=2))
    one, two, job = (stage.put(lane="l") for _ in range(3))
    stage.busy(stage.worker(slots=3))
    return Planted(job, ("takes 2 jobs at a time", one, two))


@situation("lane-waits", timeless=True)
def the_holder_of_its_lane_waits_for_another_try(stage: Stage) -> Planted:
    first, job = stage.put(lane="l"), stage.put(lane="l")
    stage.fail(stage.claim(), "ValueError: 7")
    stage.busy(stage.worker())
    return Planted(job, (first, "has failed 1 time", "in "), (f"ropeway delete {first}", f"--state delayed {first}"))


@situation("lane-waits", timeless=True)
def the_holder_of_its_lane_asked_for_more_time(stage: Stage) -> Planted:
    first, job = stage.put(lane="l"), stage.put(lane="l")
    stage.store.nack([Handback(stage.claim().receipt, HOUR, restore=True)])
    stage.busy(stage.worker())
    return Planted(job, (first, "given back for later"))


@situation("lane-behind", timeless=True)
def others_of_its_lane_go_first(stage: Stage) -> Planted:
    stage.store.limit(["q"], Limits(running=1))
    stage.put()
    stage.busy(stage.worker(slots=3))
    first, _, job = (stage.put(lane="l") for _ in range(3))
    return Planted(job, ("2 jobs of the lane 'l' go first", first), also=("limit",))


@situation("limit", timeless=True)
def the_queue_is_at_its_limit(stage: Stage) -> Planted:
    stage.store.limit(["q"], Limits(running=1))
    first = stage.put()
    stage.busy(stage.worker(slots=3))
    return Planted(stage.put(), ("runs 1 job at once at most", first), ("ropeway limit q --running N",))


@situation("behind", timeless=True)
def others_go_first(stage: Stage) -> Planted:
    stage.worker()
    stage.put(priority=5)
    stage.put()
    stage.put()
    job = stage.put()
    stage.put()
    return Planted(job, ("3 ready jobs go first in q", "1 of a more urgent priority, 2 due earlier"), ("top(id)",))


@situation("clocks-differ")
def the_clock_of_a_worker_is_ahead(stage: Stage) -> Planted:
    seen = stage.note(stage.worker(), host="web-9", who="x", at=stage.now + 120)
    job = stage.put()
    assert seen.host == "web-9"
    return Planted(job, also=("clocks-differ",))
