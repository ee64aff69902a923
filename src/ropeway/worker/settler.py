"""Outcomes on their way to the store: settled in groups, kept while it does not answer, and counted once it has.

With them goes what callers are told: the replies are put in the same commit, before the acks. On an engine whose commits are all or
nothing, a claim that turns out lost there takes its reply back: nobody hears of a run that does not count. On the others the reply of
such a run is out already; the run did happen, and its caller takes the first answer that comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ..errors import RopewayError, StoreError
from ..failure import one_line
from ..job import Attempt, Job
from ..store import Ack, Feature, Handback, Store
from ..unique import kept
from .journal import Journal
from .replies import last_word, tell_settled
from .run import End, Run, Shift

_ACKED = (End.DONE, End.CANCELLED)
_NACKED = (End.RETRIED, End.SNOOZED, End.RETURNED, End.OPEN)


class _Unheard(Exception):
    """Raised within a commit, to undo it: the claims of these runs are lost, and their replies must not be heard."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs


class Settler:
    """The ended runs that the store has not answered for. Used by the ferry alone.

    `gone` is told of each batch that is over, whatever came of it: these claims are no longer held.
    """

    def __init__(self, shift: Shift, journal: Journal, gone: Callable[[Sequence[Run]], None]) -> None:
        self._shift = shift
        self._journal = journal
        self._gone = gone
        self.runs: list[Run] = []
        self.parts: list[Job] = []  # what runs told their callers while they went on

    def add(self, runs: Iterable[Run]) -> None:
        self.runs.extend(runs)

    def settle(self, then: Callable[[Store], None] | None = None) -> bool:
        """Tell the store all there is, and call `then` (the next claim) in the same commit. True when that commit was made; False when
        it had to be made in pieces, without `then`.

        Raises StoreError when the store failed: all is kept for the next time, and "False" to the repetition is no alarm, since the
        first time may be the one that counted. An outcome that the store refuses to carry is buried with that reason.
        """
        store, runs, parts = self._shift.link.store, self.runs, self.parts
        self.runs, self.parts = [], []
        acked = [run for run in runs if run.end in _ACKED]
        nacked = [run for run in runs if run.end in _NACKED]
        buried = [run for run in runs if run.end is End.BURIED]
        over = [run for run in runs if run.end is End.LOST]
        try:
            answers = self._commit(store, parts, acked, nacked, buried, then)
        except StoreError as error:
            self.parts = parts + self.parts
            self._keep(runs, definite=error.definite)
            raise
        except RopewayError:
            if not runs and not parts:
                raise
            self._each_part(store, parts)
            self._one_by_one(store, runs)
            return False
        self._answered([*acked, *nacked, *buried], answers, over)
        return True

    @staticmethod
    def _replies(runs: Sequence[Run]) -> list[Job]:
        """What is to be put for those who wait for these; a last word that went by letter is not."""
        return [reply for run in runs if not (run.caller is not None and run.caller.told) and (reply := last_word(run)) is not None]

    def _commit(
        self,
        store: Store,
        parts: list[Job],
        acked: list[Run],
        nacked: list[Run],
        buried: list[Run],
        then: Callable[[Store], None] | None = None,
    ) -> list[bool]:
        """Put what is to be heard, settle, and go on: in one commit where that is more than one thing. The answers of what settles."""
        answering = [run for run in chain(acked, nacked, buried) if run.caller is not None]
        replies = parts + self._replies(answering)
        if bool(replies) + bool(acked) + bool(nacked) + bool(buried) + bool(then) <= 1:
            if replies:
                store.put(replies)
            told = _tell(store, acked, nacked, buried)
            if then:
                then(store)
            return list(chain.from_iterable(told))
        exact = bool(answering) and Feature.ATOMIC in store.features
        try:
            with store.commit():
                if replies:
                    store.put(replies)
                told = _tell(store, acked, nacked, buried)
                if exact:
                    said = zip(chain(acked, nacked, buried), chain.from_iterable(told), strict=True)
                    if unheard := [run for run, answer in said if run.caller is not None and not answer]:
                        raise _Unheard(unheard)
                if then:
                    then(store)
        except _Unheard as lost:
            for run in lost.runs:
                run.caller = None
            return self._commit(store, parts, acked, nacked, buried, then)
        return list(chain.from_iterable(told))

    def _each_part(self, store: Store, parts: list[Job]) -> None:
        """One of them was refused, or something else was: those that the store takes are heard."""
        for place, part in enumerate(parts):
            try:
                store.put((part,))
            except StoreError:
                self.parts = parts[place:] + self.parts
                return
            except RopewayError as refusal:
                self._journal.warn("a word of a run to its caller was refused, and is not heard: %s", one_line(refusal))

    def drop(self, now: float) -> None:
        """Give up on those whose lease has ended while the store did not answer: another may have them by now."""
        late = [run for run in self.runs if run.lent.until < now]
        if late:
            self.runs = [run for run in self.runs if run.lent.until >= now]
            self._journal.lost(late)
            self._gone(late)

    def _keep(self, runs: list[Run], *, definite: bool) -> None:
        if not definite:
            for run in runs:
                run.doubt = True
        self.runs = runs + self.runs

    def _answered(self, runs: Sequence[Run], answers: Sequence[bool], lost: list[Run]) -> None:
        if all(answers):
            settled = list(runs)
        else:
            settled = []
            for run, answer in zip(runs, answers, strict=True):
                unalarming = run.doubt or (run.end is End.RETURNED and not run.started)
                (settled if answer or unalarming else lost).append(run)
        for run in settled:
            if run.caller is not None:
                tell_settled(run)
        if settled:
            self._journal.settled(settled)
        if lost:
            self._journal.lost(lost)
        self._gone([*settled, *lost])

    def _one_by_one(self, store: Store, runs: list[Run]) -> None:
        """The store refused the batch for the sake of one of its members: find it. What cannot be carried cannot be tried again either."""
        for place, run in enumerate(runs):
            try:
                self._answered([run], self._commit(store, [], *_alone(run)) or [False], [])
            except StoreError as failure:
                self._keep(runs[place:], definite=failure.definite)
                raise
            except RopewayError as refusal:
                if run.caller is not None:  # it may be the reply that is refused: then the run is settled all the same
                    self._journal.warn("the reply of job %s was not put: %s", run.lent.job.id, one_line(refusal))
                    run.caller = None
                    self.runs.append(run)
                    continue
                if run.end is End.BURIED:
                    self._journal.warn("job %s cannot be settled (%s); its lease will end by itself", run.lent.job.id, one_line(refusal))
                    self._journal.lost([run])
                    self._gone([run])
                    continue
                now = self._shift.link.clock.now()
                text = f"its outcome ({run.end.name.lower()}) was refused: {one_line(refusal)}"
                run.end = End.BURIED
                run.handback = Handback(run.lent.receipt, attempt=Attempt(run.lent.attempt, now, now, self._shift.name, "failed", text))
                self.runs.append(run)


def _tell(store: Store, acked: list[Run], nacked: list[Run], buried: list[Run]) -> list[list[bool]]:
    """The three verbs; the answers of each. They are looked at when the commit is over: an engine may send what settles and the next claim
    in one go, as long as nobody asks."""
    answers: list[list[bool]] = []
    if acked:
        answers.append(store.ack([_ack(run) for run in acked]))
    if nacked:
        answers.append(store.nack([run.handback or Handback(run.lent.receipt, restore=True) for run in nacked]))
    if buried:
        answers.append(store.bury([run.handback or Handback(run.lent.receipt) for run in buried]))
    return answers


def _ack(run: Run) -> Ack:
    job, done = run.lent.job, run.end is End.DONE
    keep = (kept(job, run.shift.link.clock.now()) if job.key else None) if done else 0.0
    if done and (run.result is None or (run.caller is not None and not job.keep)):
        return Ack(run.lent.receipt, keep=keep)
    return Ack(run.lent.receipt, run.result, run.result_type, keep)


def _alone(run: Run) -> tuple[list[Run], list[Run], list[Run]]:
    return [run] if run.end in _ACKED else [], [run] if run.end in _NACKED else [], [run] if run.end is End.BURIED else []
