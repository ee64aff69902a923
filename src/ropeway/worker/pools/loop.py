"""The pool of the event loop: each job is an asyncio task with a context of its own, up to `slots` at once.

The ferry talks to the store in its own thread, so nothing here waits for a disk: claims come over by one `call_soon_threadsafe` each, and
outcomes go back by the inbox. All that happens to a job happens in its task, without callbacks. Deadlines stand in a table that is looked
through every 50 ms. A job that is stopped gets its verdict first and is cancelled then, so one that swallows the cancellation has still
timed out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context

from ...errors import ConfigError
from ...tasks import Tasks
from ..inbox import Inbox
from ..judge import Judge
from ..run import NEVER, Run, Shift, Verdict
from .coroutines import LoopWork
from .groups import Group, Groups, fit
from .pool import expired

TICK = 0.05
GRACE = 5.0  # seconds that a cancelled job gets to end
LEAVING = 1.0  # seconds that tasks which are left over get at the end


class LoopPool:
    """Slots of one event loop: of the caller's own (`adopt`), or of one made here (`host`). `fast`: that one is uvloop's.

    Raises ConfigError when uvloop is asked for and not there."""

    def __init__(self, slots: int, shift: Shift, inbox: Inbox, judge: Judge, tasks: Tasks, *, fast: bool = False) -> None:
        self.slots = slots
        self.stuck = 0
        self._shift = shift
        self._inbox = inbox
        self._judge = judge
        self._work = LoopWork(tasks, judge, self._abandon, self._watch)
        self._hand: deque[Run] = deque()
        self._running: dict[int, Run] = {}  # by id(); who pops a run is the one who reports it
        self._groups = Groups(tasks)
        self._busy = 0  # slots taken; the loop's own count
        self._tasks: dict[int, asyncio.Task[None]] = {}  # of all that go on, the disowned too
        self._deadlines: dict[int, Run] = {}
        self._told: dict[int, float] = {}  # when a run past its deadline was cancelled
        self._sweeping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: Context | None = None
        self._make = _uvloop() if fast else asyncio.new_event_loop

    def open(self) -> None:
        self._context = copy_context()

    def take(self, runs: Sequence[Run]) -> None:
        self._hand.extend(self._groups.sort(runs) if self._groups else runs)
        self._call(self._feed)

    @property
    def crowd(self) -> int:
        return self._groups.crowd

    @property
    def room(self) -> int:
        return self._groups.room

    def stop(self, run: Run) -> bool:
        if run.group is not None:  # a call for several ends when all of them are to
            if not run.group.agreed():
                return True
            run = run.group.runs[0]
        if id(run) not in self._tasks or id(run) in self._work.beside:
            return False
        self._call(self._cancel, id(run))
        return True

    def waiting(self) -> int:
        return len(self._hand) + self._groups.waiting

    def hungry(self) -> bool:
        return not self._hand and self._busy < self.slots

    def recall(self) -> list[Run]:
        back: list[Run] = []
        while True:
            try:
                back.append(self._hand.pop())
            except IndexError:
                return self._groups.recalled(back) if self._groups else back

    def running(self) -> list[Run]:
        return list(self._running.values())

    def disown(self, run: Run) -> bool:
        return self._running.pop(id(run), None) is not None

    def resize(self, slots: int) -> None:
        self.slots = slots
        if self._loop is not None:
            self._call(self._feed)

    def task(self, run: Run) -> asyncio.Task[None] | None:
        """The task that this one runs in, for those who look on."""
        runs = run.group.runs if run.group is not None else (run,)
        return next((self._tasks[id(one)] for one in runs if id(one) in self._tasks), None)

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the jobs in this loop, which somebody else runs."""
        self._loop = loop

    def host(self, work: Callable[[], int]) -> int:
        loop = self._make()
        self.adopt(loop)
        try:
            ended = loop.create_task(aside(work))
            ended.add_done_callback(lambda _: loop.stop())
            loop.run_forever()
            loop.run_until_complete(_end(loop))
            return ended.result()
        finally:
            loop.close()

    def close(self) -> None:
        self._work.close()

    # In the loop

    def _feed(self) -> None:
        """Start what fits."""
        hand = self._hand
        while hand and self._busy < self.slots:
            try:
                run = hand.popleft()
            except IndexError:  # it was recalled
                return
            self._start(run)

    def _start(self, run: Run) -> None:
        now = self._shift.boot()
        if run.group is not None:
            self._busy += 1
            self._go(run, self._gather(run, run.group))
            return
        if run.verdict:
            self._judge.overruled(run)
        elif not expired(run, now, self._shift.lease / 3):
            run.started = now
            self._running[id(run)] = run
            self._busy += 1
            self._go(run, self._drive(run))
            return
        run.ended = now
        self._inbox.report(run)

    def _go(self, run: Run, coroutine: Coroutine[None, None, None]) -> None:
        assert self._loop is not None and self._context is not None
        self._tasks[id(run)] = self._loop.create_task(coroutine, name=run.lent.job.id, context=self._context.copy())

    async def _drive(self, run: Run) -> None:
        await self._work.drive(run)
        self._leave(run)
        if self._running.pop(id(run), None) is not None:
            run.ended = self._shift.boot()
            self._inbox.report(run)
            self._freed()

    async def _gather(self, run: Run, group: Group) -> None:
        """Wait for more of them, then do all in one call."""
        loop, full = asyncio.get_running_loop(), asyncio.Event()
        group.take(self._shift.boot(), lambda: self._call(full.set))
        timer = loop.call_later(max(0.0, group.until - self._shift.boot()), full.set)
        await full.wait()
        timer.cancel()
        now = self._shift.boot()
        start, ended = fit(group.close(), now, self._shift.lease / 3)
        for one in ended:
            if one.verdict:
                self._judge.overruled(one)
        self._report_all(ended)
        for one in start:
            one.started = now
            self._running[id(one)] = one
        if start:
            if start[0] is not run:  # the leader may have ended: the task goes by the name of the first that is left
                self._tasks[id(start[0])] = self._tasks.pop(id(run))
            await self._work.drive_batch(start)
        self._leave(start[0] if start else run)
        left = [one for one in start if self._running.pop(id(one), None) is not None]
        self._report_all(left)
        group.over()
        if left or not start:
            self._freed()

    def _leave(self, run: Run) -> None:
        key = id(run)
        del self._tasks[key]
        if run.deadline != NEVER:
            self._deadlines.pop(key, None)
            self._told.pop(key, None)

    def _report_all(self, runs: Sequence[Run]) -> None:
        now = self._shift.boot()
        for run in runs:
            run.ended = now
            self._inbox.report(run)

    def _freed(self) -> None:
        """A slot has nothing to do any more."""
        self._busy -= 1
        if self._hand:
            self._feed()
        elif self._busy < self.slots:
            self._inbox.hungry()

    def _cancel(self, key: int) -> None:
        task = self._tasks.get(key)
        if task is not None and key not in self._work.beside:
            task.cancel()

    # Deadlines

    def _watch(self, run: Run) -> None:
        self._deadlines[id(run)] = run
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(TICK, self._sweep)

    def _sweep(self) -> None:
        now = self._shift.boot()
        for key, run in list(self._deadlines.items()):
            if now < run.deadline:
                continue
            told = self._told.get(key)
            if told is None:
                run.verdict = run.verdict or Verdict.TIMEOUT
                self._told[key] = now
                self._cancel(key)
            elif now >= told + GRACE:
                del self._deadlines[key]
                self._abandon(run)
        self._sweeping = bool(self._deadlines)
        if self._sweeping:
            asyncio.get_running_loop().call_later(TICK, self._sweep)

    def _abandon(self, run: Run) -> None:
        """It did not end at its timeout, whatever was tried: settle it as timed out, and let it be."""
        ended = [one for one in (run.group.runs if run.group is not None else (run,)) if self.disown(one)]
        for one in ended:
            one.verdict, one.deadline = one.verdict or run.verdict, run.deadline
            self._judge.overruled(one)
        self._report_all(ended)
        if ended:
            self.stuck += 1
            self._call(self._freed)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *args)


async def aside(work: Callable[[], int]) -> int:
    """Call it in a thread of its own, and answer what it answers."""
    import threading

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def run() -> None:
        try:
            code, error = work(), None
        except BaseException as raised:  # noqa: BLE001 - raised where it is awaited
            code, error = 0, raised
        try:
            loop.call_soon_threadsafe(_settle, ended, code, error)
        except RuntimeError:
            pass  # the loop was closed under us: nobody waits any more

    threading.Thread(target=run, name="ropeway-ferry", daemon=True).start()
    return await ended


def _settle(future: asyncio.Future[int], code: int, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(code)
    else:
        future.set_exception(error)


async def _end(loop: asyncio.AbstractEventLoop) -> None:
    """What jobs have left behind: cancelled, and waited for, but not for ever."""
    left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=LEAVING)
    await asyncio.wait_for(loop.shutdown_asyncgens(), LEAVING)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop
    except ImportError:
        raise ConfigError("uvloop is not installed; nothing was started. pip install 'ropeway[uvloop]', or take pool=async") from None
    make: Callable[[], asyncio.AbstractEventLoop] = new_event_loop
    return make
