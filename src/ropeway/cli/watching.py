"""What `watch` does: a watcher out of the options, and with a command a worker beside it."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..config import state_folder
from ..log import setup
from ..options import PutOptions
from ..queue import Queue
from ..url import hidden
from ..watch import Watcher
from ..watch.handing import Told
from ..watch.record import Record, file_of
from .clean import clean
from .output import Row
from .params import default_queue
from .session import Session
from .verdict import DONE, USAGE, Failure

Options = dict[str, Any]


def watch(session: Session, command: list[str] | None, options: Options) -> int:
    """Watch until stopped, or once; the exit code."""
    if command == []:
        raise Failure(USAGE, "a command is missing behind --; nothing was watched")
    if options["jobs"] and command is None:
        raise Failure(USAGE, "-j is for a command: ropeway watch DIR -j 4 -- CMD {}; nothing was watched")
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    queue = options["queue"] or (_queue_of(options["folder"]) if command else default_queue())
    with session.out.listing(_lines) as emit, _watcher(session, queue, options, _printer(session, emit)) as watcher:
        if command is None:
            with _stopping(watcher.stop):
                watcher.run(once=options["once"])
            return DONE
        return _with_command(session, watcher, queue, command, options)


def _with_command(session: Session, watcher: Watcher, queue: str, command: list[str], options: Options) -> int:
    """The worker in this thread, since signals are its business; the watcher in another."""
    from ..worker import CommandRunner, Worker

    if options["once"]:
        watcher.run(once=True)
    settings = {**session.config.worker.options(), "pool": CommandRunner(command), "concurrency": options["jobs"] or 1}
    worker = Worker(session.link, None, (queue,), **settings, drain=options["once"])
    failed: list[BaseException] = []

    def run() -> None:
        try:
            watcher.run()
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failed.append(error)
            worker.stop()

    beside = threading.Thread(target=run, name="ropeway-watch", daemon=True)
    if not options["once"]:
        beside.start()
    code = worker.run()
    watcher.stop()
    if not options["once"]:
        beside.join()
    if failed:
        raise failed[0]
    return code


@contextmanager
def _watcher(session: Session, queue: str, options: Options, told: Callable[[Told], None]) -> Iterator[Watcher]:
    link, folder = session.link, os.path.realpath(options["folder"])
    record = Record(file_of(state_folder(), folder, hidden(link.url), queue))
    try:
        put: PutOptions = {name: options[name] for name in ("priority", "task", "keep") if options[name] is not None}  # type: ignore[assignment]
        more = {name: options[name] for name in ("globs", "recursive", "settle", "existing", "move_to", "poll", "content")}
        watcher = Watcher(link, Queue(link, queue), folder, record, options=put, told=told, **more)
    except BaseException:
        record.close()
        raise
    try:
        yield watcher
    finally:
        watcher.close()


def _printer(session: Session, emit: Callable[[Row], None]) -> Callable[[Told], None]:
    def told(one: Told) -> None:
        if one.id and not session.quiet:
            emit({"id": one.id, "file": one.path})
            session.flush()

    return told


def _lines(row: Row) -> tuple[str, ...]:
    return (f"{row['id']}  {clean(row['file'])}",)


def _queue_of(folder: str) -> str:
    """The queue of a watched folder that has a command: named after it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", os.path.basename(os.path.realpath(folder))).strip(".-")[:100]
    return f"watch-{name}" if name else "watch"


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end it after the step that is under way."""
    before = [(number, signal.signal(number, lambda *_: stop())) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
