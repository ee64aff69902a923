"""The run that kills: producers and workers on one store, SIGKILLed and stopped at random; then the ledger is judged.

    python -m ropeway.testing.kill --processes 20 --jobs 20000

Ends with 0 when nothing was lost, made up, held by two or handed out after its ack; else with 1, and keeps the evidence.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from msgspec import Struct

from ..store import Feature, Query, Store
from ..stores import open_store
from .crew import DONE, Crew, fork, limiter, producer, worker
from .history import KINDS, Verdict, judge
from .ledger import Ledger, last_word, lines_of, read
from .order import crowded, overtaken

SHARE = 200  # jobs a producer puts before it ends and another begins
STUCK = 60.0  # seconds until nobody puts and nobody is killed any more, beyond the patience: a share of jobs takes its time
PAUSE = 0.01  # seconds between two kills, on average


class Plan(Struct):
    """How much is done to whom. `kills` and `stops` are spread over the run; patience is how many seconds may pass without progress."""

    url: str
    processes: int = 20
    jobs: int = 20_000
    kills: int = 200
    stops: int = 10
    seed: int = 1
    lease: float = 2.0
    patience: float = 30.0
    lanes: int = 0  # of each producer
    running: int = 0  # of each of the two queues at once, at most


class Report(Struct):
    """What came of it."""

    verdict: Verdict
    seconds: float
    faults: list[str]  # what `check` of the store and the processes themselves found wrong
    evidence: Path

    def __bool__(self) -> bool:
        return bool(self.verdict) and not self.faults


class Run:
    """One run, as its parent sees it: keeps the crew at its number, and kills it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        open_store(plan.url).close()  # opens nothing; its modules are loaded once, and not by each process that is forked
        self.crew = Crew(plan.url, folder, lease=plan.lease, seed=plan.seed, lanes=plan.lanes)
        self.dice = Random(plan.seed)
        self.ledger = Ledger(folder, "nemesis")
        self.people: dict[int, str] = {}  # by pid
        self.shares: dict[str, int] = {}  # what each producer was to put
        self.asleep: dict[int, float] = {}  # stopped: until when
        self.count = self.kills = self.stops = 0
        self.to_put = plan.jobs
        self.faults: list[str] = []

    def go(self) -> Report:
        """The whole run. Every process it began has ended when it returns or raises."""
        begun = time.monotonic()
        if self.plan.running:
            os.waitpid(fork(self.crew, "limiter", limiter(self.plan.running)), 0)
        try:
            self._put_and_kill()
            left = self._drain()
        finally:
            self._end_all()
        lines = read(self.folder)
        verdict = judge(lines, left)
        self.faults += overtaken(lines)
        if self.plan.running:
            self.faults += crowded(lines, self.plan.running * len(self.crew.queues))
        return Report(verdict, time.monotonic() - begun, self.faults, self.folder)

    # -- the crew

    def _hire(self, role: str) -> None:
        self.count += 1
        who = f"{role}-{self.count}"
        if role == "producer":
            self.shares[who] = min(SHARE, self.to_put)
            self.to_put -= self.shares[who]
            pid = fork(self.crew, who, producer(self.shares[who]))
        else:
            pid = fork(self.crew, who, worker)
        self.people[pid] = who

    def _fill(self) -> None:
        """Keep as many at work as were planned: a quarter of them produce, as long as there is something to put, in step with the kills."""
        wanted = max(1, self.plan.processes // 4)
        producers = sum(who in self.shares for who in self.people.values())
        while self.to_put > 0 and producers < wanted and self._in_step():
            self._hire("producer")
            producers += 1
        while len(self.people) < self.plan.processes - (wanted - producers):
            self._hire("worker")

    def _in_step(self) -> bool:
        """Whether the puts are not ahead of the kills, so that jobs are put, run and drained under fire until the end."""
        plan = self.plan
        return not plan.kills or 1 - self.to_put / plan.jobs <= self.kills / plan.kills

    def _reap(self) -> None:
        for pid in list(self.people):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._gone(pid, os.waitstatus_to_exitcode(status))

    def _gone(self, pid: int, code: int) -> None:
        who = self.people.pop(pid)
        self.asleep.pop(pid, None)
        if code not in (0, -signal.SIGKILL):
            self.faults.append(f"{who} ended with {code}: its traceback is above")
        if who in self.shares:
            self.to_put += max(0, self.shares.pop(who) - self._stored_by(who))

    def _stored_by(self, who: str) -> int:
        path = self.folder / f"{who}.jsonl"
        return sum(len(line.ids) for line in lines_of(path) if line.what == "put.ok") if path.exists() else 0

    # -- the nemesis

    def _put_and_kill(self) -> None:
        plan = self.plan
        self._fill()
        before, since = (0, 0, 0), time.monotonic()
        while self.to_put > 0 or self.shares or self.kills < plan.kills:
            now = (self.to_put, self.count, self.kills)
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() > since + STUCK + plan.patience:
                self.faults.append(f"not done in time: {self.to_put} jobs to put, {plan.kills - self.kills} kills to do")
                return
            time.sleep(self.dice.expovariate(1 / PAUSE))
            self._wake_stopped()
            self._reap()
            if (
                self.stops < plan.stops
                and len(self.asleep) < plan.processes // 4
                and self.stops / plan.stops <= self.kills / max(1, plan.kills)
            ):
                self._stop()
            if self.kills < plan.kills:
                self._kill()
            self._fill()

    def _kill(self) -> None:
        awake = [pid for pid in self.people if pid not in self.asleep]  # the stopped are to wake again
        pid = self.dice.choice((self.dice.random() < 0.5 and self._in_the_midst(awake)) or awake)
        self.ledger.write("kill", victim=self.people[pid])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._gone(pid, -signal.SIGKILL)
        self.kills += 1

    def _stop(self) -> None:
        """Stop a worker past its lease: when it wakes, all its receipts must be void."""
        awake = [pid for pid, who in self.people.items() if who not in self.shares and pid not in self.asleep]
        pid = self.dice.choice(self._in_the_midst(awake) or awake)
        self.ledger.write("stop", victim=self.people[pid])
        os.kill(pid, signal.SIGSTOP)
        self.asleep[pid] = time.monotonic() + self.plan.lease * 1.5 + 1
        self.stops += 1

    def _in_the_midst(self, pids: list[int]) -> list[int]:
        """Those who hold jobs or are about to put some, as far as their ledgers tell: to meet these is what the run is for."""
        return [pid for pid in pids if last_word(self.folder / f"{self.people[pid]}.jsonl") in ("claim", "put.call")]

    def _wake_stopped(self, *, all_of_them: bool = False) -> None:
        for pid, until in list(self.asleep.items()):
            if all_of_them or time.monotonic() > until:
                os.kill(pid, signal.SIGCONT)
                del self.asleep[pid]

    # -- the end

    def _drain(self) -> dict[str, str]:
        """Let the workers finish, with no more faults; what is left in the store then."""
        self._fill()
        store = open_store(self.plan.url)  # the last fork is done
        try:
            self._until_empty(store)
            self._send_home()
            self.faults += [finding.text for finding in store.check() if finding.level == "fault"]
            if Feature.BROWSE not in store.features:
                return {}
            return {entry.job.id: str(entry.state) for entry in store.browse(Query(limit=None))}
        finally:
            store.close()

    def _until_empty(self, store: Store) -> None:
        unfinished, before = -1, time.monotonic()
        while True:
            self._reap()
            self._wake_stopped()
            counts = store.counts().values()
            now = sum(one.ready + one.delayed + one.running for one in counts)
            if not now:
                return
            if now != unfinished:
                unfinished, before = now, time.monotonic()
            if time.monotonic() - before > self.plan.patience:
                self.faults.append(
                    f"{now} jobs wait and nobody gets them: {[one for one in counts if one.ready or one.delayed or one.running]}"
                )
                return
            time.sleep(0.05)

    def _send_home(self) -> None:
        (self.folder / DONE).touch()
        self._wake_stopped(all_of_them=True)
        deadline = time.monotonic() + self.plan.patience
        while self.people and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.01)
        self.faults += [f"{who} did not go home" for who in self.people.values()]

    def _end_all(self) -> None:
        for pid in list(self.people):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self.people[pid]
        self.ledger.close()


def run(plan: Plan, folder: Path) -> Report:
    """Do it, with the evidence in the (empty) folder."""
    return Run(plan, folder).go()


def shown(report: Report) -> str:
    """The report as people read it."""
    figures = report.verdict.figures

    def number(*names: str) -> str:
        return f"{sum(figures.get(name, 0) for name in names):,}"

    void = number("ack.lost", "nack.lost", "extend.lost")
    lines = [
        f"put        {number('put.ok')} answered, {number('put.maybe')} with an outcome that nobody knows",
        f"killed     {number('kill')} processes; {number('stop')} were stopped past their lease",
        f"claimed    {number('claim')}, {number('redelivered')} of them again: after a kill, a stop or a nack",
        f"settled    {number('ack.ok')} acked, {number('nack.ok')} given back, {void} times a receipt was refused as void",
        f"left       {number('left')} jobs in the store at the end",
        f"time       {report.seconds:.1f} s",
        "",
    ]
    lines += [f"{kind:<16} {report.verdict.count(kind):>5}   {meaning}" for kind, meaning in KINDS.items()]
    lines += ["", *(f"{one.kind}: job {one.job_id}: {one.text}" for one in report.verdict.violations[:20])]
    lines += [f"fault: {fault}" for fault in report.faults[:20]]
    lines.append("All promises held." if report else f"BROKEN. The evidence is in {report.evidence}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ropeway.testing.kill", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--url", help="the store (default: a directory of its own, with the default durability)")
    parser.add_argument("--processes", type=int, default=20, help="at work at any time; a quarter of them produce")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--kills", type=int, help="SIGKILLs (default: one for 50 jobs)")
    parser.add_argument("--stops", type=int, help="SIGSTOPs past the lease (default: one for 20 kills)")
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--lanes", type=int, default=0, help="so many of each producer, for all of its jobs: their order is judged, too")
    parser.add_argument("--running", type=int, default=0, help="so many jobs of a queue at once, at most")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what the dice begin with (default: the time; it is printed)")
    parser.add_argument("--short", action="store_true", help="10 processes, 2,000 jobs")
    asked = parser.parse_args(arguments)
    if asked.short:
        asked.processes, asked.jobs = 10, 2_000
    kills = asked.kills if asked.kills is not None else asked.jobs // 50
    stops = asked.stops if asked.stops is not None else kills // 20
    folder = Path(tempfile.mkdtemp(prefix="ropeway-kill-"))
    url = asked.url or f"dir:{folder}/spool"
    (folder / "ledger").mkdir()
    print(f"{asked.processes} processes, {asked.jobs:,} jobs, {kills} kills, {stops} stops on {url}, seed {asked.seed}", flush=True)
    report = run(
        Plan(url, asked.processes, asked.jobs, kills, stops, asked.seed, asked.lease, lanes=asked.lanes, running=asked.running),
        folder / "ledger",
    )
    print(shown(report))
    if report:
        shutil.rmtree(folder)
    return 0 if report else 1


if __name__ == "__main__":
    sys.exit(main())
