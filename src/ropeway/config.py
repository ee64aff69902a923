"""The configuration: which URL is meant and why, and every setting of `ropeway.toml` in one table.

The file is found by $ROPEWAY_CONFIG, else as `ropeway.toml`, or as [tool.ropeway] of a `pyproject.toml`, in the working directory or above
it, else as $XDG_CONFIG_HOME/ropeway/ropeway.toml.

    context = "here"

    [contexts.here]
    url = "dir:spool"                       # from the file's own folder

    [queues.mails]
    retry = { attempts = 8, cap = "1d" }
    keep = "1h"

    [worker]
    concurrency = 8
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from .codecs import named
from .demands import check_limits
from .durations import seconds
from .errors import BadName, BadValue, ConfigError
from .job import PRIORITY
from .link import anchored, escaped
from .names import check_name, shown
from .options import PLAIN, Settings
from .retry import DEFAULT, Retry
from .store import ANY, Limits

FILE = "ropeway.toml"
LARGEST = 1 << 20  # bytes of a configuration file

# Names whose values the server hides, when the configuration does not say: - _ . and capitals in a name make no difference.
HIDDEN = (
    *("*password*", "*passwd*", "*passphrase*", "pwd", "*secret*", "*token*", "*authorization*", "*credential*", "*cookie*"),
    *("*apikey*", "*accesskey*", "*privatekey*", "*signature*"),
)

Span = float | str  # a duration: seconds, or text such as "30s"


class RetryTable(Struct, forbid_unknown_fields=True):
    """The retry policy, as in Python: Retry(attempts, base=, cap=, factor=, jitter=)."""

    attempts: Annotated[int, Meta(description="runs in all, the first one included")] = DEFAULT.attempts
    base: Annotated[Span, Meta(description="longest delay before the second run; it grows from there")] = "1s"
    cap: Annotated[Span, Meta(description="longest delay before any run")] = "1h"
    factor: Annotated[float, Meta(description="how much the longest delay grows with each run")] = DEFAULT.factor
    jitter: Annotated[float, Meta(description="share of the delay that is drawn by chance: 1 all of it, 0 none")] = DEFAULT.jitter

    def policy(self) -> Retry:
        return Retry(self.attempts, base=self.base, cap=self.cap, factor=self.factor, jitter=self.jitter)


class LimitsTable(Struct, forbid_unknown_fields=True):
    """How many jobs run at once, over all workers. They hold once they are in the store: see the guide on order and limits."""

    running: Annotated[int, Meta(description="jobs of the queue at once, over all workers; 0: any number")] = ANY.running
    lane: Annotated[int, Meta(description="jobs of each lane at once; 1: one after the other, in order")] = ANY.lane

    def limits(self) -> Limits:
        limits = Limits(self.running, self.lane)
        check_limits(limits)
        return limits


class QueueTable(Struct, forbid_unknown_fields=True):
    """One queue."""

    retry: Annotated[RetryTable | UnsetType, Meta(description="when a failed job runs again")] = UNSET
    lease: Annotated[Span, Meta(description="how long a claim lasts when the claimer does not say")] = "30s"
    keep: Annotated[Span, Meta(description="how long a done job stays, with its result, when the put does not say")] = 0
    dead_keep: Annotated[Span, Meta(description="how long a dead job stays; 0: until it is deleted, or as the store's URL says")] = 0
    priority: Annotated[int, Meta(description="0-99, low first, when the put does not say")] = PRIORITY
    codec: Annotated[str, Meta(description="how bodies are written: json, msgpack, yaml, raw or pickle")] = "json"
    limits: Annotated[LimitsTable | UnsetType, Meta(description="how many jobs run at once")] = UNSET
    accept: Annotated[list[str], Meta(description="codecs that are read as well, while old jobs are about")] = []

    def settings(self) -> Settings:
        codec, accept = named(self.codec, self.accept)
        return Settings(
            codec=codec,
            accept=accept,
            lease=seconds(self.lease, "lease"),
            keep=seconds(self.keep, "keep"),
            dead_keep=seconds(self.dead_keep, "dead_keep"),
            priority=self.priority,
            retry=DEFAULT if self.retry is UNSET else self.retry.policy(),
        )


class WorkerTable(Struct, forbid_unknown_fields=True):
    """What `Broker.worker` and `ropeway work` take when they are not told."""

    concurrency: Annotated[int | UnsetType, Meta(description="jobs at once, in an event loop 100; 4")] = UNSET
    pool: Annotated[str | UnsetType, Meta(description="what runs the jobs: thread, process, async or uvloop; thread")] = UNSET
    lease: Annotated[Span | UnsetType, Meta(description="how long a claim lasts unless renewed, each third of it; 30s")] = UNSET
    grace: Annotated[Span | UnsetType, Meta(description="what running jobs get after SIGTERM; 25s")] = UNSET
    max_jobs: Annotated[int | UnsetType, Meta(description="end after so many runs; never")] = UNSET
    max_memory: Annotated[int | UnsetType, Meta(description="bytes: a process that has grown larger ends, when its jobs have; any")] = UNSET
    max_jobs_per_child: Annotated[int | UnsetType, Meta(description="a process of the pool is replaced after so many; never")] = UNSET

    def options(self) -> dict[str, Any]:
        """Those that were set, as arguments of Worker."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class ServerTable(Struct, forbid_unknown_fields=True):
    """What the server goes by."""

    redact: Annotated[
        list[str] | UnsetType,
        Meta(
            description=f"names of fields, as patterns: what stands behind them only who may do everything there sees; {' '.join(HIDDEN)}"
        ),
    ] = UNSET

    def hidden(self) -> tuple[str, ...]:
        """The patterns of names whose values are hidden."""
        return HIDDEN if self.redact is UNSET else tuple(self.redact)


class ContextTable(Struct, forbid_unknown_fields=True):
    """One place where jobs are."""

    url: Annotated[str, Meta(description="the store; a relative dir: is meant from the file's own folder")]


class Config(Struct, forbid_unknown_fields=True):
    """A configuration file, checked. `path` is where it was read."""

    context: Annotated[str, Meta(description="which of the contexts is meant")] = "default"
    contexts: Annotated[dict[str, ContextTable], Meta(description="the places where jobs are, by name")] = {}
    queues: Annotated[dict[str, QueueTable], Meta(description="queues that differ from the default, by name")] = {}
    worker: Annotated[WorkerTable, Meta(description="defaults of workers")] = msgspec.field(default_factory=WorkerTable)
    server: Annotated[ServerTable, Meta(description="what the server goes by")] = msgspec.field(default_factory=ServerTable)

    def queue(self, name: str) -> Settings:
        """The settings of that queue."""
        table = self.queues.get(name)
        return PLAIN if table is None else table.settings()

    def configured(self) -> dict[str, Settings]:
        """The settings of all queues that it names."""
        return {name: table.settings() for name, table in self.queues.items()}

    def limits(self) -> dict[str, Limits]:
        """The limits that it names, by queue."""
        return {name: table.limits.limits() for name, table in self.queues.items() if table.limits is not UNSET}


class Setting(NamedTuple):
    """One row of the table of settings. `<name>` in a name stands for any."""

    name: str
    type: str
    default: str
    meaning: str


def table() -> list[Setting]:
    """Every setting there is: what the reference of the documentation is made from."""
    return list(_rows("", Config))


def where(url: str | None = None) -> tuple[str, str]:
    """Which URL is meant, and why, as a person would say it. Opens nothing.

    The one given; else $ROPEWAY_URL; else the current context of the configuration; else a folder of the user's own (mode 0700).
    """
    if url:
        return url, "it was given"
    if url := os.environ.get("ROPEWAY_URL"):
        return url, "$ROPEWAY_URL says so"
    path, passed = find()
    if path:
        config = load(path)
        if config.context in config.contexts:
            return _from_folder(config.contexts[config.context].url, path), f"context {config.context} of {path}"
        if config.contexts or config.context != "default":
            known = " ".join(sorted(config.contexts)) or "none"
            raise ConfigError(f"{path}: there is no context {shown(config.context)}; nothing was opened. There are: {known}")
    why = f"{path} names no context" if path else "no URL was given, and there is no configuration"
    return "dir:" + escaped(f"{state_folder()}/spool"), f"{why}; a folder of your own{passed}"


def find() -> tuple[str, str]:
    """The path of the configuration file, or "", and what was passed over on the way and why."""
    if given := os.environ.get("ROPEWAY_CONFIG"):
        if not os.path.isfile(given):
            raise ConfigError(f"$ROPEWAY_CONFIG names {shown(given)}, which is no file; nothing was opened")
        return os.path.abspath(given), ""
    passed = ""
    for path in _candidates():
        try:
            owner = os.stat(path).st_uid
        except OSError:
            continue
        if owner not in (os.getuid(), 0):  # or anyone could send our jobs elsewhere by a file in /tmp
            passed = f" ({path} belongs to another user and was passed over)"
        elif path.endswith(FILE) or _of(path) is not None:
            return path, passed
    return "", passed


def load(path: str) -> Config:
    """Read and check a configuration file. Raises ConfigError that names the setting, the file, and what is possible."""
    raw = _of(path) or {}
    try:
        _known(raw, Config, "", path)
        config = msgspec.convert(raw, Config)
        for name, queue in config.queues.items():
            check_name(name)
            queue.settings()
            if queue.limits is not UNSET:
                queue.limits.limits()
            if not 0 <= queue.priority <= 99:
                raise BadValue(f"queues.{name}.priority is {queue.priority}; it must be 0 (first) to 99")
        if wrong := next((name for name in config.server.hidden() if not name.strip() or len(name) > 128), None):
            raise BadValue(f"server.redact has {shown(wrong)}, which is no pattern of a name: write 1 to 128 characters")
        for span in (config.worker.lease, config.worker.grace):
            if span is not UNSET:
                seconds(span)
    except (msgspec.ValidationError, BadValue, BadName) as error:
        raise ConfigError(f"{path}: {error}. Nothing was opened") from None
    return config


def current() -> Config:
    """The configuration that is found from here; an empty one when there is none."""
    path, _ = find()
    return load(path) if path else Config()


def state_folder() -> str:
    """The user's folder for what ropeway keeps: $XDG_STATE_HOME/ropeway or ~/.local/state/ropeway. Made with mode 0700 if it can be."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise ConfigError("there is no home directory to keep jobs in; nothing was opened. Give a URL, or set $ROPEWAY_URL")
        base = f"{home}/.local/state"
    folder = f"{base}/ropeway"
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
        os.mkdir(folder, 0o700)
    except OSError:
        pass  # it is there, or whoever opens it says what is wrong
    return folder


def _candidates() -> Iterator[str]:
    try:
        folder = os.getcwd()
    except OSError:  # it was removed under us
        folder = ""
    while folder:
        yield f"{folder}/{FILE}"
        yield f"{folder}/pyproject.toml"
        folder = "" if os.path.dirname(folder) == folder else os.path.dirname(folder)
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = f"{os.path.expanduser('~')}/.config"
    yield f"{base}/ropeway/{FILE}"


def _of(path: str) -> dict[str, Any] | None:
    """What the file says; of a pyproject.toml its [tool.ropeway], None without one."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; nothing was opened") from None
    whole = not path.endswith("pyproject.toml")
    if not whole and b"ropeway" not in data:
        return None  # spares the import of a parser
    if len(data) > LARGEST:
        raise ConfigError(f"{path} is over {LARGEST} bytes, which is no configuration; nothing was opened")
    import tomllib

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        if not whole:
            return None  # somebody else's file to mend
        raise ConfigError(f"{path} is not TOML: {error}; nothing was opened") from None
    if whole:
        return document
    tool = document.get("tool")
    found = tool.get("ropeway") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else None


def _known(raw: object, kind: Any, where: str, path: str) -> None:
    """Raise ConfigError for the first key that no setting has."""
    struct, names = _struct_of(kind)
    if struct is None or not isinstance(raw, Mapping):
        return
    if names:
        for name, value in raw.items():
            _known(value, struct, f"{where}{name}.", path)
        return
    hints = get_type_hints(struct)
    for name, value in raw.items():
        if name not in hints:
            section = f"[{where.rstrip('.')}]" if where else "the top"
            raise ConfigError(f"{path}: {section} has no setting {shown(name)}; nothing was opened. It has: {' '.join(sorted(hints))}")
        _known(value, hints[name], f"{where}{name}.", path)


def _rows(where: str, struct: type[Struct]) -> Iterator[Setting]:
    plain, noted = get_type_hints(struct), get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        below, names = _struct_of(plain[field.name])
        name = f"{where}{field.name}"
        if below is not None:
            yield from _rows(f"{name}.<name>." if names else f"{name}.", below)
            continue
        meaning = next(note.description for note in get_args(noted[field.name])[1:] if isinstance(note, Meta))
        meaning, _, stated = (meaning or "").partition("; ") if field.default is UNSET else (meaning or "", "", "")
        default = stated if field.default is UNSET else "" if field.default is msgspec.NODEFAULT else str(field.default)
        yield Setting(name, _type_name(plain[field.name]), default, meaning)


def _struct_of(kind: Any) -> tuple[type[Struct] | None, bool]:
    """The table that a setting of this type is, if it is one, and whether it is one of many, by name."""
    for one in (kind, *get_args(kind)):
        if isinstance(one, type) and issubclass(one, Struct):
            return one, kind is not one and str in get_args(kind)
    return None, False


def _type_name(kind: Any) -> str:
    if set(get_args(kind)) - {UnsetType} == {float, str}:
        return "duration"
    if any(get_origin(one) is list for one in (kind, *get_args(kind))):
        return "list"
    return {int: "whole number", float: "number", str: "text"}[next(t for t in (*get_args(kind), kind) if t in (int, float, str))]


def _from_folder(url: str, path: str) -> str:
    """A URL of a configuration file, with a relative folder made absolute from the file's own, and ~ as the user's."""
    for scheme in ("dir:", "sqlite:"):
        if url == f"{scheme}~" or url.startswith(f"{scheme}~/"):
            return scheme + escaped(os.path.expanduser("~")) + url[len(scheme) + 1 :]
    return anchored(url, os.path.dirname(path))
