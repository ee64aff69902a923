"""The put verb: which jobs of one call may share a part, which are here already, and when what was written is synced.

Most puts are of one ordinary job, or of many that differ in nothing but id and body: these two have a short way of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...errors import BadValue, StoreError
from ...job import Job, check_each
from ...store import Query
from .guard import guarded
from .hub import Hub
from .intake import Written, alone, guards, stamp, unstamp
from .layout import BIG_BODY
from .station import Station

TRIES = 20  # of a put in a queue that is dropped meanwhile
WAVE = 200  # parts of one put that wait for their sync with open files

Group = tuple[Station, list[int], int]  # where, which jobs of the call, and their due


class _Commit(threading.local):
    """What a thread has written inside `commit` and not yet synced; None outside."""

    unsynced: list[tuple[Station, list[Written]]] | None = None
    settled = False  # whether an ack, nack or bury came already


class Putting:
    """The putting side of a store, over all its queues."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._commit = _Commit()

    def put(self, jobs: Sequence[Job]) -> list[bool]:
        """As the contract says. A queue that is dropped under our hands is made anew."""
        self.check()
        check_each(jobs)
        for _ in range(TRIES):
            try:
                return [self._put_one(jobs[0])] if len(jobs) == 1 else self._put_many(jobs)
            except (StoreError, FileNotFoundError) as error:
                if not self._hub.renewed({job.queue for job in jobs}, error) or any(job.source is not None for job in jobs):
                    raise
        return self._put_many(jobs)

    def check(self) -> None:
        """Whether a put may come now."""
        if self._commit.settled:
            raise BadValue("inside commit, put comes before ack, nack and bury; nothing was stored")

    def _put_one(self, job: Job) -> bool:
        station = self._hub.made(job.queue)
        station.accepts()
        if job.due and self._is_here(job, station):
            return True
        now = int(self._hub.place.now() * 1e6)
        due = stamp(job, now)
        if self._commit.unsynced is None and not guards(job):
            station.intake.put_one(job, due, now)
            station.ring(1, due <= now)
            return True
        answers, parts = station.intake.put((job,), due, now, fleeting=job.fleeting)
        self.finish([(station, parts)])
        if not answers[0]:
            unstamp(job, now)
        return answers[0]

    def _put_many(self, jobs: Sequence[Job]) -> list[bool]:
        stations: dict[str, Station] = {}
        for job in jobs:
            if job.queue not in stations:
                stations[job.queue] = self._hub.made(job.queue)
        for station in stations.values():
            station.accepts()
        now = int(self._hub.place.now() * 1e6)
        answers = [True] * len(jobs)
        written: list[tuple[Station, list[Written]]] = []
        fleeting = jobs[0].fleeting and all(job.fleeting for job in jobs) if jobs else False
        alike = _alike(jobs, stations, now)
        first = {} if alike else {jobs[index].id: index for index in range(len(jobs) - 1, -1, -1)}
        for station, indices, due in alike or self._grouped(jobs, first, stations, now):
            try:
                done, parts = station.intake.put([jobs[i] for i in indices], due, now, fleeting=fleeting)
            except StoreError as error:
                self._take_back(written, error)
                raise
            written.append((station, parts))
            if len(written) % WAVE == 0 and self._commit.unsynced is None:
                self.finish(written)
                written = []
            if not all(done):
                for index, answer in zip(indices, done, strict=True):
                    answers[index] = answer
                    if not answer:
                        unstamp(jobs[index], now)
        self.finish(written)
        return answers if alike else [answers[first[job.id]] for job in jobs]

    def _grouped(self, jobs: Sequence[Job], first: dict[str, int], stations: dict[str, Station], now: int) -> Iterator[Group]:
        """The jobs that are not here yet, by (queue, priority, due, run). `first` says where each id comes first. A job that needs a part
        of its own ends a run, so that the parts stand in the order of their ids, and of two with one key the first has it."""
        groups: dict[tuple[str, int, int, int], list[int]] = {}
        runs: dict[tuple[str, int, int], int] = {}
        for index in sorted(first.values(), key=lambda index: jobs[index].id):
            job = jobs[index]
            if job.due and self._is_here(job, stations[job.queue]):
                continue
            due = stamp(job, now)
            run = 0
            if runs or alone(job):
                place = (job.queue, job.priority, due)
                run = runs.get(place, 0)
                if alone(job):
                    run += 1
                    runs[place] = run + 1
            groups.setdefault((job.queue, job.priority, due, run), []).append(index)
        for (queue, _, due, _), indices in groups.items():
            yield stations[queue], indices, due

    def _is_here(self, job: Job, station: Station) -> bool:
        """Whether this object was put before and its job still lives: then the put is a repeated one, and has been done. What says `once`
        need not be looked for: its id is guarded by a link."""
        return not job.once and any(True for _ in station.looking.entries(Query(ids=(job.id,))))

    def _take_back(self, written: Sequence[tuple[Station, list[Written]]], error: StoreError) -> None:
        """One part of the put failed: none of it shall stay. What was claimed already cannot be taken back: then the outcome is unknown."""
        gone = sum(station.intake.take_back(parts) for station, parts in written)
        error.definite = error.definite and not gone

    # -- syncing

    def finish(self, written: Sequence[tuple[Station, list[Written]]]) -> None:
        """Sync what was written, or leave that to the end of the commit that goes on."""
        unsynced = self._commit.unsynced
        if unsynced is not None and len(unsynced) + len(written) < WAVE:
            unsynced += written
            return
        self._sync(written)

    def _sync(self, written: Sequence[tuple[Station, list[Written]]]) -> None:
        if sum(len(parts) for _, parts in written) > 1:
            for station, parts in written:
                station.intake.begin(parts)
        for number, (station, parts) in enumerate(written):
            try:
                station.intake.finish(parts)
            except StoreError as error:
                self._take_back(written[number + 1 :], error)
                error.definite = error.definite and not number
                raise
        for station, parts in written:
            station.ring(sum(len(p.jobs) for p in parts))

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Puts are written at once and synced together, before the first ack and at the end."""
        commit = self._commit
        if commit.unsynced is not None:
            yield
            return
        commit.unsynced, commit.settled = [], False
        try:
            yield
        finally:
            try:
                self._flush()
            finally:
                commit.unsynced, commit.settled = None, False

    def settles(self) -> None:
        """An ack, nack or bury comes: what was put in the same commit is made safe first."""
        if self._commit.unsynced is not None:
            self._commit.settled = True
            self._flush()

    def _flush(self) -> None:
        written = self._commit.unsynced
        if written:
            self._commit.unsynced = []
            guarded(self._sync, written)


def _alike(jobs: Sequence[Job], stations: dict[str, Station], now: int) -> list[Group]:
    """The one group of jobs that are new, differ in nothing that decides where they lie, and stand in the order of their ids; else none."""
    if not jobs or len(stations) != 1:
        return []
    priority, delay = jobs[0].priority, jobs[0].delay
    last = ""
    for job in jobs:
        if job.due or job.priority != priority or job.delay != delay or job.id <= last:
            return []
        if job.lane or job.key or job.once or job.source is not None or len(job.body) > BIG_BODY:  # `alone`, without two calls a job
            return []
        last = job.id
    created, due = now / 1e6, now + int(delay * 1e6)
    at = due / 1e6
    for job in jobs:
        job.due = at
        if not job.created:
            job.created = created
    return [(stations[jobs[0].queue], [*range(len(jobs))], due)]
