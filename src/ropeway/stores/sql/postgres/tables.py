"""The tables and functions: found, or made by the first who comes, while all others wait; what they are is told by their versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....errors import ConfigError, StoreError
from ....url import StoreUrl
from ..record import NEVER
from ..schema import LEAST, VERSION, refuse_newer, steps
from ..statements import Statements
from ..words import INDEXES
from .address import GENERATION, names, schema_of
from .bulk import COLUMNS as BULK_COLUMNS
from .calls import BIND, Caller
from .wire import Call, Wire

OLDEST = 130000
FUNCTIONS = 1  # raised with each change of functions.sql that keeps names and arguments: the newer of two releases has its way
FILES = ("common.sql", "postgres/verbs.sql", "postgres/schema.sql", "postgres/schema_2.sql", "postgres/functions.sql")

PINS = (
    "set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off "
    "set enable_mergejoin = off set enable_sort = off set jit = off"
)
_CLOCK = (
    "(select (extract(epoch from clock_timestamp()) * 1000000)::bigint)"  # a subselect: asked once, and an index may be searched with it
)


def statements(
    url: StoreUrl, schema: str, columns: str, *, own_clock: bool, bind: Callable[[str], str] = BIND, plain_id: str = "id"
) -> Statements:
    """All statements, for the tables in this schema. `own_clock`: the server's own time counts, not one that is given. `plain_id`: the id
    as what the driver makes text of."""
    words = names(url, schema) | {
        "columns": columns.replace("id,", f"{plain_id},", 1),
        "bulk_columns": BULK_COLUMNS,
        "pins": PINS,
        "id": plain_id,
        "among_ids": "id = any(:ids)",
        "among_queues": "queue = any(:queues)",
        "among_lanes": "lane = any(:lanes)",
        "lane": "lane",
        "never": str(NEVER),
        "now": _CLOCK if own_clock else ":now",
        "boot": _CLOCK if own_clock else ":boot",
        "p_now": "null" if own_clock else ":now",
        "p_boot": "null" if own_clock else ":boot",
        "locked": "for update",
        "free": "for update skip locked",
        **dict.fromkeys(INDEXES, ""),
    }
    return Statements(*FILES, words=words, bind=bind)


def find_schema(wire: Wire, url: StoreUrl) -> tuple[str, bool]:
    """The schema of the tables, and whether they are there: the one that the URL names, else the first of the search path that has them,
    else the one where PostgreSQL would make them."""
    if wire.pg.server_version < OLDEST:
        raise ConfigError(f"{url.text}: this is PostgreSQL {wire.pg.server_version // 10000}; 13 or newer is needed; nothing was opened")
    named = schema_of(url)
    meta = names(url, named)["meta"]
    row = wire.ask(
        Call(
            b"select n.nspname::text, current_schema()::text from (select to_regclass($1)) t(r) left join pg_class c on c.oid = t.r "
            b"left join pg_namespace n on n.oid = c.relnamespace",
            [meta.encode()],
            [25],
            [0],
        )
    )[0]
    schema = named or row[0] or row[1]
    if not schema:
        raise StoreError(
            f"{url.text}: no schema of the search path exists; nothing was done. Name one: schema=NAME, it is made", definite=True
        )
    return schema, row[0] is not None


def make(wire: Wire, url: StoreUrl, schema: str, found: Statements, *, there: bool) -> int:
    """Make what is missing, and bring the functions up to date; the version that was found. Needs no right to create when nothing is
    missing."""
    caller = Caller()

    def run(name: str, **values: Any) -> list[tuple[Any, ...]]:
        return wire.ask(caller.call(found, name, values))

    def state() -> tuple[int, int]:
        schema_version, functions = run("read_meta", key="schema"), run("read_meta", key=f"functions {GENERATION}")
        least = run("read_meta", key="least")
        version = int(schema_version[0][0]) if schema_version else 0
        refuse_newer(url.text, version, int(least[0][0]) if least else version)
        return version, int(functions[0][0]) if functions else 0

    if there and _fits(before := state()):
        return before[0]
    wire.ask(Call(b"begin"))
    try:
        wire.ask(Call(b"select pg_advisory_xact_lock(hashtextextended($1, 0))", [f"ropeway {found['read_meta']}".encode()], [25], [0]))
        if not wire.ask(Call(b"select 1 from pg_namespace where nspname = $1", [schema.encode()], [25], [0])):
            wire.ask(Call(f'create schema if not exists "{schema}"'.encode()))
        if not wire.ask(Call(b"select to_regclass($1)::oid::bigint", [names(url, schema)["meta"].encode()], [25], [0]))[0][0]:
            run("table_meta")
        before = state()
        if not _fits(before):
            tables = [name for name in found if name.startswith(("table_", "index_"))] if not before[0] else []
            for name in tables + steps(found, before[0]) + [name for name in found if name.startswith("function_")]:
                run(name)
            if before[0] < VERSION:
                run("write_meta", key="schema", fact=str(VERSION))
                run("write_meta", key="least", fact=str(LEAST))
            run("write_meta", key=f"functions {GENERATION}", fact=str(FUNCTIONS))
        wire.ask(Call(b"commit"))
        return before[0]
    except BaseException:
        if not wire.broken:
            wire.ask(Call(b"rollback"))
        raise


def _fits(state: tuple[int, int]) -> bool:
    return state[0] >= VERSION and state[1] >= FUNCTIONS
