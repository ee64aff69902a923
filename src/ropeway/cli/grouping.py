"""What `group` does with its words: looks, changes, says what there is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..durations import seconds, spoken
from ..group import Group, Retention
from ..groups import Groups
from ..store import Counts
from .named import Named
from .output import Row
from .session import Session
from .table import Column, render, terminal_width
from .verdict import DONE, NOTHING, USAGE, Failure

Words = tuple[str, ...]
Options = dict[str, Any]
_NAMED = Named("group")
Line = tuple[Row, Group | Retention]


def ls(session: Session, words: Words, options: Options) -> int:
    """List them, or those that are named; and what is retained."""
    _NAMED.only(options, "ls")
    groups = Groups(session.link)
    found, counts = groups.browse(), groups.counts()
    if words:
        known = {group.name: group for group in found}
        found = _NAMED.all_of(words, known.get)
    lines: list[Line] = [(group_row(group, counts.get(group.name)), group) for group in found]
    if not words:
        lines += [(_retention_row(one), one) for one in groups.retained()]
    rows = (row for row, _ in lines)
    session.out.rows(rows, lambda _: _table(lines), name="name", empty="there are no groups. See: ropeway group --help")
    return DONE


def add(session: Session, words: Words, options: Options) -> int:
    """Add one; with --replace, change the one of its name."""
    _NAMED.only(options, "add", "keep", "since", "replace")
    if len(words) < 2:
        raise Failure(USAGE, "group add takes NAME and PATTERN...; nothing was added. Quote the patterns")
    groups = Groups(session.link)
    name, patterns = words[0], words[1:]
    if options["replace"]:
        group = groups.put(name, patterns, keep=options["keep"])
        if options["since"] is not None:
            groups.replay(name, options["since"])
    else:
        group = groups.add(name, patterns, keep=options["keep"], replay=options["since"])
    return _print(session, groups, group)


def edit(session: Session, words: Words, options: Options) -> int:
    """Change what it hears, or how long it keeps."""
    _NAMED.only(options, "edit", "keep")
    if not words or (len(words) == 1 and options["keep"] is None):
        raise Failure(USAGE, "group edit takes NAME, and PATTERN... or --keep; nothing was changed. Quote the patterns")
    groups = Groups(session.link)
    _NAMED.all_of(words[:1], groups.get)
    return _print(session, groups, groups.edit(words[0], words[1:] or None, keep=options["keep"]))


def rm(session: Session, words: Words, options: Options) -> int:
    """Remove those that are named."""
    _NAMED.only(options, "rm")
    groups = Groups(session.link)
    some, counts = _NAMED.all_of(words, groups.get), groups.counts()
    waiting = sum(one.ready + one.delayed for group in some if (one := counts.get(group.name)))
    if waiting and not session.yes and session.can_ask():
        answer = session.ask(f"{waiting:,} messages wait there and go too. Type yes to remove")
        if answer.lower() not in ("y", "yes"):
            raise Failure(USAGE, "nothing was removed")
    for group in some:
        groups.delete(group.name)
        if group.source == "code":
            session.note(f"{group.name} is in the code: it is back, empty, when a worker with that code starts")
    if not session.quiet:
        session.out.one({"deleted": len(some)}, [f"deleted {len(some)} group{'' if len(some) == 1 else 's'}"], name="deleted")
    return DONE


def replay(session: Session, words: Words, options: Options) -> int:
    """Have them handle again what they have handled."""
    _NAMED.only(options, "replay", "since")
    groups = Groups(session.link)
    count = sum(groups.replay(group.name, options["since"]) for group in _NAMED.all_of(words, groups.get))
    if not session.quiet:
        session.out.one({"replayed": count}, [f"replayed {count:,} message{'' if count == 1 else 's'}"], name="replayed")
    return DONE


def retain(session: Session, words: Words, options: Options) -> int:
    """Keep the messages of topics."""
    _NAMED.only(options, "retain")
    if len(words) != 2:
        raise Failure(USAGE, "group retain takes PATTERN and DURATION, such as 'orders.#' 7d; nothing was done. Quote the pattern")
    one = Groups(session.link).retain(words[0], seconds(words[1], "time to keep"))
    if not session.quiet:
        line = (_retention_row(one), one)
        session.out.rows([line[0]], lambda _: _table([line]), name="pattern")
    return DONE


def release(session: Session, words: Words, options: Options) -> int:
    """Retain these no longer."""
    _NAMED.only(options, "release")
    groups = Groups(session.link)
    known = {one.pattern for one in groups.retained()}
    patterns = dict.fromkeys(words)
    if not patterns:
        raise Failure(USAGE, "which pattern? Nothing was done. See: ropeway group ls")
    for pattern in patterns:
        if pattern not in known:
            raise Failure(NOTHING, f"{pattern[:80]!r} is not retained; nothing was done. See: ropeway group ls")
    for pattern in patterns:
        groups.release(pattern)
    if not session.quiet:
        session.out.one({"released": len(patterns)}, [f"released {len(patterns)}"], name="released")
    return DONE


ACTS: dict[str, Callable[[Session, Words, Options], int]] = {
    "ls": ls,
    "add": add,
    "edit": edit,
    "rm": rm,
    "replay": replay,
    "retain": retain,
    "release": release,
}


def _print(session: Session, groups: Groups, group: Group) -> int:
    if not session.quiet:
        line = (group_row(group, groups.counts().get(group.name)), group)
        session.out.rows([line[0]], lambda _: _table([line]), name="name")
    return DONE


def group_row(group: Group, counts: Counts | None) -> Row:
    """A group as programs read it."""
    counts = counts or Counts()
    row: Row = {"name": group.name, "patterns": list(group.patterns), "queue": group.queue}
    row |= {state: getattr(counts, state) for state in ("ready", "delayed", "running", "dead", "done")}
    return row | {"oldest": counts.oldest, "keep": group.keep, "source": group.source}


def _retention_row(one: Retention) -> Row:
    return {"pattern": one.pattern, "keep": one.keep}


def _table(lines: Sequence[Line]) -> Iterable[str]:
    groups = [row for row, what in lines if isinstance(what, Group)]
    columns = [
        Column("GROUP", lambda row: row["name"], flex=True),
        Column("WAITING", lambda row: f"{row['ready'] + row['delayed']:,}", right=True),
        Column("RUNNING", lambda row: f"{row['running']:,}", right=True),
        Column("DEAD", lambda row: f"{row['dead']:,}", right=True),
        Column("KEPT", lambda row: f"{row['done']:,}" if row["keep"] else "", right=True, optional=True),
        Column("PATTERNS", lambda row: " ".join(row["patterns"]), flex=True),
        Column("FROM", lambda row: row["source"], drop=1),
    ]
    width = terminal_width()
    if groups:
        yield from render(columns, groups, width)
    kept = [what for _, what in lines if isinstance(what, Retention)]
    if groups and kept:
        yield ""
    if kept:
        yield from render(
            [Column("RETAINED", lambda one: one.pattern, flex=True), Column("FOR", lambda one: spoken(one.keep))], kept, width
        )
