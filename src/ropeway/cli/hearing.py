"""What `listen` does: prints messages as they come, or runs a command for each; live, or as a member of a durable group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import BadBody, Conflict
from ..group import PREFIX, message_of
from ..groups import Groups
from ..link import Link
from ..listening import BUFFER, Listening
from ..message import Message
from ..topics import check_patterns
from .bodies import put_bytes
from .clean import clean, clean_bytes
from .outlet import outlet
from .output import Row, say
from .session import Session
from .signals import disturbed, termination, undisturbed
from .times import iso
from .verdict import CONFLICT, DONE, FAILED, NOTHING, USAGE, Failure

Options = dict[str, Any]
_SHARED = ("jobs", "retries", "drain")
OWN_LEASE = 60.0  # of a message that is only being printed


def listen(session: Session, command: list[str] | None, options: Options) -> int:
    """Hear until told to stop; the exit code."""
    _check(command, options)
    if not options["group"]:
        return _live(session, command, options)
    join(session, options["group"], options["patterns"], options["replay"])
    if command:
        return _work(session, command, options)
    return _share(session, options)


def _check(command: list[str] | None, options: Options) -> None:
    if not options["patterns"] and not options["group"]:
        raise Failure(USAGE, "listen to what? Give a topic, or a pattern such as 'orders.*'; nothing was done. # is every topic")
    if options["patterns"]:
        check_patterns(options["patterns"])
    if not options["group"] and (wrong := [name for name in _SHARED if options[name]]):
        raise Failure(USAGE, f"--{wrong[0]} is for a durable group: say which with --group; nothing was done")
    if options["group"] and options["buffer"]:
        raise Failure(USAGE, "--buffer is for who only listens: a group has a queue; nothing was done")
    if options["run_timeout"] and not command:
        raise Failure(USAGE, "--run-timeout is for a command: give one behind --; nothing was done")
    if not command and (wrong := [name for name in ("jobs", "retries") if options[name]]):
        raise Failure(USAGE, f"--{wrong[0]} is for a command: give one behind --; nothing was done")
    if command and options["raw"]:
        raise Failure(USAGE, "--raw is for printing, and a command gets the body on stdin; nothing was done")
    if command and options["group"] and options["wait"] is not None:
        raise Failure(USAGE, "a command of a group ends by -n or --drain, not by -t; nothing was done")


# Live


def _live(session: Session, command: list[str] | None, options: Options) -> int:
    count = failed = 0
    printer = Printer(session, raw=options["raw"])
    news = Listening(session.link, options["patterns"], buffer=options["buffer"] or BUFFER, replay=options["replay"])
    try:
        with termination(), printer.listing():
            for message in _heard(news, options):
                count += 1
                if command:
                    failed += not _ran(command, message, options["run_timeout"])
                else:
                    printer.write(message)
    finally:
        news.close()
        if (news.missed or news.gaps) and not session.quiet:
            more = f", and some of unknown number {news.gaps} times" if news.gaps else ""
            say(f"ropeway: missed {news.missed:,} messages{more}: a durable group misses none")
    if failed:
        raise Failure(FAILED, f"the command failed for {failed} of {count} messages")
    return _ended(session, count, options)


def _heard(news: Listening, options: Options) -> Iterator[Message]:
    left = options["count"]
    while left is None or left > 0:
        message = news.get(options["wait"])
        if message is None:
            return
        yield message
        left = None if left is None else left - 1


def _ended(session: Session, count: int, options: Options) -> int:
    if count or options["drain"]:
        return DONE
    session.note(f"nothing was heard of {' '.join(options['patterns'] or [options['group']])}")
    return NOTHING


def _ran(command: list[str], message: Message, timeout: float | None) -> bool:
    """Run the command with the body on its stdin. Whether it ended well."""
    env = {
        **os.environ,
        "ROPEWAY_TOPIC": message.topic,
        "ROPEWAY_MESSAGE": message.id,
        "ROPEWAY_HEADERS": msgspec.json.encode(message.headers).decode(),
    }
    sys.stdout.flush()
    try:
        code = subprocess.run(command, input=message.body, env=env, timeout=timeout, check=False).returncode  # noqa: S603 - the user's own
    except subprocess.TimeoutExpired:
        say(f"ropeway: message {message.id}: the command was killed, since it ran longer than {timeout:g} s")
        return False
    except OSError as error:
        raise Failure(FAILED, f"{command[0]} cannot be run: {error.strerror}") from None
    if code:
        say(f"ropeway: message {message.id}: the command ended with {code}")
    return code == 0


# As a member of a group


def join(session: Session, name: str, patterns: Sequence[str], replay: float | None = None) -> None:
    """Make the group of that name unless it is there. Failure when it hears other patterns than these, or when there is none and no pattern
    says what it would hear."""
    groups = Groups(session.link)
    known = groups.get(name)
    if known is None and patterns:
        try:
            groups.add(name, patterns, replay=replay)
            return
        except Conflict:  # somebody else was quicker
            known = groups.get(name)
    if known is None:
        raise Failure(NOTHING, f"there is no group {name[:80]!r}, so give it patterns; nothing was done. See: ropeway group ls")
    if patterns and set(patterns) != set(known.patterns):
        raise Failure(
            CONFLICT,
            f"group {name} hears {' '.join(known.patterns)}; nothing was done. Leave the patterns out, "
            f"or change it: ropeway group edit {name}",
        )
    if replay is not None:
        groups.replay(name, replay)


def _share(session: Session, options: Options) -> int:
    from ..queue import Queue

    queue: Queue[Any] = Queue(session.link, PREFIX + options["group"])
    session.out.stream = outlet(session.out.stream)
    printer, count, left = Printer(session, raw=options["raw"]), 0, options["count"]
    idle = 0.0 if options["drain"] else options["wait"]
    with termination(), undisturbed(), printer.listing():
        while left is None or count < left:
            with disturbed():
                claim = queue.claim(OWN_LEASE, idle)
            if claim is None:
                break
            try:
                message = message_of(claim.job)
            except BadBody as error:
                claim.bury(str(error))
                say(f"ropeway: {error}; it is buried")
                continue
            with claim:
                printer.write(message)
            count += 1
    return _ended(session, count, options)


def _work(session: Session, command: list[str], options: Options) -> int:
    from ..log import setup
    from ..retry import Retry
    from ..worker import CommandRunner, Worker

    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    settings: dict[str, Any] = {"concurrency": options["jobs"] or 1, "drain": options["drain"], "max_jobs": options["count"]}
    if options["retries"]:
        settings["retry"] = Retry(options["retries"])
    runner = CommandRunner(command, feed="stdin" if not any("{}" in word for word in command) else None, timeout=options["run_timeout"])
    link: Link = session.link
    return Worker(link, None, [PREFIX + options["group"]], pool=runner, **settings).run()


# Printing


class Printer:
    """Prints messages, each at once."""

    def __init__(self, session: Session, *, raw: bool) -> None:
        self._out = session.out
        self._raw = raw
        self._emit: Callable[[Row], None] | None = None

    @contextmanager
    def listing(self) -> Iterator[None]:
        """What is written inside belongs together."""
        if self._raw:
            yield
            return
        with self._out.listing(_text) as self._emit:
            yield

    def write(self, message: Message) -> None:
        if self._emit is not None:
            self._emit(message_row(message))
        elif self._out.terminal:
            self._out.line(clean_bytes(message.body))
        else:
            self._out.stream.write(message.body + b"\n")
        self._out.stream.flush()


def message_row(message: Message) -> Row:
    """A message as programs read it."""
    row: Row = {"id": message.id, "topic": message.topic, "at": iso(message.at), "headers": message.headers}
    row["content_type"] = message.content_type
    put_bytes(row, "body", message.body)
    return row


def _text(row: Row) -> Iterator[str]:
    """A message for a person: its topic, its headers, its body."""
    about = [row["topic"], *(f"{name}={value}" for name, value in row["headers"].items())]
    body = row["body"] if "body" in row else f"({row['content_type']}, base64) {row['body_base64']}"
    yield clean(f"{'  '.join(about)}  {body}")
