"""Jobs that have ended leave nothing on the server. ROPEWAY_REDIS_JOBS=1000000 lets a million go through."""

from __future__ import annotations

import os
from itertools import cycle

import pytest

from ropeway.store import Ack, Handback, Query
from ropeway.testing.contract.harness import HOLDER

from .conftest import Opener, Serve, make

JOBS = int(os.environ.get("ROPEWAY_REDIS_JOBS", "20000"))
BATCH = 500


@pytest.mark.timeout(120 + JOBS // 2000)
def test_what_has_ended_leaves_nothing(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(server.url)
    kinds = cycle(
        [
            {},
            {},
            {"key": True},
            {"delay": 0.001},
            {"ttl": 600.0},
            {"keep": 600.0, "key": True},
            {"priority": 3},
            {"lane": True},
            {"lane": True, "ttl": 600.0},
        ]
    )
    with server.client() as client:
        store.put([make()])
        store.ack([Ack(store.claim(["q"], 1, 30.0, HOLDER)[0].receipt)])
        before = client.info("memory")["used_memory"]
        most = number = 0
        for _ in range(0, JOBS, BATCH):
            batch = []
            for _ in range(BATCH):
                fields: dict[str, object] = dict(next(kinds))
                number += 1
                if fields.get("key"):
                    fields["key"] = f"key-{number}"
                if fields.get("lane"):
                    fields["lane"] = f"lane-{number % 1000}"
                batch.append(make(body=b"x" * 100, **fields))
            assert all(store.put(batch))
            most = max(most, client.info("memory")["used_memory"])
            left = BATCH
            while left:
                lent = store.claim(["q"], BATCH, 30.0, HOLDER)
                store.nack([Handback(one.receipt) for one in lent if one.attempt == 1][:5])
                left -= sum(store.ack([Ack(one.receipt, b"result", keep=0.0) for one in lent]))
        keys = [key.decode() for key in client.keys("*")]
        after = client.info("memory")["used_memory"]
    assert store.browse(Query(limit=None)) == []
    assert keys == ["ropeway:{+queues}"]
    assert most - before > 200 * 100, "nothing was measured"
    assert after - before < 300_000, f"{JOBS} jobs left {after - before} bytes"
