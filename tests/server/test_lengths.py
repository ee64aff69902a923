"""Messages of a WebSocket come whole whatever their length, compressed or not: short ones take a way of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from .conftest import Server


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_answers_of_every_length(server: Server, compression: Any) -> None:
    told = {"Authorization": f"Bearer {server.token}"}
    with connect(f"ws://{server.host}/v1/ws", additional_headers=told, compression=compression, open_timeout=30, proxy=None) as talk:

        def ask(**message: Any) -> tuple[int, Any]:
            talk.send(json.dumps(message))
            answer = talk.recv(30)
            return len(answer), json.loads(answer)

        queue = f"lengths-{compression}"
        lengths = set()
        for count in range(15, 20):  # the head of a frame is another from 126 bytes on
            for n in (0, 10, 100, 1000, 10_000, 100_000):
                length, answer = ask(n=n, op="ack", receipts=["gone"] * count)
                assert answer == {"n": n, "answers": [False] * count}
                lengths.add(length)
        assert lengths > {124, 125, 126, 127}
        for size in (0, 1000, 1300, 1500, 66_000):
            ask(op="put", queue=queue, body="b" * size)
            length, answer = ask(op="claim", queue=queue)
            lengths.add(length)
            (job,) = answer["jobs"]
            assert job["body"] == "b" * size
            assert ask(op="ack", receipts=[job["receipt"]])[1] == {"n": 0, "answers": [True]}
        assert max(lengths) > 65_536
