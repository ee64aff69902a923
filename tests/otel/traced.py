"""A program whose connection is instrumented, for workers in processes of their own: spans go to a file, a line each."""

from __future__ import annotations

import os

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import ropeway
from ropeway.otel import instrument

provider = TracerProvider()
out = open(os.environ["SPANS"], "a", buffering=1)
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")))

broker = ropeway.connect(os.environ["ROPEWAY_URL"])
instrument(broker, provider)


@broker.task(keep="1h")
def add(a: int, b: int) -> int:
    broker.queue("audit").put(b"added")
    return a + b
