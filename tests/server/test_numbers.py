"""What a server tells of itself and of the fleet: scraped as Prometheus does, with real workers, and read as a token may."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ropeway.broker import Broker
from ropeway.errors import StoreError
from ropeway.history.reading import history
from ropeway.history.tally import Tally
from ropeway.link import Link
from ropeway.metrics import FAMILIES, Exposition
from ropeway.server.fleetwide import Fleetwide
from ropeway.server.numbers import PATIENCE, Probe
from ropeway.testing.clock import FakeClock

from .conftest import Server, Start
from .inside import Inside

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(text: str) -> Values:
    """All samples, by name and labels; each family named, explained and of its kind."""
    out: Values = {}
    for family in text_string_to_metric_families(text):
        told = FAMILIES[family.name if family.type != "counter" else f"{family.name}_total"]
        assert (family.type, family.documentation) == (told.kind, told.means)
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in out, key
            assert set(sample.labels) - {"le"} == set(told.labels)
            out[key] = sample.value
    return out


def at(values: Values, name: str, **labels: str) -> float:
    return values[name, frozenset(labels.items())]


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"dir:{tmp_path}/spool?durability=os"


def work(place: str, queue: str, *command: str) -> None:
    words = [sys.executable, "-m", "ropeway.cli", "-u", place, "work", queue, "--drain", "--retries", "1", "--", *command]
    subprocess.run(words, check=False, timeout=60, capture_output=True)


def test_prometheus_reads_what_real_workers_did(starter: Start, place: str) -> None:
    server = starter(url=place)
    for number in range(7):
        assert server.post("/v1/queues/mails/jobs", number).status == 201
    server.post("/v1/queues/wrong/jobs", 1)
    work(place, "mails", "true")
    work(place, "wrong", "sh", "-c", "exit 65")
    server.post("/v1/queues/mails/jobs", 8)
    answer = server.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = scraped(answer.body.decode())
    assert at(values, "ropeway_jobs", queue="mails", state="ready") == 1
    assert at(values, "ropeway_jobs", queue="wrong", state="dead") == 1
    assert at(values, "ropeway_job_ends_total", queue="mails", task="", outcome="done") == 7
    assert at(values, "ropeway_job_ends_total", queue="wrong", task="", outcome="dead") == 1
    assert at(values, "ropeway_job_run_seconds_count", queue="mails", task="") == 7
    assert at(values, "ropeway_job_run_seconds_bucket", queue="mails", task="", le="+Inf") == 7
    assert 0 < at(values, "ropeway_job_run_seconds_sum", queue="mails", task="") < 60
    assert at(values, "ropeway_job_wait_seconds_count", queue="mails", task="") == 7
    assert at(values, "ropeway_puts_total", queue="mails") == 8
    assert at(values, "ropeway_workers_ever_total") == 2
    assert [value for (name, _), value in values.items() if name == "ropeway_build_info"] == [1.0]
    told = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in values}
    missing = (
        {name for name, family in FAMILIES.items() if family.told != "worker"}
        - told
        - {"ropeway_store_failures_total", "ropeway_claims_total"}
    )
    assert not missing, "the server does not tell of these"


def test_what_is_settled_over_http_is_counted_by_the_server(starter: Start, place: str) -> None:
    server = starter(url=place)
    for number in range(4):
        server.post("/v1/queues/mails/jobs?task=send", number)
    jobs = server.post("/v1/queues/mails/claims?limit=4").json
    receipts = [job["receipt"] for job in jobs]
    assert server.post("/v1/ack", {"receipts": receipts[:1]}).status == 200
    assert server.post("/v1/nack", {"receipts": receipts[1:2], "error": "busy", "delay": "1h"}).status == 200
    assert server.post("/v1/nack", {"receipts": receipts[2:3], "delay": "1h"}).status == 200
    assert server.post("/v1/bury", {"receipts": receipts[3:], "error": "no such user"}).status == 200
    assert server.post("/v1/ack", {"receipts": receipts[:1]}).status == 409
    assert server.post("/q/old", {"a": 1}).status == 201
    assert server.ask("GET", "/q/old").status == 200
    assert server.stop() == 0
    again = starter(url=place)
    rows = {row["queue"]: row for row in again.ask("GET", "/v1/history?span=10m").json["rows"]}
    assert (rows["mails"]["task"], rows["mails"]["done"], rows["mails"]["failed"], rows["mails"]["dead"]) == ("send", 1, 1, 1)
    assert rows["old"]["done"] == 1
    assert rows["mails"]["run_p50"] is not None and rows["mails"]["wait_p95"] is not None
    values = scraped(again.ask("GET", "/metrics").body.decode())
    assert at(values, "ropeway_job_ends_total", queue="mails", task="send", outcome="returned") == 1


TOKENS = """
[[token]]
name = "all"
token = "all-all-all-all-all"
produce = ["*"]
consume = ["*"]
observe = ["*"]
[[token]]
name = "shop"
token = "shop-shop-shop-shop"
observe = ["shop.*"]
[[token]]
name = "none"
token = "none-none-none-none"
produce = ["*"]
"""


def test_a_token_sees_the_numbers_of_its_queues_only(starter: Start, place: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(TOKENS)
    file.chmod(0o600)
    server = starter("--token-file", str(file), url=place)
    for queue in ("shop.orders", "secret"):
        server.post(f"/v1/queues/{queue}/jobs", 1, token="all-all-all-all-all")
    work(place, "*", "true")
    for path in ("/metrics", "/v1/stats", "/v1/history", "/stats.txt"):
        everything = server.ask("GET", path, token="all-all-all-all-all").body
        own = server.ask("GET", path, token="shop-shop-shop-shop").body
        assert b"secret" in everything and b"shop.orders" in everything, path
        assert b"shop.orders" in own and b"secret" not in own, path
        assert server.ask("GET", path, token="none-none-none-none").status == 403
        assert server.ask("GET", path, token="").status == 401
    assert server.ask("GET", "/v1/history?queue=secret", token="shop-shop-shop-shop").status == 403


@pytest.mark.parametrize("query", ["span=9d", "span=x", "span=0", "queue=..%2Fx", "what=1", "span=1h&span=2h"])
def test_a_history_that_there_is_none_of_is_refused(server: Server, query: str) -> None:
    assert server.ask("GET", f"/v1/history?{query}").status == 400


def test_one_request_reports_everything(starter: Start, place: str) -> None:
    server = starter(url=place)
    server.post("/v1/queues/mails/jobs", 1)
    work(place, "mails", "true")
    server.post("/v1/queues/mails/jobs", 2)
    told: dict[str, Any] = server.ask("GET", "/v1/stats").json
    assert told["jobs"]["ready"] == told["totals"]["ready"] == 1
    assert (told["fleet"]["ever"], told["fleet"]["workers"], told["fleet"]["gone"]) == (1, 0, 1)
    assert told["queues"]["mails"]["windows"]["5m"]["done"] == 1
    assert told["windows"]["24h"]["claimed"] == 1
    assert told["windows"]["1h"]["run_p95"] > 0
    assert told["since_start"]["put"] == 2


def test_the_health_of_a_server(server: Server) -> None:
    assert server.ask("GET", "/healthz", token="").body == b"ok\n"
    assert server.ask("GET", "/readyz", token="").body == b"ready\n"


def test_lines_for_those_who_grep_and_for_what_read_resques(starter: Start, place: str) -> None:
    server = starter(url=place)
    for number in range(3):
        server.post("/v1/queues/mails/jobs", number)
    work(place, "mails", "sh", "-c", "exit 65")
    server.post("/v1/queues/mails/jobs?delay=1h", 4)
    lines = server.ask("GET", "/stats.txt").body.decode().splitlines()
    assert {"ready 0", "delayed 1", "dead 3", "mails.dead 3", "mails.running 0"} <= set(lines)
    assert {"resque.pending=1", "resque.processed+=3", "resque.failed+=3", "resque.workers=0", "resque.working=0", "queues.mails=1"} <= set(
        lines
    )


def test_why_a_server_is_not_ready(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with Broker(Link("memory:"), config=False) as broker:

        async def ask() -> str:
            return await Probe(broker).ask()

        assert asyncio.run(ask()) == ""

        def fails() -> list[str]:
            raise StoreError("no route to db.inner.example")

        monkeypatch.setattr(broker.store, "queues", fails)
        why = asyncio.run(ask())
        assert "StoreError" in why and "db.inner" not in why, "anybody may ask: where the store is, is not for them"
        assert "db.inner.example" in caplog.text


def test_a_store_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    hanging, asked = Event(), list[int]()
    monkeypatch.setattr("ropeway.server.numbers.PATIENCE", 0.01)
    assert PATIENCE > 1
    with Broker(Link("memory:"), config=False) as broker:

        def hangs() -> list[str]:
            asked.append(1)
            hanging.wait(30)
            return []

        monkeypatch.setattr(broker.store, "queues", hangs)

        async def ask() -> list[str]:
            probe = Probe(broker)
            try:
                return [await probe.ask() for _ in range(5)]
            finally:
                hanging.set()

        assert all("has not answered" in why for why in asyncio.run(ask()))
        assert len(asked) == 1


def test_many_who_ask_for_the_history_read_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from ropeway.server.past import FRESH, MOST, Recent

    clock = FakeClock()
    with Broker(Link("memory:", clock), config=False) as broker:
        recent, asked, real = Recent(broker.link), list[str](), broker.notes.notes
        monkeypatch.setattr(broker.notes, "notes", lambda prefix: (asked.append(prefix), real(prefix))[1])
        for _ in range(5):
            recent.gather(60.0)
        first = len(asked)
        assert 0 < first <= 2
        clock.advance(FRESH)
        recent.gather(60.0)
        assert len(asked) > first
        for span in range(1, 3 * MOST):
            recent.gather(float(span))
        assert len(recent._known) == MOST


@pytest.mark.parametrize(("role", "may"), [("consume", True), ("operate", True), ("produce", False), ("observe", False)])
def test_who_may_write_the_history_over_http(starter: Start, place: str, tmp_path: Path, role: str, may: bool) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(f'[[token]]\nname = "one"\ntoken = "one-one-one-one-one"\n{role} = ["*"]\n')
    file.chmod(0o600)
    server = starter("--token-file", str(file), url=place)
    with Broker(Link(f"http://:one-one-one-one-one@{server.host}"), config=False) as broker:
        tally = Tally(broker.link, "one")
        with tally.lock:
            tally.turn()
            tally.cell("mails", "send").done += 1
        assert tally.write() is may
        if may:
            assert [row.done for row in broker.history()] == [1]


def test_fleet_counters_never_fall() -> None:
    clock = FakeClock()
    with Broker(Link("memory:", clock), config=False) as broker:
        fleet = Fleetwide(broker.link)
        one, other = (Tally(broker.link, name, chance=lambda: 0.0) for name in ("one", "other"))
        told: list[int] = []
        for minute in range(60):
            for tally in (one, other):
                with tally.lock:
                    tally.turn()
                    tally.cell("mails", "send").done += minute
                    tally.cell("mails", "send").runs.append(0.5)
                tally.write()
            clock.advance(60.0)
            if minute % 3 == 0:
                told.append(fleet.totals()["mails", "send"].done)
        clock.advance(7 * 3600.0)  # all notes are over
        told.append(fleet.totals()["mails", "send"].done)
        assert told == sorted(told)
        assert told[-1] == 2 * sum(range(60)) - 2 * (59 + 58), "the last two minutes were written after the last look that saw their slot"


def test_labels_are_escaped() -> None:
    out = Exposition()
    out.add("ropeway_puts_total", {('a"b\\c\nd',): 3})
    (family,) = text_string_to_metric_families(out.text())
    assert [sample.labels for sample in family.samples] == [{"queue": 'a"b\\c\nd'}]


def test_strangers_fill_no_memory() -> None:
    from ropeway.server.exposing import MOST, Seen

    with Broker(Link("memory:"), config=False) as broker:
        seen = Seen(broker)
        for number in range(MOST + 100):
            broker.queue(f"q{number}").put(b"")
        out = Exposition()
        seen.tell(out, lambda _: True)
        values = scraped(out.text())
        assert at(values, "ropeway_puts_total", queue="_other") == 100
        assert sum(value for (name, _), value in values.items() if name == "ropeway_puts_total") == MOST + 100


def test_the_server_writes_its_own_counts_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.client
    import json
    import time

    monkeypatch.setattr("ropeway.server.counting.EACH", 0.05)
    monkeypatch.setattr("ropeway.server.counting.LATE", 0.0)
    inside = Inside("memory:")
    url = inside.start()
    try:
        where, token = url.rpartition("@")[2], url.partition("//:")[2].partition("@")[0]
        connection = http.client.HTTPConnection(where, timeout=20)

        def post(path: str, body: object) -> Any:
            connection.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            return json.loads(answer.read())

        for done in (1, 2, 3):
            post("/v1/queues/mails/jobs", done)
            (job,) = post("/v1/queues/mails/claims", {})
            post("/v1/ack", {"receipts": [job["receipt"]]})
            end = time.monotonic() + 30
            while sum(row.done for row in inside.broker.history()) < done:
                assert time.monotonic() < end
                time.sleep(0.01)
        connection.close()
    finally:
        inside.stop()


def test_an_engine_without_notes_has_no_history_and_is_told_of_all_the_same() -> None:
    from ropeway.report import report
    from ropeway.server.exposing import Seen, exposition
    from ropeway.store import Feature

    with Broker(Link("memory:"), config=False) as broker:
        broker.queue("mails").put(b"")
        broker.store.features = broker.store.features - {Feature.NOTES}
        seen, fleet = Seen(broker), Fleetwide(broker.link)
        values = scraped(exposition(broker.link, seen, fleet, lambda _: True))
        assert at(values, "ropeway_jobs", queue="mails", state="ready") == 1
        assert broker.history() == []
        told = report(broker.link)
        assert (told["workers"], told["queues"]["mails"]["ready"]) == ([], 1)
        tally = Tally(broker.link, "one")
        with tally.lock:
            tally.turn()
            tally.cell("mails", "").done += 1
        assert not tally.write()


def test_the_history_over_the_engine_http() -> None:
    with Inside("memory:") as url, Broker(Link(url), config=False) as broker:

        @broker.task
        def send(number: int) -> None: ...

        send.map(range(5))
        broker.worker("default", drain=True).run()
        (row,) = broker.history("10m")
        assert (row.queue, row.task.rpartition(".")[2], row.done) == ("default", "send", 5)
        assert history(broker.link) == broker.history()
