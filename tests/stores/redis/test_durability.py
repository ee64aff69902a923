"""What an answer survives, read off the live server: classes, what is required and refused, replicas, and servers that evict."""

from __future__ import annotations

import logging

import pytest

from ropeway.errors import ConfigError, StoreError
from ropeway.store import Ack
from ropeway.testing.contract.harness import HOLDER

from .conftest import Opener, Serve, make

CLASSES = {("no", "everysec"): "-", ("yes", "everysec"): "-", ("yes", "no"): "P", ("yes", "always"): "K"}


def test_the_class_follows_the_live_configuration(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(server.url)
    with server.client() as client:
        for (aof, fsync), expected in CLASSES.items():
            client.config_set("appendonly", aof)
            client.config_set("appendfsync", fsync)
            assert store.durability() == expected
            told = " ".join(finding.text for finding in store.check())
            assert (f"class {expected}" if aof == "yes" else "no append-only file") in told
            for required in "PKR":
                asks = opened(f"{server.url}?require={required}")
                if "-PKR".index(required) <= "-PKR".index(expected):
                    assert asks.put([make()]) == [True]
                else:
                    with pytest.raises(ConfigError, match=f"class {required} is required"):
                        asks.put([make()])
                    with pytest.raises(ConfigError):
                        asks.queues()
    assert sum(counts.ready for counts in store.counts().values()) == 3, "a refused store has put nothing"


def test_a_server_that_evicts_is_warned_about_and_found(serve: Serve, opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    store = opened(server.url)
    with caplog.at_level(logging.WARNING, "ropeway"):
        store.put([make()])
        store.put([make()])
    assert caplog.text.count("allkeys-lru") == 1
    assert [finding.level for finding in store.check() if "allkeys-lru" in finding.text] == ["fault"]


def test_a_put_waits_for_replicas(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(f"{server.url}?wait=1&timeout=2s")
    assert store.durability() == "R"
    with pytest.raises(StoreError, match="0 of 1 replicas") as caught:
        store.put([make()])
    assert not caught.value.definite
    assert [finding.level for finding in store.check() if "replicas" in finding.text] == ["fault"]
    replica = serve(replicaof=f"127.0.0.1 {server.port}")
    with replica.client() as client:
        while client.info("replication")["master_link_status"] != "up":
            pass
        jobs = [make() for _ in range(600)]
        assert store.put(jobs) == [True] * 600
        assert store.put([make()]) == [True]
        assert client.hlen("ropeway:{q}:j") == 602
        client.replicaof("NO", "ONE")
        assert store.put([make("calls", fleeting=True)]) == [True], "that one waits for nobody"
        with pytest.raises(StoreError, match="0 of 1 replicas"):
            store.put([make("calls", fleeting=True), make("calls")])
        server.kill()
    survivor = opened(replica.url)
    lent = survivor.claim(["q"], 1000, 30.0, HOLDER)
    assert len(lent) == 602
    assert all(survivor.ack([Ack(one.receipt) for one in lent]))


def test_acks_wait_only_when_asked_to(serve: Serve, opened: Opener) -> None:
    server = serve()
    quick = opened(f"{server.url}?wait=1&timeout=2s&durability=os")
    quick.put([make(), make()])
    one, other = quick.claim(["q"], 2, 30.0, HOLDER)
    assert quick.ack([Ack(one.receipt)]) == [True]
    slow = opened(f"{server.url}?wait=1&timeout=2s&acks=full")
    with pytest.raises(StoreError, match="replicas"):
        slow.ack([Ack(other.receipt)])
    quick.put([make(), make()])
    (third,) = quick.claim(["q"], 1, 30.0, HOLDER)
    with pytest.raises(StoreError, match="replicas"), slow.commit():
        answers = slow.ack([Ack(third.receipt)])
        assert len(slow.claim(["q"], 1, 30.0, HOLDER)) == 1, "in the same round trip"
        assert answers == [True]
