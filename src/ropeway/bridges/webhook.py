"""Webhooks: each job of a queue, or each message of a durable group, is POSTed to one address; the answer decides as an exit code would.

    2xx         done
    410         the receiver wants no more of this: dead at once
    429, 503    tried again by the retry policy, but not before `Retry-After`; until then nothing else is sent either
    others      tried again by the retry policy, in the end dead; so are redirects, which nobody follows, timeouts, and lines that break

The body goes byte for byte with its content type. Beside it: `webhook-id` (of the message or the job, the same at each attempt, so that a
receiver can drop what it has had), `webhook-timestamp` (of this attempt), `webhook-signature`; Ropeway-Topic and -Group, or Ropeway-Queue;
Ropeway-Attempt; Ropeway-H-NAME for each header that it was given; traceparent and tracestate where it has them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPException, responses
from typing import IO

from .. import __version__
from ..calls.wire import TRACE, TRACE_STATE
from ..durations import Duration, seconds, spoken
from ..errors import BadBody, BadValue, NotAllowed
from ..failure import clean, one_line
from ..group import PREFIX, TOPIC, message_of
from ..ids import is_id
from ..job import BYTES, Job
from ..sight.secrets import censored
from ..source import chunks_of
from ..worker.judge import Judge
from ..worker.run import Run
from .posting import Answer, Exchange, Headers, Poster
from .signing import Secrets
from .target import Target

GONE = 410
BUSY = frozenset({429, 503})
LOOK = 0.25  # seconds between two looks whether the worker stops, while the receiver has asked us to wait

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z", re.ASCII).match  # what HTTP takes for a header's name
_OURS = "ropeway-"  # headers of ropeway's own: who waits for the reply, and how to give it
_BLOCK = 64 * 1024


class WebhookRunner:
    """What the slots of a worker do to send webhooks to `target`, signed where there are `secrets`. `timeout`: of one delivery, from the
    connection to the end of the answer. Raises BadValue for a timeout of 0."""

    def __init__(self, target: Target, secrets: Secrets | None = None, *, timeout: Duration = 15.0) -> None:
        self.target = target
        self.secrets = secrets
        self.timeout = seconds(timeout, "timeout")
        if self.timeout == 0:
            raise BadValue("a timeout of 0 would end every delivery; nothing was started")

    def work(self, judge: Judge) -> WebhookWork:
        """What each slot does with a run."""
        return WebhookWork(self, judge)


class WebhookWork:
    """Sends, and judges by the answer. Used by many slots at once."""

    def __init__(self, runner: WebhookRunner, judge: Judge) -> None:
        self._runner = runner
        self._judge = judge
        self._poster = Poster(runner.target)
        self._quiet = 0.0  # the receiver has asked for silence until then, by the boot clock
        self._never = threading.Event()  # nobody rings it: what one sleeps on

    def __call__(self, run: Run) -> None:
        try:
            if self._may_send(run):
                self._send(run)
        except BaseException as error:  # noqa: BLE001 - a fault of ours must not end the slot and leave the job without a word
            self._judge.raised(run, error)
        run.stop = None

    def close(self) -> None:
        self._poster.close()

    def _may_send(self, run: Run) -> bool:
        """Wait for as long as the receiver has asked for. False: it ended meanwhile, by a verdict or because the worker stops."""
        shift = run.shift
        run.stop = _nothing  # it can be ended, at the next look
        while (left := self._quiet - shift.boot()) > 0:
            if run.verdict:
                self._judge.overruled(run)
                return False
            if shift.stopping:
                run.hand_back(left)
                return False
            shift.link.clock.sleep(self._never, min(left, LOOK))
        return True

    def _send(self, run: Run) -> None:
        job, runner, now = run.lent.job, self._runner, run.shift.link.clock.now()
        try:
            headers = _headers(run, runner.secrets, int(now))
        except BadBody as error:  # in a group's queue, and no message
            self._judge.refused(run, one_line(error))
            return
        exchange = Exchange(runner.timeout)
        run.stop = exchange.stop
        if run.verdict:
            exchange.stop()
        try:
            answer = self._poster.post(exchange, headers, lambda: _opened(job), now)
        except TimeoutError:
            if exchange.stopped:  # not by its time, but by a verdict
                self._judge.overruled(run)
                return
            self._judge.failed(run, f"{runner.target}: no answer within {spoken(runner.timeout)}", outcome="timeout")
        except NotAllowed as error:
            self._judge.failed(run, str(error))
        except (HTTPException, OSError) as error:
            self._judge.failed(run, clean(f"{runner.target}: {censored(one_line(error))}"))
        else:
            self._by_answer(run, answer)

    def _by_answer(self, run: Run, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            self._judge.done(run, {"status": status})
            return
        said = f"{self._runner.target}: {status} {responses.get(status, '')}".rstrip()
        error = f"{said}: {answer.text}" if answer.text else said
        if status == GONE:
            self._judge.refused(run, f"{error} (the receiver wants no more of this)")
            return
        least = 0.0
        if status in BUSY and answer.wait:
            least = answer.wait
            self._quiet = max(self._quiet, run.shift.boot() + least)
        if 300 <= status < 400:
            error = f"{said}: redirects are not followed; start the sender with the new address"
        self._judge.failed(run, error, least=least)


def _nothing() -> None:
    """Whoever waits looks by himself."""


def _headers(run: Run, secrets: Secrets | None, moment: int) -> Headers:
    """What goes beside the body. Raises BadBody for a job in a group's queue that is no message."""
    job = run.lent.job
    named, own, about = job.id, job.headers, [("Ropeway-Queue", job.queue)]
    if TOPIC in job.headers or job.queue.startswith(PREFIX):
        message = message_of(job)
        named, own = message.id if is_id(message.id) else job.id, message.headers
        about = [("Ropeway-Topic", message.topic), ("Ropeway-Group", job.queue.removeprefix(PREFIX))]
    told = [
        ("Content-Type", job.content_type or BYTES),
        ("Content-Length", str(len(job.body) if job.source is None else job.source.size)),
        ("User-Agent", f"ropeway/{__version__}"),
        ("webhook-id", named),
        ("webhook-timestamp", str(moment)),
        *about,
        ("Ropeway-Attempt", str(run.lent.attempt)),
        *_passed_on(own),
    ]
    if secrets is not None:
        told.append(("webhook-signature", secrets.sign(named, moment, chunks_of(job, _BLOCK))))
    return [(name, value.encode()) for name, value in told]


def _passed_on(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The headers that a producer gave, as far as HTTP can carry them: whatever they say, they end where they end."""
    for name, value in headers.items():
        if name.lower().startswith(_OURS) or not value.isprintable():
            continue
        if name in (TRACE, TRACE_STATE):
            yield name, value
        elif _TOKEN(name):
            yield f"Ropeway-H-{name}", value


def _opened(job: Job) -> bytes | IO[bytes]:
    return job.body if job.source is None else open(job.source.path(), "rb")
