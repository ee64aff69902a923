"""What `run` does: makes a job of a command line, puts it, and sees to it that somebody runs it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..errors import BadValue, Conflict
from ..options import PLAIN, PutOptions, make_job
from ..shell import after
from ..shell.command import CONTENT_TYPE, LABEL, TAKES, Command, pack, shown, word
from ..shell.private import SEAL, seal
from ..store import Entry, Limits
from .session import Session
from .verdict import NOTHING, USAGE, Failure

# What a command is given of the environment on a store that is the user's own; with all that begins with LC_ or XDG_.
_NAMES = (
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM COLORTERM TMPDIR DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS "
    "SSH_AUTH_SOCK EDITOR VISUAL PAGER VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PYTHONPATH PYENV_ROOT PYENV_VERSION NVM_DIR NODE_PATH "
    "JAVA_HOME GOPATH GOROOT CARGO_HOME RUSTUP_HOME GEM_HOME PKG_CONFIG_PATH LD_LIBRARY_PATH CC CXX CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS "
    "ROPEWAY_CONFIG ROPEWAY_QUEUE ROPEWAY_LOG"
)
_OURS = frozenset(_NAMES.split())
_ANYWHERE = frozenset({"LANG", "LANGUAGE", "TZ"})  # and on one that other hosts share, which have their own programs and homes

SEEN = 60.0  # seconds that one stays at least whose end somebody waits to see


def run(session: Session, argv: list[str] | None, options: dict[str, Any]) -> int:
    """Put it; with --follow also wait."""
    from .own import has_worker, is_own, see_to_it
    from .params import default_queue

    if not argv:
        raise Failure(USAGE, "run what? The command stands behind --, as in: ropeway run -- make all; nothing was put")
    if session.link.url.startswith("memory:"):
        raise Failure(USAGE, "memory: ends with this command, so nothing would run; nothing was put. Give another URL, or none")
    queue = options["queue"] or default_queue()
    session.store.queues()  # the folder is there from now on, if it is one
    own = is_own(session)
    job_id = _put(session, argv, queue, options, own=own)
    if options["slots"]:
        limits = session.store.counts([queue])[queue].limits
        session.store.limit([queue], Limits(options["slots"], limits.lane))
    see_to_it(session, queue)
    if not options["follow"]:
        session.out.rows([{"id": job_id, "queue": queue}], lambda rows: (row["id"] for row in rows))
        session.flush()
    if not own and not has_worker(session, queue):
        session.note(f"no worker takes commands from {queue} here; start one: ropeway work {queue} --allow-commands")
    if options["follow"]:
        from .following import stay

        return stay(session, queue, job_id, apart=options["apart"])
    return 0


def _put(session: Session, argv: list[str], queue: str, options: dict[str, Any], *, own: bool) -> str:
    cwd = os.path.abspath(options["cwd"] or ".")
    command = Command(
        [word(os.fsencode(part)) for part in argv],
        word(os.fsencode(cwd)),
        {name: word(os.fsencode(value)) for name, value in _environment(session, options, own=own).items()},
        own,
        _umask() if own else -1,
        options["retries"],
        options["timeout"] or 0.0,
        options["apart"],
    )
    headers = after.headers(
        [entry.job.id for entry in _before(session, options["after"], queue, well=True)],
        [entry.job.id for entry in _before(session, options["after_any"], queue, well=False)],
    )
    if options["label"]:
        headers[LABEL] = options["label"]
    if options["takes"] > 1:
        headers[TAKES] = str(options["takes"])
    keep = max(options["keep"], SEEN) if options["follow"] else options["keep"]
    put: PutOptions = {"keep": keep, "headers": headers}
    for name in ("priority", "delay", "key", "lane"):
        if options[name] is not None:
            put[name] = options[name]
    if options["at"]:
        from .times import moment

        if options["delay"]:
            raise Failure(USAGE, "give --at or --delay, not both; nothing was put")
        put["at"] = moment(options["at"])
    job = make_job(session.link, queue, pack(command), CONTENT_TYPE, put, session.link.settings_of(queue) or PLAIN)
    if own:
        from .own import own_key

        job.headers[SEAL] = seal(own_key(), job)
    if not session.store.put((job,))[0]:
        raise Conflict(f"the key {job.key!r} is held by a live job of {queue}; nothing was put", key=job.key)
    if session.verbose:
        session.note(f"{shown(command.argv)} in {cwd}")
    return job.id


def _before(session: Session, words: Iterable[str], queue: str, *, well: bool) -> list[Entry]:
    """The jobs that it comes after. Failure for one that is not there, or whose good end nobody could tell."""
    from .finding import find

    entries = find(session, list(words), queue, done="put") if words else []
    for entry in entries:
        if well and not entry.job.keep:
            raise Failure(
                NOTHING,
                f"job {entry.job.id} is gone when it is done, so that it ended well could not be seen; nothing was put. Put that one "
                "with --keep, or take --after-any",
            )
    return entries


def _environment(session: Session, options: dict[str, Any], *, own: bool) -> dict[str, str]:
    kept, heads = (_OURS, ("LC_", "XDG_")) if own else (_ANYWHERE, ("LC_",))
    out = {name: value for name, value in os.environ.items() if options["all_env"] or name in kept or name.startswith(heads)}
    if own:
        out["ROPEWAY_URL"] = session.link.url  # a command that puts jobs means the same store
    else:
        out.pop("ROPEWAY_URL", None)  # it may hold a password, and the worker has its own
    for given in options["env"]:
        name, equals, value = given.partition("=")
        if not name or (not equals and name not in os.environ):
            raise Failure(USAGE, f"there is no variable {name[:80]!r} here; nothing was put. Write -E NAME=VALUE")
        out[name] = value if equals else os.environ[name]
    if any("\0" in value for value in out.values()):
        raise BadValue("a variable cannot hold a NUL byte; nothing was put")
    return out


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
