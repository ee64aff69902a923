"""Hosts that share one store over a network: what each of them does, and what is held against them in the end.

A host is a process with workers of its own, `python -m ropeway.testing.proof.hosts ROLE URL FOLDER NAME [BUG]`. Its workers put, claim,
extend, ack and give back. What had an unknown outcome they ask for again, but for a put: once its job is done, the same job put again is
another. Beside them one host puts single jobs with pauses and
another does nothing but wait for them: so it is seen how late a job is found that was put while somebody listed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Lent
from ropeway.stores import open_store

from ..ledger import lines_of, read
from . import audit
from .forks import Child
from .told import Answers, Told

QUEUE, CALM = "line", "calm"
LEASE = 3.0
WORKERS = 2  # of a host
REPEATS = 20
LATEST = 5.0  # seconds from the answer of put until an idle worker of another host has the job
new_id = IdMaker(time.time_ns, os.urandom)


class Folders:
    """What a run is written into, beside the store: the ledger, what went wrong in words, the sign that all is done."""

    def __init__(self, above: Path) -> None:
        self.ledger, self.said, self.stop, self.calm = above / "ledger", above / "said", above / "stop", above / "calm"

    def make(self) -> Folders:
        self.ledger.mkdir()
        self.said.mkdir()
        return self

    def errors(self) -> list[str]:
        """What the workers were told, the same words once."""
        return sorted({line for path in self.said.glob("*") for line in path.read_text().splitlines()})


class Worker:
    """One of them."""

    def __init__(self, url: str, folders: Folders, who: str) -> None:
        self.told = Told(open_store(url), folders.ledger, who)
        self.folders, self.who, self.dice = folders, who, Random(who)

    def say(self) -> None:
        """Write down the errors that were met."""
        if self.told.errors:
            with (self.folders.said / self.who).open("a") as file:
                file.writelines(f"{text}\n" for text in self.told.errors)
            self.told.errors.clear()

    def put(self, jobs: list[Job]) -> None:
        if False in self.told.put(jobs):
            self.told.errors.append("put: a key that nobody has is said to be taken")

    def settle(self, verb: str, lent: Sequence[Lent], delay: float = 0.0) -> None:
        """Until it is answered: an unknown outcome may be asked for again."""
        for _ in range(REPEATS):
            answers: Answers = self.told.ack(lent) if verb == "ack" else self.told.nack(lent, delay)
            if None not in answers:
                return

    def storm(self) -> None:
        """Put and work until the sign is there."""
        dice, told = self.dice, self.told
        while not self.folders.stop.exists():
            self.put([self._job() for _ in range(dice.choice((1, 1, 3, 8)))])
            lent = told.claim(QUEUE, dice.choice((1, 4, 8)), LEASE)
            if lent and dice.random() < 0.1:
                told.extend(lent, LEASE)
            if dice.random() < 0.2:
                time.sleep(dice.uniform(0, 0.05))
            back = dice.randrange(len(lent)) if lent and dice.random() < 0.3 else len(lent)
            if lent[:back]:
                self.settle("ack", lent[:back])
            if lent[back:]:
                self.settle("nack", lent[back:], dice.choice((0.0, 0.1)))
            self.say()
        self.say()
        told.store.close()

    def _job(self) -> Job:
        job_id, dice = new_id(), self.dice
        return Job(
            job_id,
            QUEUE,
            dice.randbytes(dice.choice((20, 20, 20, 5000))),
            delay=dice.choice((0.0, 0.0, 0.0, 0.3)),
            priority=dice.choice((50, 50, 50, 10)),
            key=f"only {job_id}" if dice.random() < 0.1 else "",
        )

    def ping(self) -> None:
        """A single job now and then."""
        while not self.folders.calm.exists():
            self.put([Job(new_id(), CALM, b"ping")])
            time.sleep(self.dice.uniform(0.02, 0.4))
            self.say()
        self.say()

    def wait(self) -> None:
        """Wait for those, and do nothing else, until all are found or it is too late for the last."""
        found: set[str] = set()
        end = float("inf")
        while time.monotonic() < end and not (end < float("inf") and self._pinged() <= found):
            if self._is_rung():
                lent = self.told.claim(CALM, 4, LEASE)
                if lent:
                    self.settle("ack", lent)
                    found.update(one.job.id for one in lent)
            elif end == float("inf") and self.folders.calm.exists():
                end = time.monotonic() + LATEST
            self.say()

    def _is_rung(self) -> bool:
        try:
            return self.told.store.wait([CALM], 0.2)
        except StoreError as error:
            self.told.errors.append(f"wait: {error}")
            return False

    def _pinged(self) -> set[str]:
        lines = (line for path in self.folders.ledger.glob("ping*") for line in lines_of(path))
        return {job_id for line in lines if line.what == "put.ok" for job_id in line.ids}


def host(role: str, url: str, folders: Folders, name: str) -> None:
    """The host's own process: its workers are its children, and end with it where it is the first of its process namespace."""
    if role != "storm":
        worker = Worker(url, folders, name)
        (worker.ping if role == "ping" else worker.wait)()
        return
    open_store(url).close()
    crew = [Child(lambda n=n: Worker(url, folders, f"{name}.{n}").storm()) for n in range(WORKERS)]  # type: ignore[misc]
    for child in crew:
        child.result()


def workers_of(name: str) -> list[str]:
    """The names in the ledger of a host's workers."""
    return [name, *(f"{name}.{n}" for n in range(WORKERS))]


def verdict(url: str, root: Path, folders: Folders) -> list[str]:
    """When all have ended: drain the store by way of this URL, and say what was violated."""
    lines = read(folders.ledger)
    for who in {line.who for line in lines}:
        audit.tell_kill(folders.ledger, who)
    rest = audit.drain(open_store(url), folders.ledger, root)
    return audit.compare(folders.ledger, rest)


def lateness(folders: Folders, since: float = 0.0) -> tuple[int, float, list[str]]:
    """How many single jobs were put since that moment of the boot clock, the longest time until one was handed out, which came too late."""
    put: dict[str, float] = {}
    got: dict[str, float] = {}
    for line in read(folders.ledger):
        if line.what == "put.ok" and line.who.startswith("ping") and line.at > since:
            put.update(dict.fromkeys(line.ids, line.at))
        elif line.what == "claim" and line.who.startswith("wait"):
            got.update({job_id: line.at for job_id in line.ids if job_id not in got})
    times = {job_id: got.get(job_id, float("inf")) - at for job_id, at in put.items()}
    late = [f"{job_id} was found {seconds:.1f} s after its put" for job_id, seconds in times.items() if seconds > LATEST]
    return len(put), max(times.values(), default=0.0), late


def main(role: str, url: str, folder: str, name: str, bug: str = "") -> None:
    """One host, as the command line names it."""
    if bug:
        from .planted import plant

        plant(bug)
    host(role, url, Folders(Path(folder)), name)


if __name__ == "__main__":
    main(*sys.argv[1:])
