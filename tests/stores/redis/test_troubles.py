"""Servers that go away, forget, refuse or stay silent: what is told, what survives, and that everything goes on by itself."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import redis

from ropeway.errors import StoreError
from ropeway.store import Ack, Handback, Holder, Query
from ropeway.testing.contract.harness import HOLDER

from .conftest import Opener, Serve, make


def test_a_server_that_is_not_there_is_told_at_once(opened: Opener) -> None:
    store = opened("redis://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1.*nothing was done") as caught:
        store.put([make()])
    assert caught.value.definite


def test_a_queue_whose_first_put_failed_gets_its_name_with_the_next(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(server.url)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreError, match="maxmemory"):
            store.put([make()])
        client.config_set("maxmemory", "0")
    assert store.put([make()]) == [True]
    assert store.queues() == ["q"]


def test_restarted_between_two_calls_nobody_notices(serve: Serve, opened: Opener) -> None:
    server = serve(appendonly="yes", appendfsync="always")
    store = opened(server.url)
    assert store.put([make(body=b"1")]) == [True]
    server.stop()
    server.start()
    deadline = time.monotonic() + 60  # a connection that has just answered is not looked at: its first call may fail, and is repeated
    while True:
        try:
            assert store.put([make(body=b"2")]) == [True]
            break
        except StoreError:
            assert time.monotonic() < deadline
    assert [lent.job.body for lent in store.claim(["q"], 9, 30.0, HOLDER)] == [b"1", b"2"]


@pytest.mark.parametrize("fsync", ["always", "no"])
def test_killed_under_load_nothing_that_was_answered_is_lost(serve: Serve, opened: Opener, fsync: str) -> None:
    """The process of the server, that is: what it has written the kernel keeps. With everysec it answers before it writes while a sync
    is under way: this test loses jobs with it."""
    server = serve(appendonly="yes", appendfsync=fsync)
    store = opened(server.url)
    answered: set[str] = set()
    refused = 0
    done = threading.Event()

    def put() -> None:
        nonlocal refused
        while not done.is_set():
            jobs = [make() for _ in range(3)]
            try:
                store.put(jobs)
            except StoreError:
                refused += 1
                time.sleep(0.005)
            else:
                answered.update(job.id for job in jobs)

    threads = [threading.Thread(target=put, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(answered)
        deadline = time.monotonic() + 20
        while len(answered) < before + 30:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.kill()
        server.start()
    done.set()
    for thread in threads:
        thread.join()
    assert refused, "it was never killed under a put: the test saw nothing"
    there = {entry.job.id for entry in opened(server.url).browse(Query(limit=None))}
    assert answered <= there


def test_a_forgotten_script_is_sent_again(url: str, opened: Opener, redis_url: str) -> None:
    store = opened(url)
    with redis.Redis.from_url(redis_url) as client:
        for _ in range(5):
            store.put([make() for _ in range(300)])
            client.script_flush()
            store.put([make()])
            client.script_flush()
            lent = store.claim(["q"], 100, 30.0, HOLDER)
            client.script_flush()
            with store.commit():
                assert store.put([make("other"), make("q")]) == [True, True]
                acked = store.ack([Ack(one.receipt) for one in lent[:50]])
                client.script_flush()
                backed = store.nack([Handback(one.receipt) for one in lent[50:]])
                more = store.claim(["q"], 1, 30.0, HOLDER)
            assert acked == backed == [True] * 50
            assert len(more) == 1


def test_cut_connections_under_load(url: str, opened: Opener, redis_url: str) -> None:
    """CLIENT KILL, again and again: each put that answered is there, each job is worked off, and the waiting side comes back by itself."""
    store, other = opened(url), opened(url)
    answered: set[str] = set()
    worked: set[str] = set()
    cut = threading.Event()

    def work() -> None:
        while not cut.is_set() or other.counts(["q"])["q"].ready:
            lent = []
            try:
                other.wait(["q"], 0.5)
                lent = other.claim(["q"], 10, 1.0, HOLDER)
                worked.update(one.job.id for one, ok in zip(lent, other.ack([Ack(one.receipt) for one in lent]), strict=True) if ok)
            except StoreError:
                worked.update(one.job.id for one in lent)  # an ack whose answer was cut off: done, or there still
                time.sleep(0.002)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with redis.Redis.from_url(redis_url) as client:
            for number in range(200):
                jobs = [make()]
                try:
                    store.put(jobs)
                    answered.update(job.id for job in jobs)
                except StoreError:
                    pass
                if number % 10 == 0:
                    for kind in ("normal", "pubsub"):
                        client.client_kill_filter(_type=kind, skipme=True)
        assert len(answered) > 100
        deadline = time.monotonic() + 30
        while not answered <= worked | {entry.job.id for entry in again(store)}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        cut.set()
    thread.join(20)
    assert not thread.is_alive()


def again(store: object) -> list[object]:
    """What waits or runs, however often the connection was cut before."""
    while True:
        try:
            return store.browse(Query(limit=None))  # type: ignore[attr-defined, no-any-return]
        except StoreError:
            continue


def test_a_silent_server_is_given_up_within_the_timeout(serve: Serve, opened: Opener) -> None:
    server = serve()
    store = opened(f"{server.url}?timeout=300ms")
    store.put([make()])
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for _ in range(2):  # by a connection that is there, and by a new one
            begun = time.monotonic()
            with pytest.raises(StoreError, match=r"in time|[Tt]imeout|timed out"):
                store.put([make()])
            assert time.monotonic() - begun < 20
    finally:
        os.kill(server.pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert store.put([make()]) == [True]
            break
        except StoreError:
            assert time.monotonic() < deadline


def test_the_replies_of_a_call_that_was_interrupted_reach_nobody_else(url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(url)
    store.put([make(body=b"1")])
    from ropeway.stores.redis.wire import Wire

    receive = Wire.receive

    def interrupted(wire: Wire) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Wire, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.claim(["q"], 1, 30.0, HOLDER)
    monkeypatch.setattr(Wire, "receive", receive)
    assert store.queues() == ["q"]
    assert store.counts(["q"])["q"].running == 1


# -- what a server refuses


def test_a_key_of_another_program(url: str, opened: Opener, redis_url: str) -> None:
    store = opened(url)
    store.put([make()])
    name = url.rpartition("=")[2]
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"ropeway/{name}:{{taken}}:j", "x")
        for act in (lambda: store.put([make("taken")]), lambda: store.put([make("taken"), make("taken")])):
            with pytest.raises(StoreError, match="another program"):
                act()
        client.set(f"ropeway/{name}:{{places}}:w", "x")
        for act in (lambda: store.put([make("places")]), lambda: store.claim(["places"], 1, 30.0, HOLDER)):
            with pytest.raises(StoreError, match="another program"):
                act()
        assert client.hlen(f"ropeway/{name}:{{places}}:j") == 0, "a job without a place would be lost without a word"
    assert len(store.claim(["q"], 1, 30.0, HOLDER)) == 1


def test_a_full_server_refuses_puts_and_lets_jobs_finish(serve: Serve, opened: Opener) -> None:
    server = serve(maxmemory="8mb", maxmemory_policy="noeviction")
    store = opened(server.url)
    with pytest.raises(StoreError, match="maxmemory") as caught:
        for _ in range(1000):
            store.put([make(body=b"x" * 20_000) for _ in range(20)])
    assert caught.value.definite
    lent = store.claim(["q"], 10, 30.0, HOLDER)
    assert len(lent) == 10
    assert store.extend([one.receipt for one in lent], 60.0) == [True] * 10
    assert store.nack([Handback(lent[0].receipt, delay=5.0)]) == [True]
    assert store.bury([Handback(lent[1].receipt)]) == [True]
    assert store.ack([Ack(one.receipt) for one in lent[2:]]) == [True] * 8
    assert not [finding for finding in store.check() if finding.level == "fault"]


def test_a_replica_is_told_as_such(serve: Serve, opened: Opener) -> None:
    primary = serve()
    replica = serve(replicaof=f"127.0.0.1 {primary.port}")
    with pytest.raises(StoreError, match="replica") as caught:
        opened(replica.url).put([make()])
    assert caught.value.definite


def test_passwords_are_asked_for_and_never_shown(serve: Serve, opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(requirepass="hunter2")
    for login, word in (("", "password"), (":hunter3@", "wrong"), ("nobody:hunter2@", "wrong")):
        with pytest.raises(StoreError, match=word) as caught:
            opened(f"redis://{login}127.0.0.1:{server.port}").put([make()])
        assert caught.value.definite
        assert "hunter" not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    store = opened(f"redis://:hunter2@127.0.0.1:{server.port}")
    assert store.put([make()]) == [True]
    assert "hunter2" not in store.url
    assert "hunter2" not in " ".join(finding.text for finding in store.check()) + caplog.text


def test_a_user_with_few_rights(serve: Serve, opened: Opener) -> None:
    """As managed servers give them: no CONFIG, perhaps no channels. Everything works; of the class only what is sure is told."""
    server = serve(appendonly="yes", appendfsync="always")
    with server.client() as client:
        client.acl_setuser(
            "app", enabled=True, passwords=["+pw"], keys=["ropeway*"], categories=["+@all", "-@dangerous"], commands=["+info"]
        )
    store = opened(f"redis://app:pw@127.0.0.1:{server.port}")
    assert store.put([make()]) == [True]
    assert store.durability() == "-", "nothing is sure: CONFIG may not be read"
    findings = list(store.check())
    assert not [finding for finding in findings if finding.level == "fault"]
    assert any("CONFIG" in finding.text for finding in findings)
    lent = store.claim(["q"], 1, 30.0, HOLDER)
    begun = time.monotonic()
    assert store.wait(["q"], 0.2) is False
    assert 0.15 < time.monotonic() - begun < 20
    assert any("listen" in finding.text for finding in store.check())
    assert store.ack([Ack(lent[0].receipt)]) == [True]
    with server.client() as client:
        client.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["%R~ropeway*"], categories=["+@read"])
    with pytest.raises(StoreError, match="may not do that"):
        opened(f"redis://reader:pw@127.0.0.1:{server.port}").put([make()])


def test_a_closed_store_says_so(url: str, opened: Opener) -> None:
    store = opened(url)
    store.put([make()])
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed") as caught:
        store.put([make()])
    assert caught.value.definite


def test_a_fork_works_by_connections_of_its_own(url: str, opened: Opener) -> None:
    store = opened(url)
    store.put([make() for _ in range(20)])
    lent = store.claim(["q"], 1, 30.0, HOLDER)
    assert store.wait(["q"], 0.0)
    pids = []
    for number in range(4):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                mine = [store.claim(["q"], 1, 30.0, Holder(f"child-{number}"))[0] for _ in range(4)]
                ok = all(store.ack([Ack(one.receipt) for one in mine])) and not store.wait(["none"], 0.05)
                store.close()
                code = 0 if ok else 2
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    assert store.ack([Ack(lent[0].receipt)]) == [True]
    counts = store.counts(["q"])["q"]
    assert (counts.ready, counts.running) == (3, 0)


# -- damage


def test_a_damaged_job_is_buried_with_the_reason_and_the_others_go_out(url: str, opened: Opener, redis_url: str) -> None:
    store = opened(url)
    jobs = [make(body=b"%d" % n) for n in range(3)]
    store.put(jobs)
    name = url.rpartition("=")[2]
    key = f"ropeway/{name}:{{q}}:j"
    with redis.Redis.from_url(redis_url) as client:
        field = bytes.fromhex(jobs[1].id)
        record = client.hget(key, field)
        assert isinstance(record, bytes)
        client.hset(key, field, record[:18] + b"\x01garbage")
        newer = bytes.fromhex(jobs[2].id)
        record = client.hget(key, newer)
        assert isinstance(record, bytes)
        client.hset(key, newer, record[:18] + b"\x09" + record[19:])
    assert [lent.job.body for lent in store.claim(["q"], 9, 30.0, HOLDER)] == [b"0"]
    counts = store.counts(["q"])["q"]
    assert (counts.dead, counts.delayed, counts.running) == (1, 1, 1), "the newer format waits for a newer ropeway"
    assert "Damaged" in store.browse(Query(ids=(jobs[1].id,)))[0].error
    assert store.delete(Query(limit=None)) == 2


def test_a_connection_that_another_thread_has_closed_is_not_used(url: str, opened: Opener) -> None:
    """One thread finds the server gone and closes what lies idle, while another one takes a connection out of there."""
    store = opened(url)
    store.put([make()])
    wire = store._hub.take()
    wire.close()
    wire._used = float("-inf")
    store._hub.give(wire)
    assert store.queues() == ["q"]
