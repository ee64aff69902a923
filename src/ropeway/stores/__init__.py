"""The engines: one line each in the table of URL schemes. A driver is imported when its engine is opened, not before."""

from __future__ import annotations

from importlib import import_module

from ..clock import SYSTEM, Clock
from ..errors import ConfigError
from ..store import Store
from ..url import parse_url

_REDIS = frozenset({"db", "wait", "ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
_POSTGRES = frozenset(
    {"schema", "prefix", "host", "hostaddr", "port", "user", "password", "passfile", "service", "application_name"}
    | {"target_session_attrs", "load_balance_hosts", "require_auth", "channel_binding", "gssencmode", "sslmode", "sslrootcert"}
    | {"sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"}
)
_REMOTE = frozenset({"token_file", "ca", "autostart"})
_SENTINEL = _REDIS | {"sentinel_username", "sentinel_password"}

# scheme: (module, class, extra that installs its driver, the engine's own options)
ENGINES: dict[str, tuple[str, str, str, frozenset[str]]] = {
    "memory": (".memory", "MemoryStore", "", frozenset()),
    "dir": (".directory", "DirectoryStore", "", frozenset({"mode"})),
    "mysql": (".sql.mysql", "MysqlStore", "mysql", frozenset({"prefix", "socket", "ssl_ca", "ssl_cert", "ssl_key"})),
    "postgres": (".sql.postgres", "PostgresStore", "postgres", _POSTGRES),
    "postgresql": (".sql.postgres", "PostgresStore", "postgres", _POSTGRES),
    "sqlite": (".sql.sqlite", "SqliteStore", "sqlite", frozenset({"mode", "prefix", "driver"})),
    "http": (".remote", "RemoteStore", "", _REMOTE),
    "https": (".remote", "RemoteStore", "", _REMOTE),
    "redis": (".redis", "RedisStore", "redis", _REDIS),
    "rediss": (".redis", "RedisStore", "redis", _REDIS),
    "redis+sentinel": (".redis", "RedisStore", "redis", _SENTINEL),
    "rediss+sentinel": (".redis", "RedisStore", "redis", _SENTINEL),
    "redis+cluster": (".redis", "RedisStore", "redis", _REDIS),
    "rediss+cluster": (".redis", "RedisStore", "redis", _REDIS),
}


def open_store(url: str, clock: Clock = SYSTEM) -> Store:
    """The store that the URL names. Opens nothing until first use. Raises ConfigError for a URL, option or driver that is not there."""
    parsed = parse_url(url, {scheme: row[3] for scheme, row in ENGINES.items()})
    module, name, extra, _ = ENGINES[parsed.scheme]
    try:
        engine = getattr(import_module(module, __name__), name)
    except ImportError as error:
        if not extra:
            raise
        raise ConfigError(
            f"{parsed.scheme}: needs a driver that is not installed ({error.name}); nothing was opened. "
            f"Type: pip install 'ropeway[{extra}]'"
        ) from None
    store: Store = engine(parsed, clock)
    return store
