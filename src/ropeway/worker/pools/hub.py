"""The hub: one thread that feeds the children of a process pool, hears what they say, and sees to it that they end when they must.

While jobs are short a child has two frames of them, so that it never waits for the next; from some 20 ms on it has one job. What waits in
a child behind a long one is called back, for another child or for the store. Numbers are given to jobs in the order in which they are
sent, and each child works in that order, so its cell tells of a dead one which job it was in: that one is charged. Those before it have
ended without a word and are charged with that; those after it had not begun, and go back uncounted.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from ...job import Job
from ...tasks import Tasks
from ..appetite import Appetite
from ..inbox import Inbox
from ..judge import Judge
from ..run import NEVER, End, Run, Shift, Verdict
from .clerk import Clerk
from .crew import Crew
from .frames import Answer, Ask, Back, Broken, Ended, Ends, Hello, Ready, Return, Sent, Unready, Work
from .kid import Kid
from .outlet import Outlet
from .wake import Wake

LONG = 0.02  # seconds of a job from which on it is sent alone
FRAME = 0.01  # seconds of work in a frame
MOST, MOST_BYTES = 100, 1 << 20  # in a frame
TICK = 0.05  # between two looks at runs with a timeout, while it is not known when it is over
STALLED = 0.02  # seconds that jobs may wait behind one in a child while another child is idle
TO_END = 1.0  # seconds from SIGTERM to SIGKILL
TO_END_LOST = 2.0


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
        self._report = report
        self._policies = {task.name: task.retry for task in tasks if task.retry is not None}
        self._limits = {task.name: task.timeout for task in tasks if task.timeout is not None}
        self._crew = Crew(slots, tasks, spare=bool(self._limits), max_jobs=max_jobs, max_memory=max_memory)
        self._clerk = Clerk(shift)
        self._pace = Appetite(slots)
        self._orders: deque[Callable[[], object]] = deque()
        self._wake = Wake()
        self._number = 0
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
                self._give_back(run)
            raise
        finally:
            self._crew.dismiss(self._shift.boot())
            self._wake.close()

    def _lap(self) -> None:
        while self._orders:
            self._orders.popleft()()
        now = self._shift.boot()
        crew = self._crew
        if self._shift.stopping and not self._stopping:
            self._stopping = True
            for kid in crew.kids:
                kid.cell.stop()
        crew.fill(now)
        if self._hand:
            self._feed(now)
        hungry, before = not self._hand and crew.idle(), self.hungry
        self.hungry = hungry
        if hungry and not before:
            self._inbox.hungry()
        until = min(self._look(now), crew.next_look(now))
        crew.listen(self._wake)
        with self._wake:
            seconds = 0.0 if self._orders or self._closed else max(0.0, min(until - now, 3600.0))
            if self._hand and crew.takes_more(self._frame()):
                seconds = 0.0
            ready = crew.poll.poll(seconds * 1000)
        for fd, event in ready:
            if (found := crew.by_fd.get(fd)) is None:
                continue
            if event & select.POLLOUT:
                found.flush()
            self._hear(found)
            if found.gone or fd in crew.exits:
                self._bury(found)

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
                if not short or len(kid.outstanding) > size or kid.recalled:
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
            if run.verdict:
                self._overrule(run)
                continue
            self._number += 1
            if not kid.outstanding:
                run.started = now
            kid.outstanding[self._number] = run
            lent, job, path = run.lent, run.lent.job, ""
            run.retry = self._policies.get(job.task)  # for an end that the child cannot tell of
            if job.source is not None:
                path = job.source.path()
                job = msgspec.structs.replace(job, source=None)
            size += len(job.body)
            sent.append(Sent(self._number, job, lent.receipt, lent.attempt, lent.deaths, lent.until, run.taken, path))
        if sent:
            kid.given += len(sent)
            kid.fed = now
            kid.send(Work(sent))
            self._crew.tend(kid, now)

    # Hearing

    def _hear(self, kid: Kid) -> None:
        try:
            for message in kid.read():
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
            self._crew.tend(kid, self._shift.boot())
        elif isinstance(message, Ask):
            self._asked(kid, message)
        elif isinstance(message, Back):
            self._came_back(kid, message.numbers)
        elif isinstance(message, Ready):
            self._crew.ready(kid, message.tasks)
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
        if ask.verb == "post":
            kid.send(Answer(ask.number, self._inbox.post(msgspec.convert(ask.given[0], Job))))
        elif ask.verb == "full":
            kid.send(Answer(ask.number, self._inbox.full()))
        else:
            run = next((run for run in kid.outstanding.values() if ask.verb == "extend" and [run.lent.receipt] == ask.given[0]), None)

            def errand() -> None:
                answer = self._clerk.answer(ask, run)
                self.order(lambda: None if kid.gone else kid.send(answer))

            self._clerk.send(errand)

    # What was called back

    def call_back(self) -> None:
        """Ask for all that has not begun, to give it back to the store."""
        for kid in self._crew.kids:
            if len(kid.outstanding) > 1:
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
                self._give_back(run)
        for run in list(kid.outstanding.values()):
            if run.verdict:
                self.stop(run)  # it had begun meanwhile

    def _give_back(self, run: Run) -> None:
        run.started = 0.0
        if run.verdict:
            self._judge.overruled(run)
        else:
            run.hand_back()
        run.ended = self._shift.boot()
        self._report(run)

    def _overrule(self, run: Run) -> None:
        self._judge.overruled(run)
        run.ended = self._shift.boot()
        self._report(run)

    # Ending runs

    def stop(self, run: Run) -> None:
        """End this one, whose verdict stands: ask it first, so that it can tidy up, and kill its child when it does not."""
        for kid in self._crew.kids:
            for number, one in kid.outstanding.items():
                if one is not run:
                    continue
                if kid.cell.begun()[0] != number:
                    self._recall(kid, to_hand=True)
                elif run.verdict is Verdict.TIMEOUT:
                    kid.kill()
                elif kid.kill_at == NEVER:
                    kid.cell.tell(number, run.verdict)
                    kid.terminate()
                    kid.kill_at = self._shift.boot() + (TO_END_LOST if run.verdict is Verdict.LOST else TO_END)
                return

    def _look(self, now: float) -> float:
        """See to whoever is late; when to look again."""
        until = NEVER
        stalled = False
        for kid in self._crew.kids:
            if now >= kid.kill_at:
                kid.kill_at = NEVER
                kid.kill()
            until = min(until, kid.kill_at)
            if not kid.outstanding or kid.killed:
                continue
            if self._limits:
                until = min(until, self._time(kid, now))
            if kid.pending:
                stalled = True
        if stalled and not self._hand and self._crew.idle():
            for kid in self._crew.kids:
                if kid.pending and now - max(kid.cell.begun()[1], kid.fed) >= STALLED:
                    self._recall(kid, to_hand=True)
            until = min(until, now + STALLED)
        return until

    def _time(self, kid: Kid, now: float) -> float:
        """The deadline of what this child is in: SIGKILL when it is over, once two looks have agreed on it."""
        number, start = kid.cell.begun()
        run = kid.outstanding.get(number)
        limit = None if run is None else self._limits.get(run.lent.job.task)
        if run is None or limit is None:
            return now + TICK
        run.deadline = start + limit
        if now < run.deadline:
            kid.late = 0
            return run.deadline + 0.0005
        if kid.late != number:
            kid.late = number
            return now + 0.001
        run.started = start
        run.verdict = run.verdict or Verdict.TIMEOUT
        kid.kill()
        return NEVER

    # The dead

    def _bury(self, kid: Kid) -> None:
        """This child has ended: every job that it had is accounted for, and charged at most once."""
        if kid not in self._crew.kids:
            return
        if not kid.gone:
            self._hear(kid)  # the exit was seen first, there may be words left
        code = self._crew.bury(kid, self._shift.boot())
        current, start = kid.cell_at_death
        for number, run in list(kid.outstanding.items()):
            if number == current:
                run.started = start
            if run.verdict:
                self._overrule(run)
            elif number < current:
                run.started = run.started or start
                self._judge.failed(run, f"its process ended ({_words(code)}) before it could say how it had gone", outcome="lost")
                run.ended = self._shift.boot()
                self._report(run)
            elif number == current and not kid.killed:
                self._charge(run, code)
            else:
                self._give_back(run)
        kid.outstanding.clear()

    def _charge(self, run: Run, code: int) -> None:
        """The process ended under this job. How often that has happened is asked of the store, beside the hub."""

        def errand() -> None:
            self._judge.crashed(run, f"its process ended: {_words(code)}", self._clerk.crashes(run))
            run.ended = self._shift.boot()
            self._report(run)

        self._clerk.send(errand)

    def resize(self, slots: int) -> None:
        """Have so many children at work."""
        self._crew.slots = slots


def _words(code: int) -> str:
    from ..process import ended

    return ended(code)
