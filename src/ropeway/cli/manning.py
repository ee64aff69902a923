"""How `work` runs: one worker in this process, or several under a supervisor; in the foreground or in the background."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .params import default_queue
from .session import Session
from .verdict import USAGE, Failure

if TYPE_CHECKING:
    from types import FrameType

    from ..link import Link
    from ..worker import Worker

SOME_DEAD = 10
Started = Callable[[], None]

# Options that a worker under a supervisor is given as they were given to the command.
_HANDED_ON = {
    "pool": "--pool", "concurrency": "--concurrency", "retries": "--retries", "backoff": "--backoff", "lease": "--lease",
    "grace": "--grace", "poll": "--poll", "max_jobs": "--max-jobs", "max_memory": "--max-memory",
    "max_jobs_per_child": "--max-jobs-per-child",
}  # fmt: skip


@contextmanager
def detached(options: dict[str, Any]) -> Iterator[Started]:
    """In the background if that was asked for, and with the pid in its file. What it gives is to be called once the workers run."""
    started: Started = _nothing
    if options["log"] and not options["background"]:
        raise Failure(USAGE, "--log is for --background; here the shell can say where output goes (2>> FILE); nothing was started")
    with ExitStack() as stack:
        if options["pidfile"]:
            from ..worker.fleet.daemon import PidFile

            with PidFile(options["pidfile"]):  # said now, while somebody reads it
                pass
        if options["background"]:
            from ..worker.fleet.daemon import go_to_background

            started = go_to_background(options["log"] or "").started
        if options["pidfile"]:
            stack.enter_context(PidFile(options["pidfile"]))
        yield started


def _nothing() -> None:
    """Nobody waits to hear that the workers run."""


def wants_supervisor(session: Session, options: dict[str, Any]) -> bool:
    """Whether there are to be several processes, or one that is started anew."""
    if not options["app"] or options["lifeline"] is not None:
        return False
    pool = options["pool"] or session.config.worker.options().get("pool")
    return options["reload"] or (options["jobs"] is not None and pool != "process")


def supervise(session: Session, options: dict[str, Any], started: Started) -> int:
    """Run worker processes until they are stopped or drained."""
    from ..durations import seconds
    from ..sight.here import here
    from ..worker.fleet import title
    from ..worker.fleet.supervisor import Supervisor
    from ..worker.fleet.watching import Watching

    pool = options["pool"] or session.config.worker.options().get("pool")
    count = 1 if pool == "process" else options["jobs"] or 1
    say = _saying(session)
    grace = options["grace"] if options["grace"] is not None else session.config.worker.options().get("grace", 25.0)
    supervisor = Supervisor(
        _command(session, options, pool), count, drain=options["drain"], grace=seconds(grace, "grace"), say=say, on_ready=started
    )
    title.show(f"ropeway: {options['app']} x{count}")
    here().more["supervises"] = lambda: [
        {"pid": child.pid, "ready": child.ready, "leaving": child.leaving} for place in supervisor.places for child in place.children
    ]
    if not options["reload"]:
        return supervisor.run()

    def changed(paths: list[str]) -> None:
        say(f"{os.path.relpath(paths[0])}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} changed: starting anew")
        supervisor.reload()

    watching = Watching(os.getcwd(), changed)
    watching.start()
    try:
        return supervisor.run()
    finally:
        watching.close()


def run_one(worker: Worker, link: Link, options: dict[str, Any], started: Started) -> int:
    """Run this worker here. SIGHUP: it stops as by SIGTERM, and the program is started anew in its place, with the same pid."""
    from ..worker.fleet import title
    from ..worker.signals import Terminal

    again = False
    terminal = Terminal()

    def hangup() -> None:
        nonlocal again
        again = not terminal.gone
        worker.stop()

    queues = " ".join(options["queues"] or (default_queue(),))

    def entitle(state: str) -> None:
        title.show(f"ropeway: {queues} {state}")

    worker.post.on_state = entitle
    if options["lifeline"] is not None:
        return _under_supervisor(worker, options)
    worker.on_signal[signal.SIGHUP] = hangup
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # while it ends, another one would kill it
        signal.signal(signal.SIGHUP, _once_is_enough)
    started()
    code = worker.run()
    if again and code in (0, SOME_DEAD):
        link.close()
        _close_page()
        sys.stdout.flush()
        words = [word for word in sys.orig_argv[1:] if word != "--background"]
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGHUP}
        )  # one that comes now waits until the new program listens (signals.Signals)
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - this very program
    return code


def _once_is_enough(number: int, frame: FrameType | None) -> None:
    """The program is about to be started anew, or to end."""


def _close_page() -> None:
    """The program that takes the place of this one opens its own."""
    page = sys.modules.get("ropeway.introspection.page")
    if page is not None and (mine := page.current()) is not None:
        mine.close()


def _under_supervisor(worker: Worker, options: dict[str, Any]) -> int:
    from ..worker.fleet.lifeline import AGAIN, Lifeline

    line = Lifeline(options["lifeline"], worker.stop)
    for number in (signal.SIGTTIN, signal.SIGTTOU):  # the supervisor's: more processes, or fewer
        worker.on_signal.pop(number, None)
        signal.signal(number, signal.SIG_IGN)
    line.start()
    code = worker.run()
    done = options["max_jobs"] is not None and worker.counters.ran >= options["max_jobs"]
    if code in (0, SOME_DEAD) and (done or worker.post.outgrown):
        line.say(AGAIN)
    return code


def _command(session: Session, options: dict[str, Any], pool: str | None) -> list[str]:
    """The command line of one worker process."""
    if session.url:  # not as an argument: it may hold a password, and arguments are for all to see
        os.environ["ROPEWAY_URL"] = session.url
    words = [sys.executable, "-P", "-m", "ropeway"]
    words += ["--quiet"] * bool(session.quiet) + ["--verbose"] * session.verbose
    words += ["work", *options["queues"], "--app", options["app"]]
    for name, flag in _HANDED_ON.items():
        if options[name] is not None:
            words += [flag, str(options[name])]
    if pool == "process" and options["jobs"]:
        words += ["--jobs", str(options["jobs"])]
    if options["introspect"]:
        from .opening import for_children

        words += ["--introspect", for_children(options["introspect"])]
    return words + ["--drain"] * bool(options["drain"]) + ["--allow-commands"] * bool(options["allow_commands"])


def _saying(session: Session) -> Callable[[str], None]:
    if session.quiet:
        return lambda _: None
    import logging

    return lambda text: logging.getLogger("ropeway.supervisor").info("%s", text)
