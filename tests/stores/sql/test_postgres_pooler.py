"""PostgreSQL behind PgBouncer in transaction mode: each transaction may have another connection to the server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Store
from ropeway.stores import open_store

from .postgres import Place

pytestmark = [pytest.mark.service("postgresql"), pytest.mark.timeout(120)]

HOLDER = Holder("host:1:pooled", bound=False)
moment = threading.Event().wait  # for a sleeper to be asleep
new_id = IdMaker(time.time_ns, os.urandom)
PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def made(count: int) -> list[Job]:
    return [Job(new_id(), "q", b"x") for _ in range(count)]


@pytest.fixture
def pooler(service_url: str, tmp_path: Path) -> Iterator[str]:
    """The server and port of a pooler of this test's own, with three connections for all."""
    if PROGRAM is None:
        why = "no pgbouncer: apt-get install pgbouncer"
        pytest.fail(why) if os.environ.get("CI", "").lower() not in {"", "0", "false"} else pytest.skip(why)
    parts = urlsplit(service_url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path("/tmp") / f"ropeway-pooler-{os.getpid()}-{port}"
    folder.mkdir(mode=0o755)
    (folder / "ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}\n"
        "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
        f"default_pool_size = 3\nlogfile = {folder}/log\n"
    )
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "SIGKILL"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    process = subprocess.Popen([*as_user, PROGRAM, "-q", str(folder / "ini")])
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < end and process.poll() is None, "pgbouncer did not start"
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


@pytest.fixture
def pooled(pooler: str, schema: Place) -> Iterator[Store]:
    parts = urlsplit(schema.url)
    one = open_store(f"postgresql://{parts.username}@{pooler}{parts.path}?{parts.query}")
    yield one
    one.close()


def test_every_verb_works_and_connections_are_mixed(pooled: Store, schema: Place) -> None:
    pooled.put(made(1))
    pooled.claim(["q"], 1, 60.0, HOLDER)
    errors: list[BaseException] = []
    done: list[bool] = []

    def life() -> None:
        try:
            for turn in range(15):
                jobs = made(60 if turn % 5 == 0 else 3)
                assert all(pooled.put(jobs))
                with pooled.commit():
                    pooled.put(made(1))
                    lent = pooled.claim(["q"], 4, 60.0, HOLDER)
                done.extend(pooled.nack([Handback(one.receipt) for one in lent[:1]]))
                done.extend(pooled.ack([Ack(one.receipt, keep=60.0 if turn % 2 else None) for one in lent[1:]]))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=life) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    assert done
    assert all(done)
    counts = pooled.counts(["q"])["q"]
    stored = 6 * (3 * 60 + 12 * 3 + 15) + 1
    acked = len(done) - 6 * 15
    assert counts.ready + counts.running + counts.done + acked - counts.done == stored


def test_the_bell_is_known_not_to_ring_and_the_poll_stands_in(pooled: Store, schema: Place) -> None:
    pooled.put(made(1))
    assert any(one.level == "warning" and "pooler" in one.text for one in pooled.check())
    for one in pooled.claim(["q"], 1, 60.0, HOLDER):
        pooled.ack([Ack(one.receipt)])
    woken: list[float] = []

    def sleep() -> None:
        if pooled.wait(["q"], 30.0):
            woken.append(time.monotonic())

    thread = threading.Thread(target=sleep)
    thread.start()
    moment(0.5)
    direct = open_store(schema.url)
    direct.put(made(1))
    begun = time.monotonic()
    thread.join(30)
    assert woken
    assert woken[0] - begun < 10
    direct.close()


def test_who_puts_through_a_pooler_rings_those_who_listen_without_one(pooled: Store, schema: Place) -> None:
    direct = open_store(f"{schema.url}&poll=60s")
    pooled.put([Job(new_id(), "other", b"x")])
    woken: list[float] = []

    def sleep() -> None:
        if direct.wait(["q"], 50.0):
            woken.append(time.monotonic())

    thread = threading.Thread(target=sleep)
    thread.start()
    end = time.monotonic() + 20
    while schema.ask("select count(*) from ropeway_waiting") == [(0,)]:
        assert time.monotonic() < end
        time.sleep(0.02)
    moment(0.3)
    begun = time.monotonic()
    pooled.put(made(1))
    thread.join(20)
    assert woken
    assert woken[0] - begun < 5
    direct.close()
