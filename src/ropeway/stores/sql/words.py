"""The words that every dialect has its own for: the names of the tables, under the prefix and the namespace that the URL gives."""

from __future__ import annotations

import re

from ...errors import ConfigError
from ...names import shown
from ...url import StoreUrl

OPTIONS = frozenset({"prefix"})
PREFIX = "ropeway_"
TABLES = ("job", "queue", "note", "waiting", "meta", "place")
INDEXES = {"by_id": "PRIMARY", "by_due": "due", "by_moment": "moment", "by_place": "PRIMARY", "by_ends": "ends", "by_parked": "in_order"}
"""What a statement says that shall go by one index and no other, and what that is called where an index is named within its table."""

_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,31}\Z|\Z", re.ASCII)


def table_names(url: StoreUrl, quote: str = '"') -> dict[str, str]:
    """The name of each table, quoted. A namespace is a set of tables of its own: its point cannot stand in a prefix."""
    prefix = url.more.get("prefix", PREFIX)
    if not _PREFIX.match(prefix):
        raise ConfigError(
            f"{url.text}: prefix={shown(prefix)} is not possible: lower-case letters, digits and _, up to 32; nothing was opened"
        )
    within = f"{url.namespace}." if url.namespace else ""
    return {name: f"{quote}{prefix}{within}{name}{quote}" for name in TABLES}


def index_name(url: StoreUrl, name: str, quote: str = '"') -> str:
    """The name of an index, quoted."""
    return table_names(url, quote)["job"][:-1] + f"_{name}{quote}"
