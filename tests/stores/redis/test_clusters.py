"""Sentinel and Cluster: found by URL, followed through a fail-over, and in a cluster all of a queue in one place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ropeway.errors import StoreError
from ropeway.ids import IdMaker
from ropeway.message import Message
from ropeway.names import ended
from ropeway.store import Ack, Query
from ropeway.stores import open_store
from ropeway.testing.contract import Open, StoreContract
from ropeway.testing.contract.harness import HOLDER
from ropeway.testing.contract.topics import Notebook

from .conftest import Opener, Serve, make
from .servers import Server, namespace

pytestmark = pytest.mark.slow

NODES = 3
new_id = IdMaker(time.time_ns, os.urandom)


def within(seconds: float, act: Callable[[], object]) -> object:
    """Again until it does not fail."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except StoreError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_sentinels_are_followed(serve: Serve, opened: Opener, tmp_path: Path) -> None:
    primary = serve()
    replica = serve(replicaof=f"127.0.0.1 {primary.port}")
    sentinel = serve(sentinel=True)
    with sentinel.client() as client:
        client.sentinel_monitor("mymaster", "127.0.0.1", primary.port, 1)
        client.sentinel_set("mymaster", "down-after-milliseconds", 300)
        client.sentinel_set("mymaster", "failover-timeout", 2000)
    where = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/mymaster/0"
    store = opened(f"{where}?wait=1&timeout=5s")
    with replica.client() as client:
        while client.info("replication")["master_link_status"] != "up":
            pass
    assert store.put([make(body=b"%d" % n) for n in range(5)]) == [True] * 5
    with sentinel.client() as client:
        while not client.sentinel_slaves("mymaster"):
            time.sleep(0.05)
    book = Notebook()
    store.bus.listen(["a"], book)
    primary.kill()
    later = opened(where)
    found = within(30, lambda: later.browse(Query(limit=None)))
    assert isinstance(found, list)
    assert len(found) == 5
    lent = within(30, lambda: later.claim(["q"], 9, 30.0, HOLDER))
    assert isinstance(lent, list)
    assert within(10, lambda: later.ack([Ack(one.receipt) for one in lent])) == [True] * 5
    book.until(lambda book: book.gaps)
    later.bus.publish([Message("a", new_id())])
    book.until_topic("a")
    assert {missed for _, missed in book.gaps} == {-1}
    with pytest.raises(StoreError, match="no service"):
        opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/other").queues()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Three primaries, a third of the slots each."""
    folder = tmp_path_factory.mktemp("cluster")
    nodes = [Server(folder / f"node-{number}", cluster_enabled="yes", cluster_node_timeout="2000") for number in range(NODES)]
    try:
        share = 16384 // NODES + 1
        for number, node in enumerate(nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, min(16383, (number + 1) * share - 1))
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        deadline = time.monotonic() + 20
        for node in nodes:
            with node.client() as client:
                while (
                    "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO"))
                    or len(client.execute_command("CLUSTER", "SLOTS")) < NODES
                ):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def url_of(nodes: list[Server]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


class TestCluster(StoreContract):
    slack = 0.0
    counts_missed = False

    @pytest.fixture
    def open(self, cluster: list[Server]) -> Open:
        url = f"{url_of(cluster)}?namespace={namespace()}"
        return lambda clock: open_store(url, clock)


def test_queues_are_spread_and_all_of_one_is_together(cluster: list[Server], opened: Opener) -> None:
    store = opened(f"{url_of(cluster)}?namespace={namespace()}")
    names = [f"q{number}" for number in range(30)]
    assert store.put([make(name, key="k") for name in names] + [make(name) for name in names]) == [True] * 60
    sizes = []
    for node in cluster:
        with node.client() as client:
            sizes.append(sum(1 for _ in client.scan_iter(f"ropeway/{store.url.rpartition('=')[2]}:*:w")))
    assert sum(sizes) == 30
    assert all(sizes)
    assert store.queues() == sorted(names)
    assert sum(counts.ready for counts in store.counts().values()) == 60
    lent = store.claim(names, 60, 30.0, HOLDER)
    assert len(lent) == 60
    assert store.ack([Ack(one.receipt) for one in lent]) == [True] * 60
    assert not [finding for finding in store.check() if finding.level == "fault"]


@pytest.mark.parametrize("name", ["q", "x" * 128])
def test_ends_are_heard_wherever_the_queue_lies(cluster: list[Server], opened: Opener, name: str) -> None:
    """A queue with a name that is too long shares its bell of ends with others: that lies on another node, and is rung behind."""
    url = f"{url_of(cluster)}?namespace={namespace()}"
    store, waiter = opened(url), opened(url)
    store.put([make(name, keep=60.0)])
    (lent,) = store.claim([name], 1, 60.0, HOLDER)
    with ThreadPoolExecutor(1) as pool:
        heard: list[int] = []
        waiting = pool.submit(waiter.wait, [ended(name), "other"], 100.0, lambda: bool(heard.append(1)))
        while not heard:
            time.sleep(0.005)
        assert store.ack([Ack(lent.receipt)]) == [True]
        assert waiting.result(60) is True


def test_a_single_node_is_told_apart(cluster: list[Server], opened: Opener) -> None:
    plain = opened(cluster[0].url)
    with pytest.raises(StoreError, match=r"redis\+cluster"):
        for number in range(20):
            plain.put([make(f"q{number}")])


def test_a_slot_that_moves_is_followed(cluster: list[Server], opened: Opener) -> None:
    from redis.crc import key_slot

    store = opened(f"{url_of(cluster)}?namespace={namespace()}")
    clients = [node.client() for node in cluster]
    for client in clients:
        client.flushall()
    store.put([make()])
    slot = key_slot(b"q")
    ids = [client.execute_command("CLUSTER", "MYID") for client in clients]
    names = [one.decode() if isinstance(one, bytes) else one for one in ids]
    owner = next(n for n, client in enumerate(clients) if client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot))
    target = (owner + 1) % NODES
    clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[owner])
    clients[owner].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    keys = clients[owner].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
    for key in keys:
        clients[owner].execute_command("MIGRATE", "127.0.0.1", cluster[target].port, key, 0, 5000)
    with pytest.raises(StoreError, match="on its way") as caught:
        store.claim(["q"], 1, 30.0, HOLDER)
    assert caught.value.definite
    for number in (target, owner, 3 - owner - target):
        clients[number].execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[target])
    lent = within(5, lambda: store.claim(["q"], 1, 30.0, HOLDER))
    assert isinstance(lent, list)
    assert len(lent) == 1
    assert store.ack([Ack(lent[0].receipt)]) == [True]
    assert store.put([make()]) == [True]
    for client in clients:
        client.close()
