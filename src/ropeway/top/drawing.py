"""The screen as lines of styled text: pure, out of the model and what the last look saw. Nothing in it can steer a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.text import Text

from ..cli.clean import clean
from ..cli.explaining import broken, why_row
from ..cli.rows import job_table, limits_shown, switches
from ..cli.table import Column, cut, render
from ..durations import spoken
from ..why.facts import plural
from ..worker.fleet.notice import Notice
from .looker import PAST
from .model import Model, Row

LOST = 3.0  # seconds without an answer of the store from which on that is said
CURVE = 16  # columns of the little curve of a backlog
MiB = 1 << 20
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.:-=+*#"

HELP = """\
up down j k     select a queue or a job          PgUp PgDn Home End  farther
Enter           a queue: its jobs; a job: why it does not run
Tab             jobs of the next state: running ready delayed dead done
Esc Left        back
Space           pause the queue that is selected, or resume it; asks first
s S             the next order of the queues, the one before
p               stop looking at the store, and go on
Ctrl-L          draw the screen anew
?               this page
q  Ctrl-C       quit

DONE/S is what the workers' history says of the last ten minutes; it lags
by up to a minute. The curve is the backlog since this was started."""


def lines(model: Model, width: int, height: int, waits: float = 0.0, where: str = "") -> list[Text]:
    """Exactly `height` lines of at most `width` columns. `waits`: for how long the store has not
    answered; `where`: the URL, without secrets."""
    top = _top(model, width, waits, where)
    room = max(0, height - len(top) - 1)
    body = {"queues": _queues, "jobs": _jobs, "why": _why, "help": _help}[model.page](model, width, room)
    body = body[:room] + [Text("")] * (room - len(body))
    return [*[*top, *body][: height - 1], _bottom(model, width)][:height]


def plain(model: Model, width: int) -> list[str]:
    """The tables of queues and workers alone, for a pipe."""
    out = [line.plain for line in _top(model, width, 0.0, "")[:1]]
    for rows in (_queue_lines(model, width), _worker_lines(model, width), _failure_lines(model, width)):
        if len(rows) > 1:
            out += ["", *rows]
    return out


def _top(model: Model, width: int, waits: float, where: str) -> list[Text]:
    """Who, what and when; and what is wrong."""
    seen = model.snapshot
    slots, running = sum(one.slots for one in seen.workers), sum(one.running for one in seen.workers)
    rates = [row.rate for row in model.rows() if row.rate is not None]
    totals = {name: sum(getattr(counts, name) for counts in seen.queues.values()) for name in ("ready", "running", "delayed", "dead")}
    words = [f"{number:,} {name}" for name, number in totals.items()]
    words += [f"{sum(rates):.3g} done/s"] * bool(rates)
    words += [plural(len(seen.workers), "worker"), f"{running}/{slots} slots", plural(len(seen.queues), "queue")]
    first = Text(cut(f"ropeway top  {clean(where)}".rstrip(), width), "bold")
    second = Text(cut("  ".join(words), width))
    return [first, second, _state(model, width, waits)] if where else [second]


def _state(model: Model, width: int, waits: float) -> Text:
    seen = model.snapshot
    if seen.error or waits > LOST:
        age = f"what is shown is {spoken(max(0.0, round(waits)))} old" if seen.at else "nothing was seen yet"
        why = seen.error or f"it has not answered for {spoken(round(waits))}"
        return Text(cut(clean(f"LOST the store; {age}: {why}"), width), "bold white on red")
    if not seen.at:
        return Text("looking at the store...", "dim")
    if model.frozen:
        return Text("PAUSED: the store is not looked at; p goes on", "bold black on yellow")
    if seen.paused is not None:
        return Text(cut(clean(f"EVERYTHING IS PAUSED: {seen.paused or 'no reason given'}"), width), "bold black on yellow")
    return Text(cut(clean(seen.said), width), "green")


def _bottom(model: Model, width: int) -> Text:
    if model.asked:
        counts = model.snapshot.queues.get(model.asked)
        verb = "Pause" if counts is None or counts.claim_stopped is None else "Resume"
        return Text(cut(f"{verb} the queue {clean(model.asked)}? y: yes, any other key: no", width), "bold black on yellow")
    keys = {
        "queues": f"q quit  p pause  s order: {model.sort}  jk select  Enter jobs  Space stop/go  ? help",
        "jobs": "q quit  Esc back  Tab state  jk select  Enter why  Space stop/go  ? help",
        "why": "q quit  Esc back  jk scroll  ? help",
        "help": "q quit  Esc back",
    }[model.page]
    return Text(cut(keys, width), "reverse")


# The pages


def _queues(model: Model, width: int, room: int) -> list[Text]:
    """The queues, the workers, the failures: each has what it needs, or its share."""
    queues, workers, failures = _queue_lines(model, width), _worker_lines(model, width), _failure_lines(model, width)
    first, second, third = shares([len(queues), len(workers), len(failures)], room - 2)
    names = [row.name for row in model.rows()]
    place = names.index(model.selected) if model.selected in names else -1
    out = _listed(queues, first, place)
    for rows, share in ((workers, second), (failures, third)):
        if share:
            out += [Text(""), *_listed(rows, share, -1)]
    return out


def _jobs(model: Model, width: int, room: int) -> list[Text]:
    counts = model.snapshot.queues.get(model.queue)
    tabs = Text()
    for state in ("running", "ready", "delayed", "dead", "done"):
        number = getattr(counts, state) if counts is not None else 0
        tabs.append(f" {state} {number:,} ", "reverse" if state == model.state else "dim")
    entries = model.shown_jobs()
    rows = list(job_table(entries, model.snapshot.now, one_queue=True, width=width)) if entries else [f"no {model.state} jobs"]
    ids = [entry.job.id for entry in entries]
    title = Text(cut(clean(f"{model.queue}  {switches(counts) if counts is not None else ''}"), width), "bold")
    return [title, tabs, *_listed(rows, room - 2, ids.index(model.job) if model.job in ids else -1)]


def _why(model: Model, width: int, room: int) -> list[Text]:
    found = model.snapshot.why
    if found is None or found.id != model.job:
        return [Text("looking...", "dim")]
    rows: list[Text] = []
    for number, one in enumerate(why_row(found)["causes"]):
        rows += [Text(line, "bold" if not number else "") for line in broken(f"{one['code']}: ", one["text"], width)]
        rows += [Text(line, "cyan") for line in broken("   -> ", one["unblock"], width)] if one["unblock"] else []
        rows.append(Text(""))
    model.scroll = max(0, min(model.scroll, len(rows) - room + 1))
    head = Text(cut(f"{found.id}  {found.queue}  {found.state or 'not here'}", width), "bold")
    return [head, *rows[model.scroll :]]


def _help(_: Model, width: int, room: int) -> list[Text]:  # noqa: ARG001 - a page as all others
    return [Text(cut(line, width)) for line in HELP.splitlines()]


# Tables


def _queue_lines(model: Model, width: int) -> list[str]:
    now = model.snapshot.now

    def number(state: str) -> Column:
        return Column(state.upper(), lambda row: ("" if row.counts.exact else "~") + f"{getattr(row.counts, state):,}", right=True)

    columns = [
        Column("QUEUE", lambda row: row.name, flex=True),
        *map(number, ("ready", "running", "delayed", "dead")),
        Column("OLDEST", lambda row: _age(row, now), right=True, drop=2),
        Column("DONE/S", lambda row: "" if row.rate is None else f"{row.rate:.3g}", right=True, drop=3),
        Column("BACKLOG", lambda row: curve(row.backlog), drop=4),
        Column("LIMITS", lambda row: limits_shown(row.counts.limits), optional=True, drop=5),
        Column("SWITCHED OFF", lambda row: switches(row.counts), flex=True, optional=True, drop=1),
    ]
    rows = model.rows()
    return list(render(columns, rows, width)) if rows else ["QUEUE", "no queues yet"]


def _age(row: Row, now: float) -> str:
    return spoken(max(0.0, round(now - row.counts.oldest))) if row.counts.oldest is not None else ""


def _worker_lines(model: Model, width: int) -> list[str]:
    seen = model.snapshot
    columns = [
        Column("WORKER", lambda one: one.id, flex=True),
        Column("STATE", lambda one: one.state),
        Column("RUNS", lambda one: f"{one.running}/{one.slots}", right=True),
        Column("BUSY", lambda one: f"{100 * one.utilisation:.0f}%", right=True, drop=3),
        Column("MEMORY", lambda one: f"{one.memory // MiB} MiB", right=True, drop=4),
        Column("JOBS", lambda one: _running(one, seen.now), flex=True),
    ]
    workers = sorted(seen.workers, key=lambda one: (-one.running, one.id))
    return list(render(columns, workers, width)) if workers else ["WORKER", "no workers"]


def _running(one: Notice, now: float) -> str:
    """What it runs, the longest first, and for how long."""
    return ", ".join(f"{job.task or job.queue} {spoken(max(0.0, round(now - job.since)))}" for job in one.jobs[:8])


def _failure_lines(model: Model, width: int) -> list[str]:
    failed: Counter[tuple[str, str]] = Counter()
    dead: Counter[tuple[str, str]] = Counter()
    for row in model.snapshot.past:
        failed[row.queue, row.task] += row.failed
        dead[row.queue, row.task] += row.dead
    rows = [(queue, task, failed[queue, task], number) for (queue, task), number in dead.items() if number or failed[queue, task]]
    columns = [
        Column(f"FAILED IN {spoken(PAST)}", lambda row: row[0], flex=True),
        Column("TASK", lambda row: row[1], flex=True, optional=True),
        Column("TRIED AGAIN", lambda row: f"{row[2]:,}", right=True),
        Column("GIVEN UP", lambda row: f"{row[3]:,}", right=True),
    ]
    rows.sort(key=lambda row: (-row[3], -row[2], row[0], row[1]))
    return list(render(columns, rows, width)) if rows else []


def _listed(rows: Sequence[str], room: int, selected: int) -> list[Text]:
    """A title and its rows, as many as there is room for, those around the selected one."""
    if room <= 0 or not rows:
        return []
    show = max(0, room - 1)
    begin = min(max(0, selected - show // 2), max(0, len(rows) - 1 - show))
    shown = [Text(line, "reverse" if number == selected else "") for number, line in enumerate(rows[1:])][begin : begin + show]
    left = len(rows) - 1 - begin - len(shown)
    if left > 0 and len(shown) > 1 and selected != begin + len(shown) - 1:
        shown[-1] = Text(f"+{left + 1} more", "dim")
    return [Text(rows[0], "bold"), *shown]


def shares(needs: Sequence[int], room: int) -> list[int]:
    """How many lines each gets: what it needs, or an even share of what the others leave."""
    out = [0] * len(needs)
    left = max(0, room)
    for place in sorted((place for place, need in enumerate(needs) if need), key=lambda place: needs[place]):
        fair = left // sum(1 for other, need in enumerate(needs) if need and not out[other])
        out[place] = min(needs[place], max(fair, 0))
        left -= out[place]
    return [number if number >= 2 else 0 for number in out]


def curve(values: Iterable[int], columns: int = CURVE) -> str:
    """A backlog as bars, the newest last."""
    seen = list(values)[-columns:]
    bars = _BARS if _can_show(_BARS) else _PLAIN_BARS
    most = max(seen, default=0)
    return "".join(bars[0] if not value else bars[max(1, min(7, value * 7 // most))] for value in seen)


def _can_show(text: str, encoding: Callable[[], str] = lambda: sys.stdout.encoding or "ascii") -> bool:
    try:
        text.encode(encoding())
    except (UnicodeEncodeError, LookupError):
        return False
    return True
