"""Causes of a job that is held: who runs it, whether that process lives, and when its lease ends."""

from __future__ import annotations

import os
import re

from ..living import start_time
from .codes import Cause, cause
from .crew import Life, Seen
from .facts import Facts

FRESH = 1.0  # seconds for which a lease that has ended may wait for the next look


def held(facts: Facts) -> list[Cause]:
    """Who holds it, and until when."""
    entry = facts.entry
    host, pid, name = _parts(entry.holder)
    same = [one for one in facts.workers if (one.notice.host, one.notice.pid, one.notice.name) == (host, pid, name)]
    worker = next((one for one in same if any(job.id == entry.job.id for job in one.notice.jobs)), same[0] if same else None)
    out = (
        [cause("cancel-asked", "its worker has been asked to stop it", "it ends when its function heeds that, or by itself")]
        if facts.cancel_asked
        else []
    )
    until = facts.when(entry.due)
    if entry.due < facts.now - FRESH:
        text = f"its lease ended {until} and was not renewed: {_who(entry.holder)} has lost it"
        return [*out, cause("lease-over", text, "it comes back when somebody next claims from the queue, or looks at it")]
    return [*out, _by(facts, worker, until) if worker else _by_nobody_known(facts, host, pid, until)]


def _by(facts: Facts, worker: Seen, until: str) -> Cause:
    """A worker of this store has it."""
    job_id, seen = facts.entry.job.id, worker.notice
    back = f"it comes back as soon as another worker looks at {facts.queue}, at the latest when its lease ends {until}"
    if worker.life is Life.DEAD:
        return cause("holder-dead", f"worker {seen.id} (pid {seen.pid} on this host) died while it held the job", back)
    if worker.life is Life.HALTED:
        text = f"worker {seen.id} (pid {seen.pid} on this host) was stopped by a signal, and nothing in it goes on"
        return cause("holder-halted", text, f"kill -CONT {seen.pid} lets it go on; else the job comes back when its lease ends {until}")
    if worker.life is Life.SILENT:
        text = f"worker {seen.id} on {seen.host} was last heard of {facts.when(seen.at)}, and should have been since"
        return cause(
            "holder-silent", text, f"if it is dead the job comes back when its lease ends {until}; if it lives, it renews the lease"
        )
    began = next((job.since for job in seen.jobs if job.id == job_id), None)
    if began is not None:
        text = f"worker {seen.id} has run it {facts.since(began)}"
    else:
        text = f"worker {seen.id} has it: begun since its last note ({facts.when(seen.at)}), or next in its hand"
    return cause(
        "running",
        f"{text}; attempt {facts.entry.attempts}; its lease ends {until}, and is renewed while it runs",
        f"it ends when its run does. Where it stands: ropeway workers --stacks {seen.id}. To stop it: ropeway cancel {job_id}",
    )


def _by_nobody_known(facts: Facts, host: str, pid: int, until: str) -> Cause:
    """No worker's note fits the holder."""
    holder, here = _who(facts.entry.holder), host == re.sub(r"[^A-Za-z0-9._-]", "_", os.uname().nodename)[:64]
    hand = "Whoever has its receipt can end it sooner: ropeway ack, nack or bury RECEIPT"
    if here and pid and start_time(pid) is None:
        text = f"{holder} claimed it, and no process {pid} runs on this host any more"
        return cause(
            "holder-dead", text, f"it comes back when its lease ends {until}, or sooner if the claim was bound to that process. {hand}"
        )
    if here or not host:
        text = (
            f"{holder} claimed it, which is no worker of this store: a program of its own, a server's client, or a person with ropeway get"
        )
        return cause("held-outside", text, f"it comes back when its lease ends {until}, unless that is renewed. {hand}")
    text = f"{holder} claimed it, and no worker there tells of itself any more"
    return cause("holder-silent", text, f"it comes back when its lease ends {until}, unless that is renewed. {hand}")


def _parts(holder: str) -> tuple[str, int, str]:
    """Host, pid and name out of "host:pid:name"; nothing for what is otherwise."""
    host, _, rest = holder.partition(":")
    pid, _, name = rest.partition(":")
    return (host, int(pid), name) if pid.isascii() and pid.isdigit() and len(pid) < 12 else ("", 0, "")


def _who(holder: str) -> str:
    return holder or "somebody"
