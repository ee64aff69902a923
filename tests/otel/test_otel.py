"""Spans of puts, runs and calls, and the context that goes with the jobs: one trace from whoever asked to the last thing done."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import ropeway
from ropeway.broker import Broker
from ropeway.link import Link
from ropeway.otel import consuming, instrument
from ropeway.retry import Retry
from server.inside import Inside


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def broker(provider: TracerProvider) -> Iterator[Broker]:
    with Broker(Link("memory:"), config=False) as made:
        instrument(made, provider)
        yield made


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """By name; the last one of each."""
    return {span.name: span for span in exporter.get_finished_spans()}


def trace_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id


def is_child(child: ReadableSpan, parent: ReadableSpan) -> bool:
    context = parent.get_span_context()
    return (
        child.parent is not None
        and context is not None
        and (child.parent.trace_id, child.parent.span_id) == (context.trace_id, context.span_id)
    )


@pytest.mark.parametrize("pool", ["thread", "async"])
def test_a_run_goes_on_from_its_put(broker: Broker, provider: TracerProvider, exporter: InMemorySpanExporter, pool: str) -> None:
    @broker.task(queue="mails")
    def send(number: int) -> None:
        broker.queue("audit").put(b"sent")

    @broker.task(queue="mails")
    async def asend(number: int) -> None:
        await broker.queue("audit").aput(b"sent")

    with provider.get_tracer("test").start_as_current_span("outer"):
        handle = (asend if pool == "async" else send).put(1)
    broker.worker("mails", drain=True, pool=pool).run()
    found = spans(exporter)
    put, run, inner = found["put mails"], found["run mails"], found["put audit"]
    assert is_child(put, found["outer"]) and is_child(run, put) and is_child(inner, run)
    assert (put.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert [link.context.span_id for link in run.links] == [run.parent.span_id if run.parent else 0]
    assert run.attributes is not None and put.attributes is not None
    assert run.attributes["messaging.message.id"] == put.attributes["messaging.message.id"] == handle.id
    assert run.attributes["messaging.destination.name"] == "mails"
    assert run.attributes["messaging.operation.type"] == "process"
    assert run.attributes["ropeway.attempt"] == 1
    assert run.start_time is not None and put.start_time is not None and run.start_time >= put.start_time


def test_what_failed_says_so(broker: Broker, exporter: InMemorySpanExporter) -> None:
    @broker.task(retry=Retry(1))
    def wrong() -> None:
        raise ValueError("no such user")

    wrong.put()
    broker.worker("default", drain=True).run()
    run = spans(exporter)["run default"]
    assert run.status.status_code is StatusCode.ERROR
    assert run.attributes is not None and run.attributes["error.type"] == "ValueError"
    assert [event.name for event in run.events] == ["exception"]


def test_each_try_is_a_span_of_the_same_trace(broker: Broker, exporter: InMemorySpanExporter) -> None:
    tries: list[int] = []

    @broker.task(retry=Retry(3, base=0.001))
    def shaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")

    shaky.put()
    broker.worker("default", drain=True).run()
    runs = [span for span in exporter.get_finished_spans() if span.name == "run default"]
    assert [run.attributes and run.attributes["ropeway.attempt"] for run in runs] == [1, 2, 3]
    assert len({trace_of(run) for run in runs}) == 1


def test_a_batch_shares_its_span(broker: Broker, exporter: InMemorySpanExporter) -> None:
    broker.queue("mails").put_many([1, 2, 3])
    put = spans(exporter)["put mails"]
    assert put.attributes is not None and put.attributes["messaging.batch.message_count"] == 3
    headers = [entry.job.headers["traceparent"] for entry in broker.queue("mails").browse()]
    assert len(set(headers)) == 1 and f"{trace_of(put):032x}" in headers[0]


def worked(broker: Broker, act: Callable[[], None]) -> None:
    worker = broker.worker("default")
    thread = Thread(target=worker.run)
    thread.start()
    try:
        act()
    finally:
        worker.stop()
        thread.join(30)
    assert not thread.is_alive()


def test_a_call_is_one_trace_until_its_answer(broker: Broker, exporter: InMemorySpanExporter) -> None:
    seen: list[dict[str, str]] = []
    broker.on(lambda event: None)

    @broker.task(retry=Retry(1))
    def add(a: int, b: int) -> int:
        claim = ropeway.current_claim()
        assert claim is not None and claim.run.caller is not None
        seen.append(claim.run.caller.context)
        if a < 0:
            raise KeyError("negative")
        return a + b

    def act() -> None:
        assert add.call(1, 2, timeout="20s") == 3
        with pytest.raises(ropeway.RemoteError):
            add.call(-1, 2, timeout="20s")
        assert asyncio.run(add.acall(2, 2, timeout="20s")) == 4

    worked(broker, act)
    calls = [span for span in exporter.get_finished_spans() if span.name.startswith("call ")]
    puts = [span for span in exporter.get_finished_spans() if span.name == "put default"]
    runs = [span for span in exporter.get_finished_spans() if span.name == "run default"]
    assert [call.kind for call in calls] == [SpanKind.CLIENT] * 3
    for call, put, run in zip(calls, puts, runs, strict=True):
        assert is_child(put, call) and is_child(run, put)
        assert call.end_time and put.end_time and call.end_time >= put.end_time
    assert [call.status.status_code for call in calls] == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
    assert [f"{trace_of(call):032x}" in context["traceparent"] for call, context in zip(calls, seen, strict=True)] == [True] * 3


def test_replies_carry_the_context_of_their_call() -> None:
    from ropeway.calls.wire import Kind, caller_of, reply_job
    from ropeway.job import Job

    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    asked = {"ropeway-reply-to": f"_reply.{'0' * 32}", "ropeway-correlation": "1" * 32}
    caller = caller_of(Job("0" * 32, "default", headers={**asked, "traceparent": parent, "tracestate": "a=b"}))
    assert caller is not None
    assert reply_job(caller, "1" * 32, Kind.RESULT, b"", "", 1).headers["traceparent"] == parent
    for wrong in ("x" * 10_000, "00-zz", f"{parent}\n", ""):
        caller = caller_of(Job("0" * 32, "default", headers={**asked, "traceparent": wrong}))
        assert caller is not None and caller.context == {}


def test_a_call_without_an_answer_ends_as_well(broker: Broker, exporter: InMemorySpanExporter) -> None:
    @broker.task
    def nobody() -> None: ...

    with pytest.raises(ropeway.Timeout):
        nobody.call(timeout=0.01)
    call = next(span for name, span in spans(exporter).items() if name.startswith("call "))
    assert call.attributes is not None and call.attributes["error.type"] == "Timeout"


def test_claims_of_a_plain_queue(broker: Broker, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    queue = broker.queue("mails")
    queue.put(b"hello")
    claim = queue.claim()
    assert claim is not None
    with consuming(claim, provider), claim:
        queue.put(b"more")
    put, run, more = (span for span in sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0))
    assert is_child(run, put) and is_child(more, run)


def test_headers_that_are_full_stay_as_they_are(broker: Broker) -> None:
    headers = {"x": "y" * (16 * 1024 - 20)}
    handle = broker.queue("mails").put(b"", headers=headers)
    entry = handle.entry()
    assert entry is not None and entry.job.headers == headers


def test_what_the_producer_gave_is_gone_on_from(broker: Broker, exporter: InMemorySpanExporter) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    handle = broker.queue("mails").put(b"", headers={"traceparent": parent, "tracestate": "v=1", "tenant": "7"})
    entry, put = handle.entry(), spans(exporter)["put mails"]
    assert f"{trace_of(put):032x}" == "a" * 32
    assert entry is not None and entry.job.headers["tenant"] == "7" and entry.job.headers["tracestate"] == "v=1"
    context = put.get_span_context()
    assert context is not None and f"{context.span_id:016x}" in entry.job.headers["traceparent"]


def test_without_it_nothing_is_added() -> None:
    with Broker(Link("memory:"), config=False) as plain:
        handle = plain.queue("mails").put(b"")
        entry = handle.entry()
        assert entry is not None and entry.job.headers == {}
        assert plain.link.tracing is None


def test_twice_is_once(broker: Broker, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    instrument(broker, provider)
    broker.queue("mails").put(b"")
    assert len(exporter.get_finished_spans()) == 1


def test_a_request_is_gone_on_from_over_http(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    import http.client

    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    inside = Inside("memory:")
    url = inside.start()
    try:
        where, token = url.rpartition("@")[2], url.partition("//:")[2].partition("@")[0]
        for given, kept in ((parent, parent), ("00-nonsense", None)):
            connection = http.client.HTTPConnection(where, timeout=20)
            connection.request("POST", "/v1/queues/mails/jobs", b"hello", {"Authorization": f"Bearer {token}", "traceparent": given})
            answer = connection.getresponse()
            assert answer.status == 201
            handle = inside.broker.handle("mails", json.loads(answer.read())["id"])
            connection.close()
            entry = handle.entry()
            assert entry is not None and entry.job.headers.get("traceparent") == kept
    finally:
        inside.stop()


def test_a_worker_in_another_process(tmp_path: Path) -> None:
    file = tmp_path / "spans"
    env = {**os.environ, "ROPEWAY_URL": f"dir:{tmp_path}/spool?durability=os", "SPANS": str(file), "PYTHONPATH": str(Path(__file__).parent)}
    put = "import traced; traced.add.put(1, 2)"
    subprocess.run([sys.executable, "-c", put], check=True, env=env, timeout=60)
    for pool in ("thread", "process"):
        words = [sys.executable, "-m", "ropeway.cli", "work", "--app", "traced:broker", "default", "--drain", "--pool", pool]
        subprocess.run(words, check=True, env=env, timeout=60, capture_output=True)
        subprocess.run([sys.executable, "-c", put], check=True, env=env, timeout=60)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    runs = [span for span in told if span["name"] == "run default"]
    assert len(runs) == 2
    for run in runs:
        (producer,) = [span for span in told if span["context"]["span_id"] == run["parent_id"]]
        assert producer["name"] == "put default"
        (inner,) = [span for span in told if span["parent_id"] == run["context"]["span_id"]]
        assert (inner["name"], inner["context"]["trace_id"]) == ("put audit", run["context"]["trace_id"])
