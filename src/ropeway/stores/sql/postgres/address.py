"""Where the server is and how to speak to it: the URL as libpq takes it, and the names of the tables in it."""

from __future__ import annotations

import re

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError

from ....errors import ConfigError
from ....names import shown
from ....url import StoreUrl
from ..words import OPTIONS, index_name, table_names

LIBPQ = frozenset(
    {"host", "hostaddr", "port", "user", "password", "passfile", "service", "application_name", "target_session_attrs"}
    | {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation", "channel_binding", "gssencmode"}
    | {"load_balance_hosts", "require_auth"}
)
OWN_OPTIONS = OPTIONS | LIBPQ | {"schema"}

INDEXES = ("due", "moment", "ended", "key")
PLACE_INDEXES = ("ends", "order")
FUNCTIONS = ("put_one", "put_many", "may_put", "make_ready", "ring", "lend", "drop", "next_due", "announce", "withdrawn", "rung")
GENERATION = 2  # of the functions: one whose meaning or arguments change gets new names, and old processes go on calling the old
LONGEST = 63  # bytes of a name in PostgreSQL; what is longer is cut without a word, and two names become one

# libpq's words for: the server is to be given up on when it is silent, though the connection stands
_ALIVE = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}\Z", re.ASCII)


def conninfo(url: StoreUrl) -> dict[str, str]:
    """What libpq must be told, the password included."""
    if not url.rest.startswith("//"):
        raise ConfigError(f"{url.text}: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; nothing was opened")
    try:
        given = conninfo_to_dict("postgresql:" + url.rest, **{name: url.more[name] for name in LIBPQ if name in url.more})
    except ProgrammingError as error:
        raise ConfigError(f"{url.text}: {_first_line(error)}; nothing was opened") from None
    where = {name: str(value) for name, value in given.items() if value is not None}
    where.setdefault("application_name", "ropeway")
    silent = {"connect_timeout": str(max(2, round(url.timeout))), "tcp_user_timeout": str(max(1000, round(url.timeout * 1000)))}
    return _ALIVE | silent | where


def _first_line(error: Exception) -> str:
    """libpq quotes what it cannot read, and that may hold the password: what stands in quotes is left out."""
    return re.sub(r'"[^"]*"', '"..."', str(error).strip().splitlines()[0])


def schema_of(url: StoreUrl) -> str:
    """The schema that the URL names; empty when the search path decides."""
    schema = url.more.get("schema", "")
    if schema and not _SCHEMA.match(schema):
        raise ConfigError(
            f"{url.text}: schema={shown(schema)} is not possible: letters, digits, _ and -, up to {LONGEST}; nothing was opened"
        )
    return schema


def names(url: StoreUrl, schema: str = "") -> dict[str, str]:
    """Every name that the statements use: tables and functions in their schema, indexes bare, as they must stand."""
    bare = table_names(url)
    for name in FUNCTIONS:
        bare[name] = f"{bare['meta'][:-5]}{name}_{GENERATION}{bare['meta'][-1]}"
    words = {f"job_{name}": index_name(url, name) for name in INDEXES}
    words |= {f"place_{name}": f'{bare["place"][:-1]}_{name}"' for name in PLACE_INDEXES}
    for name in (*bare.values(), *words.values()):
        if len(name) - 2 > LONGEST:
            raise ConfigError(
                f"{url.text}: {name} is longer than the {LONGEST} bytes that PostgreSQL keeps of a name; nothing was opened. "
                "Give a shorter prefix or namespace"
            )
    within = f'"{schema}".' if schema else ""
    return words | {name: within + quoted for name, quoted in bare.items()}
