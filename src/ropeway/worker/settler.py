"""Outcomes on their way to the store: settled in groups, kept while it does not answer, and counted once it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ..errors import RopewayError, StoreError
from ..failure import one_line
from ..job import Attempt
from ..store import Ack, Handback, Store
from .journal import Journal
from .run import End, Run, Shift

_ACKED = (End.DONE, End.CANCELLED)
_NACKED = (End.RETRIED, End.SNOOZED, End.RETURNED, End.OPEN)


class Settler:
    """The ended runs that the store has not answered for. Used by the ferry alone.

    `gone` is told of each batch that is over, whatever came of it: these claims are no longer held.
    """

    def __init__(self, shift: Shift, journal: Journal, gone: Callable[[Sequence[Run]], None]) -> None:
        self._shift = shift
        self._journal = journal
        self._gone = gone
        self.runs: list[Run] = []

    def add(self, runs: Iterable[Run]) -> None:
        self.runs.extend(runs)

    def settle(self, then: Callable[[Store], None] | None = None) -> bool:
        """Tell the store all there is, and call `then` (the next claim) in the same commit. True when that commit was made; False when
        it had to be made in pieces, without `then`.

        Raises StoreError when the store failed: all is kept for the next time, and "False" to the repetition is no alarm, since the
        first time may be the one that counted. An outcome that the store refuses to carry is buried with that reason.
        """
        store, runs = self._shift.link.store, self.runs
        self.runs = []
        acked = [run for run in runs if run.end in _ACKED]
        nacked = [run for run in runs if run.end in _NACKED]
        buried = [run for run in runs if run.end is End.BURIED]
        over = [run for run in runs if run.end is End.LOST]
        try:
            if bool(acked) + bool(nacked) + bool(buried) + bool(then) > 1:
                with store.commit():
                    told = _tell(store, acked, nacked, buried)
                    if then:
                        then(store)
            else:
                told = _tell(store, acked, nacked, buried)
                if then:
                    then(store)
            answers = list(chain.from_iterable(told))
        except StoreError as error:
            self._keep(runs, definite=error.definite)
            raise
        except RopewayError:
            if not runs:
                raise
            self._one_by_one(store, runs)
            return False
        self._answered([*acked, *nacked, *buried], answers, over)
        return True

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
        if settled:
            self._journal.settled(settled)
        if lost:
            self._journal.lost(lost)
        self._gone([*settled, *lost])

    def _one_by_one(self, store: Store, runs: list[Run]) -> None:
        """The store refused the batch for the sake of one of its members: find it. What cannot be carried cannot be tried again either."""
        for place, run in enumerate(runs):
            try:
                self._answered([run], list(chain.from_iterable(_tell(store, *_alone(run)))) or [False], [])
            except StoreError as failure:
                self._keep(runs[place:], definite=failure.definite)
                raise
            except RopewayError as refusal:
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
    if run.result is None and run.end is End.DONE:
        return Ack(run.lent.receipt)
    return Ack(run.lent.receipt, run.result, run.result_type, None if run.end is End.DONE else 0.0)


def _alone(run: Run) -> tuple[list[Run], list[Run], list[Run]]:
    return [run] if run.end in _ACKED else [], [run] if run.end in _NACKED else [], [run] if run.end is End.BURIED else []
