"""Judges a ledger: was anything lost, made up, held by two at once, or handed out after it was done?

Every rule is conservative: what it reports is proven by the ledger, whatever the scheduler did between a call and the line about it. So a
hold begins when the claim is written down (it really began before), and ends when the holder is about to settle it, when its lease ends, or
when its process is about to be killed (it really ended after). A call without an outcome may have been done or not, to the end of time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from .ledger import Line

SETTLING = ("ack", "nack", "bury")


class Violation(Struct, frozen=True):
    """One broken promise: `kind` is one of KINDS, `text` says what the ledger has about it."""

    kind: str
    job_id: str
    text: str


KINDS = {
    "lost": "put had answered, nobody acked it, and it is not in the store",
    "phantom": "handed out or in the store, and nobody ever put it",
    "corrupt": "handed out with another body than it was put with",
    "held twice": "two held it at the same time",
    "again after ack": "handed out by a claim that began after its ack had answered, or still in the store to be handed out",
    "acked twice": "two acks of it were answered with True",
    "stale write": "a receipt counted after another had claimed the job",
    "attempt twice": "two claims of it were counted as the same attempt",
}


class Verdict(Struct):
    """What the ledger proves, and how much it is about."""

    violations: list[Violation]
    figures: dict[str, int]

    def __bool__(self) -> bool:
        return not self.violations

    def count(self, kind: str) -> int:
        return sum(one.kind == kind for one in self.violations)


class Hold(Struct):
    """One claim of one job, for as long as it surely lasted."""

    who: str
    receipt: str
    attempt: int
    digest: str
    called: float
    begin: float
    lease: float  # when it ends, as extended
    settled: float = float("inf")  # when somebody set about to settle it
    end: float = 0.0  # all taken together


class _Job(Struct):
    digest: str = ""
    called: bool = False
    stored: bool = False  # put.ok
    possible: bool = False  # an outcome that nobody knows
    holds: list[Hold] = []
    acks: list[float] = []  # when each ack.ok was written
    ends_unknown: bool = False  # an ack.call without an outcome


def judge(lines: Iterable[Line], left: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on a run. `left` is what the store held when all was over: state by job id."""
    history = _History()
    for line in sorted(lines, key=lambda one: one.at):
        history.take(line)
    history.close()
    return history.verdict(left or {})


class _History:
    def __init__(self) -> None:
        self.jobs: dict[str, _Job] = defaultdict(_Job)
        self.holds: dict[str, tuple[str, Hold]] = {}  # by receipt: whose job
        self.killed: dict[str, float] = {}
        self.open_puts: dict[tuple[str, str], None] = {}
        self.calls: dict[tuple[str, str, str], float] = {}  # settling and extending without an outcome yet
        self.stale: list[Violation] = []
        self.figures: Counter[str] = Counter()

    # -- taking in the lines, by time

    def take(self, line: Line) -> None:
        verb, _, outcome = line.what.partition(".")
        self.figures[line.what] += len(line.ids or line.receipts) or 1
        if verb == "put":
            self._put(line, outcome)
        elif verb == "claim":
            self._claim(line)
        elif verb in SETTLING or verb == "extend":
            for place, receipt in enumerate(line.receipts):
                self._settle(line, verb, outcome, receipt, place)
        elif verb == "kill":
            self.killed.setdefault(line.victim, line.at)

    def _put(self, line: Line, outcome: str) -> None:
        for place, job_id in enumerate(line.ids):
            job, call = self.jobs[job_id], (line.who, job_id)
            if outcome == "call":
                job.called = True
                job.digest = line.digests[place] if line.digests else ""
                self.open_puts[call] = None
                continue
            self.open_puts.pop(call, None)
            job.stored = job.stored or outcome == "ok"
            job.possible = job.possible or outcome == "unknown"

    def _claim(self, line: Line) -> None:
        for place, job_id in enumerate(line.ids):
            hold = Hold(
                line.who,
                line.receipts[place],
                line.attempts[place] if line.attempts else 0,
                line.digests[place] if line.digests else "",
                line.called or line.at,
                line.at,
                line.untils[place] if line.untils else float("inf"),
            )
            self.jobs[job_id].holds.append(hold)
            self.holds[hold.receipt] = job_id, hold

    def _settle(self, line: Line, verb: str, outcome: str, receipt: str, place: int) -> None:
        found = self.holds.get(receipt)
        if found is None:
            return  # a receipt that was made up: its True is no job's
        job_id, hold = found
        call = (line.who, verb, receipt)
        if outcome == "call":
            if verb == "ack" and call in self.calls:  # it is asked again, and the first may have been done all the same
                self.jobs[job_id].ends_unknown = True
            self.calls[call] = line.at
            if verb in SETTLING:
                hold.settled = min(hold.settled, line.at)
            return
        began = self.calls.pop(call, line.at)
        if outcome != "ok":
            return
        if verb == "ack":
            self.jobs[job_id].acks.append(line.at)
        elif verb == "extend" and line.untils:
            hold.lease = max(hold.lease, line.untils[place])
        later = [one for one in self.jobs[job_id].holds if one.attempt > hold.attempt and one.begin < began]
        if later:
            text = f"{verb} of attempt {hold.attempt} by {line.who} was done after {later[0].who} had attempt {later[0].attempt}"
            self.stale.append(Violation("stale write", job_id, text))

    def close(self) -> None:
        """When each hold surely ended; what was never answered stays possible."""
        for _, hold in self.holds.values():
            hold.end = min(hold.lease, hold.settled, self.killed.get(hold.who, float("inf")))
        for _, job_id in self.open_puts:
            self.jobs[job_id].possible = True
        for _, verb, receipt in self.calls:
            if verb == "ack":
                self.jobs[self.holds[receipt][0]].ends_unknown = True

    # -- judging

    def verdict(self, left: Mapping[str, str]) -> Verdict:
        out = list(self.stale)
        for job_id in left:
            self.jobs[job_id]
        for job_id, job in self.jobs.items():
            out += self._existence(job_id, job, left.get(job_id))
            out += self._holding(job_id, job)
        self.figures["redelivered"] = sum(max(0, len(job.holds) - 1) for job in self.jobs.values())
        self.figures["put.maybe"] = sum(job.possible and not job.stored for job in self.jobs.values())
        self.figures["left"] = len(left)
        return Verdict(sorted(out, key=lambda one: (one.kind, one.job_id)), dict(self.figures))

    def _existence(self, job_id: str, job: _Job, state: str | None) -> Iterable[Violation]:
        if (job.holds or state) and not (job.stored or job.possible):
            why = "its put was refused" if job.called else "nobody put it"
            yield Violation("phantom", job_id, f"{why}, {f'and {job.holds[0].who} got it' if job.holds else f'and it is {state}'}")
        if job.stored and not state and not job.acks and not job.ends_unknown:
            last = f"last held by {job.holds[-1].who}" if job.holds else "never handed out"
            yield Violation("lost", job_id, f"put had answered; {last}; not in the store")
        for hold in job.holds:
            if job.digest and hold.digest and hold.digest != job.digest:
                yield Violation("corrupt", job_id, f"put as {job.digest}, {hold.who} got {hold.digest}")
        if len(job.acks) > 1:
            yield Violation("acked twice", job_id, f"{len(job.acks)} acks were answered with True")
        if job.acks and state not in (None, "done"):
            yield Violation("again after ack", job_id, f"acked, and in the end it is {state}")

    def _holding(self, job_id: str, job: _Job) -> Iterable[Violation]:
        for hold in job.holds:
            if job.acks and hold.called > job.acks[0]:
                yield Violation("again after ack", job_id, f"acked at {job.acks[0]:.4f}, {hold.who} asked at {hold.called:.4f} and got it")
        before: Hold | None = None
        for hold in sorted(job.holds, key=lambda one: one.begin):
            if before is not None and hold.begin < min(before.end, hold.end):
                until = min(before.end, hold.end)
                yield Violation("held twice", job_id, f"by {before.who} and {hold.who} from {hold.begin:.4f} to {until:.4f}")
            if before is None or hold.end > before.end:
                before = hold
        for attempt, times in Counter(hold.attempt for hold in job.holds).items():
            if times > 1 and attempt:
                yield Violation("attempt twice", job_id, f"attempt {attempt} was given {times} times")
