"""What a claim reads stays the same, whatever stands in front of it and whatever the planner believed when the table was empty."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from ropeway.ids import IdMaker
from ropeway.job import Job
from ropeway.store import Ack, Handback, Holder, Limits, Store
from ropeway.stores import open_store

from .postgres import Place

pytestmark = [pytest.mark.service("postgresql"), pytest.mark.timeout(240)]

HOLDER = Holder("host:1:plans", bound=False)
MANY = 100_000
JUNK = """insert into ropeway_job (id, queue, priority, due, created, state, moment, head, body)
select gen_random_uuid(), 'q', 1 + n %% 5, case when n %% 5 < 3 then 4000000000000000 else 1 end, 1, (array[0, 0, 0, 2, 3])[1 + n %% 5],
    case when n %% 5 < 3 then null else 4000000000000000 end, '', '' from generate_series(1, %s) n"""
new_id = IdMaker(time.time_ns, os.urandom)


@pytest.fixture
def store(schema: Place) -> Iterator[Store]:
    one = open_store(f"{schema.url}&durability=os&bell=off&application_name={uuid4().hex[:12]}")
    yield one
    one.close()


def made(count: int, *, laned: bool = False) -> list[Job]:
    return [Job(new_id(), "q", b"x", lane=f"lane {new_id()}" if laned else "") for _ in range(count)]


def read(schema: Place) -> int:
    """Blocks of the table and its indexes that were read so far, from wherever they came."""
    schema.ask("select pg_stat_force_next_flush()")
    schema.ask("select pg_stat_clear_snapshot()")
    return int(
        schema.ask(
            "select sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit) from pg_statio_user_tables where schemaname = %s",
            schema.schema,
        )[0][0]
    )


def cost(schema: Place, store: Store, verb: str, times: int = 10) -> float:
    """Blocks read by one round of the verb, on average. Sessions report when they end."""
    store.put(made(100 * times, laned=verb == "lanes"))
    flush(store)
    before = read(schema)
    for _ in range(times):
        lent = store.claim(["q"], 10, 60.0, HOLDER)
        assert len(lent) == 10
        if verb in ("ack", "limit", "lanes"):
            assert all(store.ack([Ack(one.receipt) for one in lent]))
        elif verb == "nack":
            assert all(store.nack([Handback(one.receipt, delay=1000.0) for one in lent]))
        elif verb == "extend":
            assert all(store.extend([one.receipt for one in lent], 60.0))
        elif verb == "keep":
            assert all(store.ack([Ack(one.receipt, keep=1000.0) for one in lent]))
        store.wait(["q"], 0.0)
    flush(store)
    return (read(schema) - before) / times


def flush(store: Store) -> None:
    """What the sessions of the store have counted is handed over."""
    for session in store.desk._stack._free:  # type: ignore[attr-defined]
        from ropeway.stores.sql.postgres.wire import Call

        session.wire.ask(Call(b"select pg_stat_force_next_flush()"))
        session.wire.ask(Call(b"select 1"))


@pytest.mark.parametrize("verb", ["ack", "nack", "extend", "keep"])
def test_a_plan_that_was_made_while_it_was_empty_stays_right(schema: Place, store: Store, verb: str) -> None:
    """Planned on an empty, vacuumed table; then 100,000 delayed, dead and done jobs of higher priority come in front. Never analysed."""
    store.put(made(1))
    for one in store.claim(["q"], 1, 60.0, HOLDER):
        store.ack([Ack(one.receipt)])
    schema.ask("vacuum ropeway_job")
    empty = cost(schema, store, verb)  # with the plans of these sessions kept from here on
    schema.ask(JUNK, MANY)
    full = cost(schema, store, verb)
    assert full < 3 * empty + 60, f"{verb}: {empty:.0f} blocks a round when empty, {full:.0f} with {MANY} in front"


PARKED = """with made as (insert into ropeway_job (id, queue, priority, due, created, state, moment, head, body, lane)
    select gen_random_uuid(), 'q', 1, 1, 1, 1, 4611686018427387904, '', '', 'long ' || n %% 10 from generate_series(1, %s) n
    returning queue, lane, priority, due, id)
insert into ropeway_place (queue, lane, parked, priority, due, id) select queue, lane, 1, priority, due, id from made"""


@pytest.mark.parametrize("verb", ["limit", "lanes"])
def test_so_does_one_of_a_guarded_queue(schema: Place, store: Store, verb: str) -> None:
    """In front come 100,000 parked jobs of ten long lanes besides."""
    if verb == "limit":
        store.limit(["q"], Limits(running=1000))
    store.put(made(1, laned=verb == "lanes"))
    for one in store.claim(["q"], 1, 60.0, HOLDER):
        store.ack([Ack(one.receipt)])
    for table in ("job", "queue", "place"):
        schema.ask(f"vacuum ropeway_{table}")
    empty = cost(schema, store, verb)
    schema.ask(JUNK, MANY)
    schema.ask(PARKED, MANY)
    full = cost(schema, store, verb)
    print(f"{verb}: {empty:.0f} blocks a round when empty, {full:.0f} with {MANY} in front")
    assert full < 3 * empty + 60, f"{verb}: {empty:.0f} blocks a round when empty, {full:.0f} with {MANY} in front"


def test_a_claim_is_planned_by_the_index_even_where_a_scan_looks_cheaper(schema: Place, store: Store) -> None:
    """Analysed while it held ten jobs, which fit into one block."""
    store.put(made(10))
    schema.ask("vacuum analyze ropeway_job")
    few = cost(schema, store, "ack")
    schema.ask(JUNK, MANY)
    assert cost(schema, store, "ack") < 3 * few + 60


def test_what_the_functions_pin_is_what_they_have(schema: Place, store: Store) -> None:
    store.put(made(1))
    rows = schema.ask(
        "select proname, proconfig from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = %s", schema.schema
    )
    assert {name for name, _ in rows} >= {"ropeway_lend_2", "ropeway_put_one_2", "ropeway_drop_2"}
    for name, pins in rows:
        assert "plan_cache_mode=force_generic_plan" in (pins or []), name
        assert "enable_seqscan=off" in pins, name
