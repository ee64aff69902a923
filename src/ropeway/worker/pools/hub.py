"""The hub: one thread that feeds the children of a process pool, hears what they say, and sees to it that they end when they must.

While jobs are short a child has two frames of them, so that it never waits for the next; from some 20 ms on it has one job. What waits in
a child behind a long one is called back, for another child or for the store. How runs end that their child does not end is the warden's
business (warden.py), and how many children there are the crew's (crew.py).
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import RopewayError
from ...job import Job
from ...tasks import Tasks
from ..appetite import Appetite
from ..inbox import Inbox
from ..judge import Judge
from ..run import NEVER, End, Run, Shift, Verdict
from .clerk import Clerk
from .crew import Crew
from .frames import Answer, Ask, Back, Batch, Broken, Ended, Ends, Hello, Look, Ready, Return, Seen, Sent, Unready, Work
from .groups import Group, Groups, fit
from .kid import Kid
from .outlet import Outlet
from .wake import Wake
from .warden import Warden

LONG = 0.02  # seconds of a job from which on it is sent alone
FRAME = 0.01  # seconds of work in a frame
MOST, MOST_BYTES = 100, 1 << 20  # in a frame
LOOKING = 1.0  # seconds that children have to show themselves


class Looking:
    """Somebody looks at the children: whom he has asked, and what they have shown."""

    def __init__(self) -> None:
        self.number = 0
        self.asked: tuple[int, ...] = ()
        self.answers: dict[int, Any] = {}
        self.begun = False
        self.ended = threading.Event()

    def take(self, pid: int, view: bytes) -> None:
        """One has answered."""
        if pid:
            self.answers[pid] = msgspec.json.decode(view) if view else None
        if self.begun and all(pid in self.answers for pid in self.asked):
            self.ended.set()


class Hub:
    """Started by `start`, which waits for the first child. `nudge`, `order`, `pending`, `hungry` are for other threads; all else is its
    own thread's, which the orders are done in."""

    def __init__(
        self,
        slots: int,
        shift: Shift,
        inbox: Inbox,
        judge: Judge,
        tasks: Tasks,
        hand: deque[Run],
        groups: Groups,
        report: Callable[[Run], None],
        *,
        max_jobs: int | None,
        max_memory: int | None,
    ) -> None:
        self.hungry = False
        self._shift = shift
        self._inbox = inbox
        self._judge = judge
        self._hand = hand
        self._groups = groups
        self._gathering: list[Group] = []
        self._report = report
        self._policies = {task.name: task.retry for task in tasks if task.retry is not None}
        limits = {task.name: task.timeout for task in tasks if task.timeout is not None}
        self._crew = crew = Crew(slots, tasks, spare=bool(limits), max_jobs=max_jobs, max_memory=max_memory)
        self._clerk = clerk = Clerk(shift)
        self._warden = Warden(crew, shift, judge, groups, clerk, limits, lambda kid: self._recall(kid, to_hand=True), report)
        self._pace = Appetite(slots)
        self._orders: deque[Callable[[], object]] = deque()
        self._wake = Wake()
        self._number = 0
        self._looks: dict[int, Looking] = {}
        self._closed = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    # For others

    def start(self, hello: Hello, outlet: Outlet) -> str:
        """Begin, and wait for a child that is ready; "" or why there is none."""
        self._crew.hire(hello, outlet)
        self._thread = threading.Thread(target=self._run, name="ropeway-hub", daemon=True)
        self._thread.start()
        self._crew.settled.wait()
        return self._crew.error

    def nudge(self) -> None:
        """There is something in the hand."""
        self.hungry = False
        self._wake.ring()

    def order(self, order: Callable[[], object]) -> None:
        """Have this done by the hub's own thread."""
        self._orders.append(order)
        self._wake.ring()

    def pending(self) -> int:
        """How many jobs were sent and have not begun, as far as is known here."""
        return sum([kid.pending for kid in self._crew.kids])

    def look(self, what: str) -> list[tuple[int, Any]]:
        """What each child shows of itself, by its pid; None of one that does not answer within LOOKING. For other threads, and not for
        the hub's own."""
        looking = Looking()
        self.order(lambda: self._begin(looking, what))
        looking.ended.wait(LOOKING)
        self.order(lambda: self._looks.pop(looking.number, None))
        return [(pid, looking.answers.get(pid)) for pid in looking.asked]

    def pid(self, run: Run) -> int | None:
        """The process that this one was sent to."""
        return next((kid.pid for kid in self._crew.kids if any(one is run for one in list(kid.outstanding.values()))), None)

    def close(self) -> None:
        """End the children: those at rest by themselves, the others by force."""
        self._closed = True
        self._wake.ring()
        if self._thread is not None:
            self._thread.join(10.0)
        self._clerk.close()

    # The thread

    def _run(self) -> None:
        try:
            while not self._closed:
                self._lap()
        except BaseException:  # a fault of ours: its children end with this thread, and their jobs go back
            self._crew.fail("the hub of the process pool failed")
            for kid in self._crew.kids:
                kid.kill()
            for run in [run for kid in self._crew.kids for run in kid.outstanding.values()]:
                self._warden.give_back(run)
            raise
        finally:
            self._crew.dismiss(self._shift.boot())
            self._wake.close()

    def _lap(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            self._pass_on_the_stop()  # before what follows from it: a run that is ended learns that its worker stops
            order()
        self._pass_on_the_stop()
        now = self._shift.boot()
        crew = self._crew
        crew.fill(now)
        if self._gathering:
            self._batches(now)
        if self._hand:
            self._feed(now)
            self._batches(now)
        hungry, before = not self._hand and crew.idle(), self.hungry
        self.hungry = hungry
        if hungry and not before:
            self._inbox.hungry()
        until = min(self._warden.look(now), crew.next_look(now))
        for group in self._gathering:
            until = min(until, group.until) if group.until > now else until
        crew.listen(self._wake)
        with self._wake:
            seconds = 0.0 if self._orders or self._closed else max(0.0, min(until - now, 3600.0))
            if (self._hand and crew.takes_more(self._frame(), now)) or (self._full() and crew.idle()):
                seconds = 0.0
            ready = crew.poll.poll(seconds * 1000)
        for fd, event in ready:
            if (found := crew.by_fd.get(fd)) is None:
                continue
            if event & select.POLLOUT:
                found.flush()
            self._hear(found, dry=fd in crew.exits)
            if (found.gone or fd in crew.exits) and found in crew.kids:
                self._warden.bury(found)

    def _pass_on_the_stop(self) -> None:
        if self._shift.stopping and not self._stopping:
            self._stopping = True
            for kid in self._crew.kids:
                kid.cell.stop()

    # Feeding

    def _frame(self) -> int:
        """How many jobs go into a frame now."""
        mean = self._pace.mean
        return 1 if mean >= LONG else max(1, min(MOST, int(FRAME / max(mean, 1e-6))))

    def _feed(self, now: float) -> None:
        hand, crew, size = self._hand, self._crew, self._frame()
        short = self._pace.mean < LONG
        kids = crew.fit()
        for kid in kids:
            if not hand:
                return
            if kid.outstanding:
                if not short or len(kid.outstanding) > size or kid.recalled or kid.batch or kid.stalled(now):
                    continue
            elif crew.busy() >= crew.slots:
                continue  # the spare
            self._send(kid, min(size, crew.left(kid), -(-len(hand) // len(kids))), now)

    def _send(self, kid: Kid, most: int, now: float) -> None:
        sent: list[Sent] = []
        size = 0
        while len(sent) < most and size < MOST_BYTES:
            try:
                run = self._hand.popleft()
            except IndexError:
                break
            if run.group is not None:
                self._gather(run.group, now)
            elif run.verdict:
                self._warden.overrule(run)
            else:
                if not kid.outstanding:
                    run.started = now
                if (one := self._numbered(kid, run)) is not None:
                    sent.append(one)
                    size += len(one.job.body)
        if sent:
            self._give(kid, Work(sent), len(sent), now)

    def _numbered(self, kid: Kid, run: Run) -> Sent | None:
        """The job as it is sent; None when its body cannot be had, and the run has ended with that."""
        lent, job, path = run.lent, run.lent.job, ""
        run.retry = self._policies.get(job.task)  # for an end that the child cannot tell of
        if job.source is not None:
            try:
                path = job.source.path()
            except (OSError, RopewayError) as error:
                self._judge.raised(run, error)
                run.ended = self._shift.boot()
                self._report(run)
                return None
            job = msgspec.structs.replace(job, source=None)
        self._number += 1
        kid.outstanding[self._number] = run
        return Sent(self._number, job, lent.receipt, lent.attempt, lent.deaths, lent.until, run.taken, path)

    def _give(self, kid: Kid, message: Work | Batch, count: int, now: float) -> None:
        kid.given += count
        kid.fed = now
        kid.batch = isinstance(message, Batch)
        kid.send(message)
        self._crew.tend(kid, now)

    # Several in one call

    def _gather(self, group: Group, now: float) -> None:
        self._gathering.append(group)
        group.take(now, self._wake.ring)

    def _full(self) -> bool:
        return any(group.is_full for group in self._gathering)

    def _batches(self, now: float) -> None:
        """Those that are full, or have waited, each to a child that is idle."""
        for group in list(self._gathering):
            if not group.is_full and now < group.until:
                continue
            kid = next((kid for kid in self._crew.fit() if not kid.outstanding), None)
            if kid is None or self._crew.busy() >= self._crew.slots:
                return
            self._gathering.remove(group)
            start, ended = fit(group.close(), now, self._shift.lease / 3)
            for run in ended:
                if run.verdict:
                    self._judge.overruled(run)
                run.ended = now
                self._report(run)
            for run in start:
                run.started = now
            if sent := [one for run in start if (one := self._numbered(kid, run)) is not None]:
                kid.group = group
                self._give(kid, Batch(sent), len(sent), now)
            else:
                group.over()

    # Hearing

    def _hear(self, kid: Kid, *, dry: bool) -> None:
        try:
            for message in kid.read(dry=dry):
                self._heard(kid, message)
        except Broken as error:
            self._crew.warn("a child of the process pool said what nobody understands (%s), and is ended", error)
            kid.kill()
            kid.gone = True

    def _heard(self, kid: Kid, message: object) -> None:
        if isinstance(message, Ends):
            spent = [ended.ended - ended.started for ended in message.runs if ended.started]
            for ended in message.runs:
                self._ended(kid, ended)
            if spent:
                self._pace.ended(len(spent), sum(spent))
            self._next(kid)
            if kid.group is not None and not kid.outstanding:
                kid.over()
            self._crew.tend(kid, self._shift.boot())
        elif isinstance(message, Ask):
            self._asked(kid, message)
        elif isinstance(message, Back):
            self._came_back(kid, message.numbers)
        elif isinstance(message, Ready):
            self._crew.ready(kid, message.tasks)
        elif isinstance(message, Seen):
            if (looking := self._looks.get(message.number)) is not None:
                looking.take(kid.pid, message.view)
        elif isinstance(message, Unready):
            kid.error = message.error

    def _ended(self, kid: Kid, ended: Ended) -> None:
        run = kid.outstanding.pop(ended.number, None)
        if run is None:
            return
        kid.done += 1
        if run.verdict and not kid.leaving:
            kid.kill_at = NEVER
        run.started, run.ended = ended.started, ended.ended
        run.end, run.handback, run.stale, run.doubt = End(ended.end), ended.handback, ended.stale, ended.doubt
        run.result, run.result_type, run.failure = ended.result, ended.result_type, ended.failure
        if run.caller is not None:
            run.caller.said = ended.said
        if run.verdict and not (run.verdict is Verdict.RETURNED and run.end is End.DONE):
            self._judge.overruled(run)
        self._report(run)

    def _next(self, kid: Kid) -> None:
        """The first that is left has begun by now, or is about to."""
        for run in kid.outstanding.values():
            run.started = run.started or self._shift.boot()
            return

    def _asked(self, kid: Kid, ask: Ask) -> None:
        if ask.verb == "full":
            kid.send(Answer(ask.number, self._inbox.full()))
        elif ask.verb == "post":
            try:
                part = msgspec.convert(ask.given[0], Job)
            except (msgspec.ValidationError, IndexError) as error:
                kid.send(Answer(ask.number, None, str(error), "BadBody"))
            else:
                kid.send(Answer(ask.number, self._inbox.post(part)))
        else:
            run = next((run for run in kid.outstanding.values() if ask.verb == "extend" and [run.lent.receipt] == ask.given[0]), None)

            def errand() -> None:
                answer = self._clerk.answer(ask, run)
                self.order(lambda: None if kid.gone else kid.send(answer))

            self._clerk.send(errand)

    def _begin(self, looking: Looking, what: str) -> None:
        self._number += 1
        looking.number = self._number
        self._looks[looking.number] = looking
        looking.asked = tuple(kid.pid for kid in self._crew.kids if kid.ready and not kid.gone)
        for kid in self._crew.kids:
            if kid.pid in looking.asked:
                kid.send(Look(looking.number, what))
        looking.begun = True
        looking.take(0, b"")

    # What was called back

    def call_back(self) -> None:
        """Ask for all that has not begun, to give it back to the store."""
        for kid in self._crew.kids:
            if len(kid.outstanding) > 1 and not kid.batch:
                self._recall(kid, to_hand=False)

    def _recall(self, kid: Kid, *, to_hand: bool) -> None:
        kid.to_hand = kid.to_hand and to_hand if kid.recalled else to_hand
        if not kid.recalled:
            kid.recalled = True
            kid.send(Return())

    def _came_back(self, kid: Kid, numbers: list[int]) -> None:
        kid.recalled = False
        kid.given -= len(numbers)
        for number in sorted(numbers, reverse=True):
            run = kid.outstanding.pop(number, None)
            if run is None:
                continue
            run.started = 0.0
            if kid.to_hand and not run.verdict and not self._shift.stopping:
                self._hand.appendleft(run)
            else:
                self._warden.give_back(run)
        for run in list(kid.outstanding.values()):
            if run.verdict:
                self.stop(run)  # it had begun meanwhile

    def stop(self, run: Run) -> None:
        """End this one, whose verdict stands."""
        self._warden.stop(run)

    def resize(self, slots: int) -> None:
        """Have so many children at work."""
        self._crew.slots = slots
