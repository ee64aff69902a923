"""Calls over HTTP, answered by a real worker in a thread of its own."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .inside import Inside


@pytest.fixture
def ask() -> Iterator[Any]:
    """Asks the server of a store that a worker serves."""
    inside = Inside("memory:")

    @inside.broker.task
    def add(a: int, *, b: int = 1) -> int:
        return a + b

    @inside.broker.task
    def fail() -> None:
        raise ValueError("no such user")

    @inside.broker.task
    def odd() -> bytes:
        return b"\xff"

    worker = inside.broker.worker("default", concurrency=1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    where = inside.start()
    token, _, host = where.removeprefix("http://:").partition("@")

    def post(path: str, value: object) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, json.loads(data)

    yield post
    worker.stop()
    thread.join(30)
    inside.stop()


def test_a_call_is_answered(ask: Any) -> None:
    assert ask("/v1/call/add", {"args": [1], "kwargs": {"b": 41}}) == (200, 42)


def test_what_it_raised_comes_back(ask: Any) -> None:
    status, problem = ask("/v1/call/fail", {})
    assert (status, problem["remote_type"]) == (502, "ValueError")
    assert "no such user" in problem["detail"]
    assert "raise ValueError" in problem["traceback"]


def test_a_task_that_nobody_knows(ask: Any) -> None:
    status, problem = ask("/v1/call/nothing", {})
    assert status == 502
    assert "nothing" in problem["detail"]


def test_nobody_answers(ask: Any) -> None:
    assert ask("/v1/call/add?queue=elsewhere&timeout=0.2", {"args": [1]})[0] == 504


def test_calls_that_make_no_sense(ask: Any) -> None:
    assert ask("/v1/call/add?timeout=0", {})[0] == 400
    assert ask("/v1/call/add?timeout=1h", {})[0] == 400
    assert ask("/v1/call/add?queue=..%2f", {})[0] == 400
    assert ask("/v1/call/add", [])[0] == 400
    assert ask("/v1/call/odd", {})[0] in (200, 422)
