"""OpenTelemetry: a span for each put, run and call, and the context that ties them, in the headers of the jobs.

    call mails.send (client)
      `- put mails (producer) --traceparent, tracestate in the job's headers--> run mails (consumer; from the claim to the end)
                                                                                  `- what the task itself puts and calls

Needs the extra ropeway[otel], and does nothing until `instrument` was called. Where the spans go is the program's business, by the SDK of
OpenTelemetry. Names and attributes are those of its conventions for messaging.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ConfigError, RetryLater
from .job import Job
from .names import HEADER_LIMIT

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link as SpanLink
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as missing:
    raise ConfigError("tracing needs OpenTelemetry; nothing was instrumented. Type: pip install 'ropeway[otel]'") from missing

if TYPE_CHECKING:
    from .broker import Broker
    from .calls.call import Call
    from .claim import Claim

T = TypeVar("T")

HEADERS = ("traceparent", "tracestate")
ROOM = 1024  # bytes of headers that the context may take: a job with more of its own goes without

_wire = TraceContextTextMapPropagator()  # always W3C: the other side may be another program than ours
_runs: ContextVar[tuple[Span, Token[Context]] | None] = ContextVar("ropeway_otel_run", default=None)


def instrument(broker: Broker, tracer_provider: TracerProvider | None = None) -> None:
    """Make spans for all that this connection puts, runs and calls, from now on. `tracer_provider`: whose tracer makes them; the program's
    own when not given. Call it where the broker is made, before its workers are; twice is once. Plain queues' claims are traced by
    `with consuming(claim): ...`."""
    if broker.link.tracing is not None:
        return
    tracing = Tracing(_tracer(tracer_provider))
    broker.link.tracing = tracing
    broker.tasks.hook("before_run")(tracing.before_run)
    broker.tasks.hook("after_run")(tracing.after_run)


@contextmanager
def consuming(claim: Claim[Any], tracer_provider: TracerProvider | None = None) -> Iterator[Span]:
    """A span around the work on a claim of a plain queue, as workers make for tasks: `with consuming(claim), claim: ...`."""
    tracing = Tracing(_tracer(tracer_provider))
    span, context = tracing.consumer(claim.job, claim.attempt, None)
    with _within(span, context):
        yield span


@contextmanager
def _within(span: Span, context: Context) -> Iterator[None]:
    """What is done here is done in that context; the span ends with it, and knows what it has failed of."""
    token = contexts.attach(context)
    try:
        yield
    except BaseException as error:
        _failed(span, error)
        raise
    finally:
        contexts.detach(token)
        span.end()


class Tracing:
    """What a connection asks when it is instrumented (link.Tracing)."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    # Puts

    def put(self, jobs: Sequence[Job], store: Callable[[Sequence[Job]], T]) -> T:
        """Store the jobs within a span, whose context they carry."""
        with self._producer(jobs):
            return store(jobs)

    async def aput(self, jobs: Sequence[Job], store: Callable[[Sequence[Job]], Awaitable[T]]) -> T:
        """The awaitable twin of `put`."""
        with self._producer(jobs):
            return await store(jobs)

    @contextmanager
    def _producer(self, jobs: Sequence[Job]) -> Iterator[None]:
        if not jobs:
            yield
            return
        first = jobs[0]
        span = self._tracer.start_span(
            f"put {first.queue}",
            _wire.extract(first.headers) if HEADERS[0] in first.headers else None,  # given by who asked for the put: it goes on from there
            SpanKind.PRODUCER,
            {
                **_about(first, "put", "send"),
                **({"messaging.batch.message_count": len(jobs)} if len(jobs) > 1 else _of_one(first)),
            },
        )
        context = trace.set_span_in_context(span)
        for job in jobs:
            _carry(job, context)
        with _within(span, context):
            yield

    # Runs: hooks, so that they are called where the function runs, in every pool

    def before_run(self, claim: Any) -> None:
        """A run begins; all that it does is inside its span."""
        run = claim.run
        span, context = self.consumer(claim.job, claim.attempt, run.taken and run.shift.boot() - run.taken)
        if run.caller is not None:
            run.caller.context = _headers(context)
        _runs.set((span, contexts.attach(context)))

    def after_run(self, claim: Any, error: BaseException | None) -> None:  # noqa: ARG002 - as the hook is called
        """It has ended."""
        begun = _runs.get()
        if begun is None:
            return
        _runs.set(None)
        span, token = begun
        if error is not None and not isinstance(error, RetryLater):
            _failed(span, error)
        contexts.detach(token)
        span.end()

    def consumer(self, job: Job, attempt: int, held: float | None) -> tuple[Span, Context]:
        """The span of a run, child of the put and linked to it, and its context. `held`: since when it is claimed, in seconds."""
        before = _wire.extract(job.headers, Context())
        producer = trace.get_current_span(before).get_span_context()
        span = self._tracer.start_span(
            f"run {job.queue}",
            before,
            SpanKind.CONSUMER,
            {**_about(job, "run", "process"), **_of_one(job), "ropeway.attempt": attempt},
            [SpanLink(producer)] if producer.is_valid else None,
            time.time_ns() - int(1e9 * held) if held and 0 < held < 86400 else None,
        )
        return span, trace.set_span_in_context(span, before)

    # Calls

    def calling(self, call: Call[Any]) -> Callable[[], None]:
        """A call begins: its put is inside its span, which ends with the call. What is to be called when the put is over."""
        job = call.job
        span = self._tracer.start_span(
            f"call {job.task or job.queue}", None, SpanKind.CLIENT, {**_about(job, "call", "send"), **_of_one(job)}
        )
        token = contexts.attach(trace.set_span_in_context(span))

        def ended(error: str) -> None:
            if error:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR, error))
            span.end()

        call.on_end = ended
        return lambda: contexts.detach(token)


def _tracer(provider: TracerProvider | None) -> trace.Tracer:
    version = str(getattr(sys.modules.get("ropeway"), "__version__", ""))
    return trace.get_tracer("ropeway", version, provider)


def _about(job: Job, name: str, kind: str) -> dict[str, Any]:
    return {
        "messaging.system": "ropeway",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": job.queue,
        **({"ropeway.task": job.task} if job.task else {}),
    }


def _of_one(job: Job) -> dict[str, Any]:
    return {"messaging.message.id": job.id, "messaging.message.body.size": job.size if job.size >= 0 else len(job.body)}


def _carry(job: Job, context: Context) -> None:
    """The context goes with the job, in place of one that it had."""
    own = {name: value for name, value in job.headers.items() if name not in HEADERS}
    if sum([len(name) + len(value.encode(errors="replace")) for name, value in own.items()]) < HEADER_LIMIT - ROOM:
        job.headers = own | _headers(context)


def _headers(context: Context) -> dict[str, str]:
    made: MutableMapping[str, str] = {}
    _wire.inject(made, context)
    return dict(made)


def _failed(span: Span, error: BaseException) -> None:
    span.record_exception(error)
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
