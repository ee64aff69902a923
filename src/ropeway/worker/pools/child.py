"""A child of the process pool: loads the program's tasks, runs the jobs that its worker sends, one at a time, and reports.

Jobs run in the main thread, where libraries and signals want to be. A second thread hears the worker. When the worker dies, so does the
child: the kernel sees to it, and the end of the socket does where the kernel cannot.

SIGTERM alone means nothing here: whoever stops a whole service sends it to all of its processes at once, and what runs has its grace then.
It counts when the worker has written into the cell which run is to end. SIGINT is the worker's alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from types import FrameType
from typing import Any

from ...hooks import call
from ...link import Link
from ...store import Lent
from ...tasks import Task, Tasks
from .. import app
from ..execution import TaskWork, applied
from ..inbox import Bell
from ..judge import Judge
from ..notebook import hear, told
from ..replies import attend, runnable
from ..run import Run, Verdict
from .cell import Cell
from .far import FarRun, FarShift, Line, keep_memory_out
from .frames import (
    Answer,
    Back,
    Batch,
    Buffer,
    Ended,
    Ends,
    FromChild,
    Hello,
    Leave,
    Look,
    Ready,
    Return,
    Seen,
    Sent,
    Unready,
    Work,
    framed,
    to_child,
)
from .pool import expired

LATE = 0.002  # seconds for which an outcome may wait for others
SHORT = 0.001  # runs of a task that take longer on average do not keep earlier outcomes waiting
_READ = 1 << 18
_PR_SET_PDEATHSIG = 1
_PROTOCOL_ERROR = 70


def configured(link: Link, hello: Hello) -> Link:
    """The link, which knows of the queues what the worker knows: its configuration may not be found from here."""
    queues = {name: said.settings() for name, said in hello.queues.items()}
    link.settings_of = queues.get
    return link


class Told(BaseException):
    """Raised in a job that the worker ends. Not an Exception, so that a job which catches those does not catch this."""


class Child:
    """One child, from its first message to its last."""

    def __init__(self, connection: socket.socket, cell: Cell) -> None:
        self._socket = connection
        self._cell = cell
        self._sending = threading.Lock()
        self._jobs: deque[list[Sent]] = deque()  # one job, or a batch, an item
        self._bell = Bell()
        self._hello: Hello | None = None
        self._leave = False
        self._line = Line(self.send)
        self._shift: FarShift | None = None
        self._ends: list[Ended] = []
        self._reported = 0.0
        self._means: dict[str, float] = {}

    def send(self, message: FromChild) -> None:
        """From any thread. The worker is always reading, so this does not block for long."""
        with self._sending:
            self._socket.sendall(framed(message))

    def run(self) -> int:
        threading.Thread(target=self._hear, name="ropeway-child", daemon=True).start()
        while self._hello is None:
            self._bell.wait(60.0)
        try:
            keep_memory_out()
            hello = self._hello
            hear()
            tasks = app.reload(hello.app, lambda: configured(Link(hello.url), hello))
            work = self._work(self._hello, tasks)
        except BaseException as error:  # noqa: BLE001 - whatever the program does at its import: the worker says so
            from ...failure import traceback_of

            self.send(Unready(f"{type(error).__name__}: {error}\n{traceback_of(error)}"))
            return 1
        call("process_start", tasks.hooked("process_start"), os.getpid())
        self.send(Ready([task.name for task in tasks]))
        self._serve(work)
        work.close()
        call("process_stop", tasks.hooked("process_stop"), os.getpid())
        return 0

    def _work(self, hello: Hello, tasks: Tasks) -> ChildWork:
        self._shift = shift = FarShift(hello, self._cell, self._line)
        configured(shift.link, hello)
        signal.signal(signal.SIGINT, _nothing)
        signal.signal(signal.SIGTERM, self._terminated)
        return ChildWork(tasks, Judge(shift, None if hello.retry is None else hello.retry.retry()))

    # The main thread

    def _serve(self, work: ChildWork) -> None:
        assert self._shift is not None
        boot, jobs = self._shift.boot, self._jobs
        base = copy_context()
        while True:
            try:
                sent = jobs.popleft()
            except IndexError:
                self._report()
                if self._leave and not jobs:
                    return
                self._bell.wait(3600.0)
                continue
            if self._ends and self._means.get(sent[0].job.task, SHORT) >= SHORT:
                self._report()
            runs = [self._run(one) for one in sent]
            base.copy().run(self._do, work, runs)
            if not jobs or boot() - self._reported >= LATE:
                self._report()

    def _run(self, sent: Sent) -> FarRun:
        assert self._shift is not None
        job = sent.job
        if sent.path:
            job.source = _Beside(sent.path)
        lent = Lent(job, sent.receipt, sent.attempt, sent.deaths, sent.until)
        run = FarRun(lent, self._shift, sent.taken)
        run.number, run.cell = sent.number, self._cell
        attend((run,))
        return run

    def _do(self, work: ChildWork, runs: list[FarRun]) -> None:
        shift = self._shift
        assert shift is not None
        now = shift.boot()
        fit = [run for run in runs if not expired(run, now, shift.lease / 3)]
        if fit:
            for run in fit:
                run.started = now
                run.lent.until = 0.0  # the worker renews it, and says when it is lost
            self._cell.begin(fit[0].number, now)
            shift.current = fit[0]
            try:
                if len(fit) == 1:
                    work(fit[0])
                else:
                    work.batch(fit)
            except Told:  # it struck when the job had just ended
                for run in fit:
                    work.overruled(run)
            finally:
                shift.current = None
            _flush()
        after = shift.boot()
        name = runs[0].lent.job.task
        self._means[name] = (self._means.get(name, after - now) + after - now) / 2
        for run in runs:
            run.ended = after
            self._ends.append(_ended(run))

    def _report(self) -> None:
        assert self._shift is not None
        self._reported = self._shift.boot()
        if self._ends:
            ends, self._ends = self._ends, []
            self.send(Ends(ends))

    def _terminated(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape of a handler
        run = self._shift.current if self._shift is not None else None
        if run is None or not (verdict := self._cell.told(run.number)) or run.verdict:
            return
        run.verdict = Verdict(verdict)
        if run.claim is not None:
            run.claim.lost.ring()
        if run.stop is not None:
            run.stop()
        else:
            raise Told

    # The thread that hears

    def _hear(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # only in the main thread does a signal end a sleep
        buffer = Buffer(to_child)
        try:
            while data := self._socket.recv(_READ):
                for message in buffer.feed(data):
                    self._heard(message)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - with a worker that cannot be understood nothing can be done
            print(f"ropeway: a child of the process pool ends: {error}", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(_PROTOCOL_ERROR)
        if not self._leave or self._jobs or (self._shift is not None and self._shift.current is not None):
            os._exit(1)  # the worker is gone: nobody would hear how this ends
        self._bell.ring()

    def _heard(self, message: object) -> None:
        if isinstance(message, Work):
            self._jobs.extend([one] for one in message.jobs)
        elif isinstance(message, Batch):
            self._jobs.append(message.jobs)
        elif isinstance(message, Answer):
            self._line.heard(message)
            return
        elif isinstance(message, Return):
            self.send(Back(self._call_back()))
            return
        elif isinstance(message, Look):  # a thread of its own: it takes a moment, and this one must hear
            threading.Thread(target=self._show, args=(message,), name="ropeway-sight-look", daemon=True).start()
            return
        elif isinstance(message, Hello):
            self._hello = message
        elif isinstance(message, Leave):
            self._leave = True
        self._bell.ring()

    def _show(self, look: Look) -> None:
        from ...sight.views import as_json, encode

        try:
            what, _, job = look.what.partition(":")
            view = encode({"lines": told(job)}) if what == "log" else as_json(look.what)
        except Exception:  # noqa: BLE001 - whatever goes wrong with a look, the job goes on
            view = b""
        self.send(Seen(look.number, view))

    def _call_back(self) -> list[int]:
        numbers: list[int] = []
        while True:
            try:
                numbers += [sent.number for sent in self._jobs.pop()]
            except IndexError:
                return numbers


class ChildWork(TaskWork):
    """Runs tasks in the main thread of a child. Their timeouts are the worker's business."""

    def __init__(self, tasks: Tasks, judge: Judge) -> None:
        super().__init__(tasks, judge, lambda _: None)
        self._runner: asyncio.Runner | None = None

    def overruled(self, run: Run) -> None:
        """Its verdict came when it had ended, or nearly."""
        self._judge.overruled(run)
        self._over(run)

    def close(self) -> None:
        super().close()
        if self._runner is not None:
            self._runner.close()

    def _caller(self, task: Task[..., Any, Any]) -> Callable[[Run], Any]:
        from inspect import iscoroutinefunction

        function, apply = runnable(task.function), applied(task)
        if iscoroutinefunction(function):
            return self._timed(task.timeout, lambda run: self._await(run, apply(function, run.given)))
        return self._timed(task.timeout, lambda run: apply(function, run.given))

    def _await(self, run: Run, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """In a loop that is kept, so that what a job leaves in it (connections) is there for the next."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        loop = self._runner.get_loop()

        async def named() -> Any:
            task = asyncio.current_task()
            assert task is not None
            task.set_name(run.lent.job.id)

            def stop() -> None:
                loop.call_soon_threadsafe(task.cancel)

            run.stop = stop
            return await coroutine

        return self._runner.run(named(), context=copy_context())


class _Beside:
    """A body that is kept beside its job, as a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.size = os.stat(path).st_size

    def path(self) -> str:
        return self._path

    def read(self) -> bytes:
        with open(self._path, "rb") as file:
            return file.read()


def _ended(run: FarRun) -> Ended:
    said = run.caller.said if run.caller is not None else 0
    ended = Ended(run.number, run.end, run.started, run.ended, run.handback, run.result, run.result_type)
    ended.stale, ended.doubt, ended.failure, ended.said = run.stale, run.doubt, run.failure, said
    return ended


def _nothing(number: int, frame: FrameType | None) -> None:
    """Unlike SIG_IGN this is not handed down to what a job starts."""


def _flush() -> None:
    """What a job has printed goes out while it is known whose it is."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the worker dies; it may have died before we could ask."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def main() -> None:
    """`sys.argv` holds: where modules are found, the socket's descriptor, the cell's, the worker's pid."""
    _, connection, cell, parent = sys.argv[1:5]
    _die_with(int(parent))
    del sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    for fd in (int(connection), int(cell)):
        os.set_inheritable(fd, False)  # noqa: FBT003 - its only form
    shared = Cell(int(cell))
    os.close(int(cell))
    code = Child(socket.socket(fileno=int(connection)), shared).run()
    _flush()
    if threading.active_count() > 2:  # threads of jobs that were not daemons would keep us here for ever
        os._exit(code)
    sys.exit(code)
