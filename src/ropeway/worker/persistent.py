"""A command that is kept running and talks JSON lines, so that its costly start happens once for many jobs.

One process a slot. For each job it gets one line on standard input:

    {"id": "0197...", "queue": "mails", "attempt": 1, "key": "", "headers": {}, "content_type": "text/plain; charset=utf-8",
     "task": "", "deadline": null, "body": "hello"}

`deadline` is in seconds since 1970. A body that is not UTF-8 comes as "body_base64" instead of "body". It answers with one line on
standard output:

    {}                                      done
    {"result": 42}                          done, with a result (kept if the job is)
    {"error": "smtp busy"}                  given back by the retry policy, in the end dead
    {"verb": "nack", "delay": "2m"}         given back for so long, uncounted; "error" may say why
    {"verb": "bury", "error": "no such"}    dead at once

An answer may carry the job's "id"; then it must be that job's. Lines that do not start with { are not answers: they are passed on to
standard output. Standard error is the worker's own. When a process dies, or breaks these rules, or does not answer in time, that counts
against the job it was in; a new one is started for the next job. At the worker's end its standard input is closed, and it should exit.
"""

from __future__ import annotations

import base64
import os
import signal
from time import monotonic, sleep
from typing import Any

import msgspec

from ..errors import Discard, RetryLater
from ..failure import clean
from .command import body_of
from .judge import Judge
from .process import LONGEST_LINE, Child, ended
from .run import NEVER, Run

TO_LEAVE = 1.0  # seconds for a process to exit once its standard input is closed


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """One line from the command."""

    verb: str = ""
    result: Any = None
    error: str = ""
    delay: float | str | None = None
    id: str = ""


_read = msgspec.json.Decoder(Answer).decode


class Broken(Exception):
    """The command did not keep to the rules."""


class PersistentWork:
    """The processes at rest, and what a slot does with one. Used by many slots at once."""

    def __init__(self, argv: list[bytes], timeout: float | None, judge: Judge) -> None:
        self._argv = argv
        self._timeout = timeout
        self._judge = judge
        self._resting: list[Child] = []  # appended to and popped from: each is one atomic step

    def __call__(self, run: Run) -> None:
        if self._timeout is not None:
            run.deadline = run.started + self._timeout
        child: Child | None = None
        try:
            line = _line(run)
            child = self._child()
            run.stop = child.stopper(run)
            answer = self._ask(child, run, line)
        except Broken as error:
            self._judge.failed(run, str(error))
        except BaseException as error:  # noqa: BLE001 - a fault of ours must not end the slot and leave the job without a word
            self._judge.raised(run, error)
        else:
            self._by_answer(run, answer)
            if not run.verdict:  # else it may have been told to end
                self._resting.append(child)
                child = None
        run.stop = None
        if child is not None:
            child.close()

    def close(self) -> None:
        """Let them all go: the end of their input, then SIGTERM, then SIGKILL."""
        resting, self._resting = self._resting, []
        for child in resting:
            child.close_stdin()
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = monotonic() + TO_LEAVE
            while any(child.code is None for child in resting) and monotonic() < until:
                sleep(0.005)
            for child in resting:
                child.signal(number)
        for child in resting:
            child.close()

    def _child(self) -> Child:
        """One at rest, or a new one. One that died at rest was in no job: it is passed over. So is one that has said more than it was
        asked, lest that is taken for the answer to the next job."""
        while self._resting:
            try:
                child = self._resting.pop()
            except IndexError:
                break
            child.listen()
            if child.code is None and b"{" not in child.heard:
                return child
            child.close()
        return Child(self._argv, os.environb, answers=True)

    def _ask(self, child: Child, run: Run, line: bytes) -> Answer:
        child.feed(line)
        while True:
            code = child.wait(run, until_line=True, close_stdin=False)
            while (end := child.heard.find(b"\n")) >= 0:
                heard = bytes(child.heard[:end])
                del child.heard[: end + 1]
                if heard.lstrip().startswith(b"{"):
                    return _answer(heard, run)
                _pass_on(heard)
            if code is not None:
                raise Broken(f"the command ended without an answer: {ended(code)}")
            if len(child.heard) > LONGEST_LINE:
                raise Broken(f"the command's answer is over {LONGEST_LINE} bytes")

    def _by_answer(self, run: Run, answer: Answer) -> None:
        judge = self._judge
        verb = answer.verb or ("nack" if answer.error else "ack")
        error = clean(answer.error)
        if verb == "ack":
            judge.done(run, answer.result)
        elif verb == "bury":
            judge.raised(run, Discard(error or "buried by the command, without a reason"))
        elif answer.delay is not None:
            judge.raised(run, RetryLater(answer.delay, error))
        else:
            judge.failed(run, error or "given back by the command, without a reason")


def _line(run: Run) -> bytes:
    job, shift = run.lent.job, run.shift
    shown: dict[str, Any] = {
        "id": job.id,
        "queue": job.queue,
        "attempt": run.lent.attempt,
        "key": job.key,
        "headers": job.headers,
        "content_type": job.content_type,
        "task": job.task,
        "deadline": None if run.deadline == NEVER else shift.link.clock.now() + run.deadline - shift.boot(),
    }
    body = body_of(job)
    try:
        shown["body"] = body.decode()
    except UnicodeDecodeError:
        shown["body_base64"] = base64.b64encode(body).decode()
    return msgspec.json.encode(shown) + b"\n"


def _answer(heard: bytes, run: Run) -> Answer:
    try:
        answer = _read(heard)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(f"the command's answer is none: {clean(str(error))}") from None
    if answer.id and answer.id != run.lent.job.id:
        raise Broken(f"the command answered for another job: {clean(answer.id, 64)}")
    if answer.verb not in ("", "ack", "nack", "bury"):
        raise Broken(f"the command's answer has the verb {clean(answer.verb, 40)}: use ack, nack or bury")
    return answer


def _pass_on(line: bytes) -> None:
    try:
        os.write(1, line + b"\n")
    except OSError:
        pass  # ours is closed: the job goes on
