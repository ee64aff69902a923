"""What `why` looks at: the job, its queue, the workers; each looked up at most once, with a bound on how much is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from ..durations import spoken
from ..handle import CANCEL
from ..job import State
from ..link import Link
from ..names import shown
from ..store import Counts, Entry, Feature, Query
from ..worker.fleet.switch import paused
from .crew import Seen, seen_workers

MOST = 2000  # jobs of a queue that are looked at for one answer
PAGE = 250
MOST_SHOWN = 3  # of several things alike, those that are named


class View(NamedTuple):
    """What the asker may see: `may` says of which queues; `url`: where the store is."""

    may: Callable[[str], bool] = lambda _: True
    url: bool = True


class Facts:
    """One queue at one moment, and a job of it (`entry`), if one is meant."""

    def __init__(self, link: Link, queue: str, entry: Entry | None = None, view: View | None = None) -> None:
        self.link = link
        self.store = link.store
        self.queue = queue
        self.view = view or View()
        self.now = link.clock.now()
        self._entry = entry

    @property
    def entry(self) -> Entry:
        """The job that is asked about."""
        assert self._entry is not None
        return self._entry

    @cached_property
    def counts(self) -> Counts:
        return self.store.counts((self.queue,)).get(self.queue) or Counts()

    @cached_property
    def everything_paused(self) -> str | None:
        return paused(self.store)

    @cached_property
    def workers(self) -> list[Seen]:
        """All workers that have a note, dead ones too."""
        return seen_workers(self.store, self.now)

    @cached_property
    def crew(self) -> list[Seen]:
        """Those that take this queue."""
        return [worker for worker in self.workers if worker.takes(self.queue)]

    @cached_property
    def running(self) -> list[Entry]:
        """The jobs of the queue that run."""
        return list(self.walk(State.RUNNING))

    @cached_property
    def before(self) -> list[Entry]:
        """The ready jobs that stand before this one, the first `MOST` of them."""
        out = []
        for entry in self.walk(State.READY):
            if entry.job.id == self.entry.job.id:
                break
            out.append(entry)
        return out

    @cached_property
    def ready(self) -> list[Entry]:
        return list(self.walk(State.READY))

    @cached_property
    def delayed(self) -> list[Entry]:
        return list(self.walk(State.DELAYED))

    def able(self, worker: Seen) -> bool:
        """Whether a worker of the queue knows the job's task; any does where no job is meant."""
        return self._entry is None or worker.knows(self._entry.job.task)

    @property
    def cancel_asked(self) -> bool:
        key = CANCEL + self.entry.job.id
        return Feature.NOTES in self.store.features and key in self.store.notes.notes(key)

    def walk(self, state: State) -> Iterator[Entry]:
        """The jobs of the queue in this state, in their order, page by page, `MOST` at most."""
        query = Query(queues=(self.queue,), states=frozenset({state}), limit=PAGE)
        left = MOST
        while left > 0 and (page := self.store.browse(query)):
            yield from page[:left]
            left -= len(page)
            if len(page) < PAGE:
                return
            query = replace(query, after=page[-1].cursor)

    def when(self, moment: float) -> str:
        """A moment beside now: "in 5m", "3s ago"."""
        away = moment - self.now
        if abs(away) < 1:
            return "now" if away > 0 else "just now"
        return f"in {spoken(away)}" if away > 0 else f"{spoken(-away)} ago"

    def since(self, moment: float) -> str:
        return f"for {spoken(max(0.0, self.now - moment))}"

    def told(self, job_id: str, queue: str, task: str = "") -> str:
        """A job as it may be named to whoever asks."""
        if not self.view.may(queue):
            return "a job of another queue"
        return f"job {job_id}" + (f" ({task})" if task else "") + (f" of {queue}" if queue != self.queue else "")


def some(texts: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(texts) - MOST_SHOWN
    return ", ".join(texts[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def plural(number: int, noun: str) -> str:
    """ "1 job", "2 jobs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def because(reason: str) -> str:
    """An operator's reason, as it may be printed anywhere."""
    return shown(reason, 300) if reason else "no reason given"
