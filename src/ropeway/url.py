"""One URL says where the jobs are. Parsed here, strictly: an option that nobody knows is an error, not a silent default."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from .bells.choice import BellChoice, read_choice
from .durations import seconds
from .errors import BadName, BadValue, ConfigError
from .names import check_name, shown

COMMON = frozenset({"namespace", "durability", "acks", "require", "poll", "bell", "bell_secret", "timeout", "dead_keep"})

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)\Z", re.DOTALL | re.ASCII)
_SECRET = re.compile(r"(//[^/@:]*):[^/]*@")  # up to the last @: a password may hold one


class StoreUrl(Struct, frozen=True):
    """A store's URL, taken apart.

    `rest` is what stands between the scheme's colon and the question mark, percent-decoded for engines that live in a path.
    `poll`: longest sleep of an idle worker without a bell, seconds; None = adaptive up to 5 s. `timeout`: longest wait for the engine.
    `bell` as it was given: on, off or udp://HOST:PORT; `bell_choice` is the same taken apart, with its secret.
    `require` refuses to start below that durability class. `dead_keep`: seconds that dead jobs are kept, 0 = until deleted.
    `more` holds the engine's own options.
    """

    scheme: str
    rest: str
    text: str  # as given, without secrets: fit for logs and errors
    namespace: str = ""
    durability: str = "full"
    acks: str = "os"
    require: str = ""
    poll: float | None = None
    bell: str = "on"
    bell_choice: BellChoice = BellChoice()
    timeout: float = 30.0
    dead_keep: float = 0.0
    more: Mapping[str, str] = {}


def parse_url(url: str, own: Mapping[str, frozenset[str]]) -> StoreUrl:
    """Take a URL apart. `own` names, for each scheme that exists, the options of that engine beyond the common ones.

    Raises ConfigError, naming what is wrong and what is possible.
    """
    if not isinstance(url, str) or "\0" in url:
        raise ConfigError(f"{shown(url)} is no store URL; nothing was opened. Write for example dir:spool or sqlite:jobs.db")
    found = _SCHEME.match(url)
    if not found or found[1] not in own:
        known = " ".join(f"{s}:" for s in sorted(own))
        raise ConfigError(f"{shown(hidden(url))} is no store URL; nothing was opened. It must start with one of: {known}")
    scheme, (rest, _, query) = found[1], found[2].partition("?")
    options = _options(query, url)
    allowed = COMMON | own[scheme]
    for name in options:
        if name not in allowed:
            raise ConfigError(f"{scheme}: has no option {shown(name)}; nothing was opened. It has: {' '.join(sorted(allowed))}")
    try:
        return StoreUrl(
            scheme=scheme,
            rest=_unquote(rest) if "//" not in rest[:2] else rest,
            text=hidden(url),
            namespace=check_name(options["namespace"], "namespace") if options.get("namespace") else "",
            durability=_one_of(options, "durability", "full", "os"),
            acks=_one_of(options, "acks", "os", "full"),
            require=_one_of(options, "require", "", "P", "K", "R"),
            poll=seconds(options["poll"], "poll") if "poll" in options else None,
            bell=options.get("bell", "on"),
            bell_choice=read_choice(options),
            timeout=seconds(options.get("timeout", 30.0), "timeout"),
            dead_keep=seconds(options.get("dead_keep", 0.0), "dead_keep"),
            more={k: v for k, v in options.items() if k not in COMMON},
        )
    except (BadName, BadValue) as error:
        raise ConfigError(f"{hidden(url)}: {error}") from None


def hidden(url: str) -> str:
    """The URL without the password in it, without the values of options that name a secret, and on one line."""
    plain = _SECRET.sub(r"\1:***@", url)
    plain = re.sub(r"([?&][^=&]*(?:secret|password|token)[^=&]*=)[^&]*", r"\1***", plain)
    return plain if plain.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)


def _options(query: str, url: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ConfigError(f"{hidden(url)}: {shown(part)} is no option; write name=value, joined by &; nothing was opened")
        if name in out:
            raise ConfigError(f"{hidden(url)}: the option {shown(name)} is given twice; nothing was opened")
        out[name] = _unquote(value)
    return out


def _one_of(options: Mapping[str, str], name: str, *values: str) -> str:
    value = options.get(name, values[0])
    if value not in values:
        raise BadValue(f"{name}={shown(value)} is not possible, choose one of: {' '.join(v for v in values if v)}; nothing was opened")
    return value


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
    out = raw.decode("utf-8", "surrogateescape")
    if "\0" in out:
        raise ConfigError("a URL cannot hold a NUL byte; nothing was opened")
    return out
