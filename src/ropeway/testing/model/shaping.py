"""The acts that shape a queue and its jobs: limits, another content, the end of a queue."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from ...store import ANY, Feature, Limits
from .acts import act
from .places import limits_of, waiting_holders
from .sides import Sides
from .world import DELAYS, QUEUES, SELDOM, SEVERAL, STORE

LIMITS = st.sampled_from([ANY, ANY, ANY, Limits(running=1), Limits(running=2), Limits(running=3, lane=2), Limits(lane=2)])


class Shaping(Sides):
    """What an operator, or a job that is given back, makes of a queue."""

    @act(which=STORE, queue=st.sampled_from(QUEUES), limits=LIMITS)
    def limit(self, which: int, queue: str, limits: Limits) -> None:
        """Set the limits. Lanes become wider or narrower only while nothing but what runs has a place in one: when a job that waits loses
        its place then is the engine's business."""
        if not self.has(Feature.LIMITS):
            return
        self.drop_expired(which)
        if limits.lane != limits_of(self.model, queue).lane and waiting_holders(self.model, queue):
            limits = Limits(limits.running, limits_of(self.model, queue).lane)
        self.given_back(which, queue)
        for store in (self.model, self.stores[which]):
            store.limit([queue], limits)

    @precondition(lambda self: self.runs)
    @act(which=STORE, several=SEVERAL, delays=DELAYS, restore=SELDOM, size=st.sampled_from([0, 10, 70_000]))
    def edit(self, which: int, several: list[int], delays: list[float], restore: bool, size: int) -> None:
        """Give a job back with another content."""
        if not self.has(Feature.EDIT):
            return
        runs = self.known_runs(several)[:1]
        ours, theirs = self.handbacks(runs, delays, restore=restore)
        for one, other, run in zip(ours, theirs, runs, strict=True):
            self.attempts += 1
            new = self.content(run.job, f"{self.attempts} ".encode() * size)
            one.edit = other.edit = new
        self.given_back(which, *{run.job.queue for run in runs})
        self.settled(runs, self.agree(lambda: self.model.nack(ours), lambda: self.stores[which].nack(theirs)))

    @act(which=STORE, queue=st.sampled_from(QUEUES))
    def drop(self, which: int, queue: str) -> None:
        """Remove a queue, if it is empty."""
        self.drop_expired(which)
        self.agree(lambda: self.model.drop([queue]), lambda: self.stores[which].drop([queue]))
