"""What `get` does: claims, writes out, and only then acks; what could not be written goes back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ..claim import sound
from ..errors import RopewayError, Stopped
from ..ids import check_id
from ..store import Ack, Handback, Lent, Store
from .outlet import outlet
from .session import Session
from .signals import disturbed, undisturbed
from .verdict import CONFLICT, DONE, NOTHING, USAGE, Failure
from .writer import Writer

OWN_LEASE = 60.0  # of a job that is only being written out; renewed while a large body is under way
MOST = 100  # claimed at once
BREATH = 0.005  # seconds after a wake-up that brought nothing
LOOK = 5.0  # seconds between two looks at a queue that is switched off


class Getting:
    """One run of `get`."""

    def __init__(self, session: Session, options: dict[str, Any]) -> None:
        self.session = session
        self.queue: str = options["queue"]
        self.lease: float | None = options["lease"]
        self.follow: bool = options["follow"]
        self.wait: float = options["wait"] or 0.0
        self.ids = [check_id(i) for i in options["ids"]]
        self.left: int | None = options["count"] or (None if self.follow else 1)
        self.lost = 0
        self._said = ""
        if self.ids and (self.follow or self.wait or options["count"]):
            raise Failure(USAGE, "--id takes those jobs and no others: leave out -n, -t and --follow; nothing was taken")
        if self.lease is not None and self.lease <= 0:
            raise Failure(USAGE, "a lease of 0 has ended before it began; nothing was taken")
        if options["to_dir"] and options["form"]:
            raise Failure(USAGE, f"give --to-dir or --{options['form']}, not both; nothing was taken")
        if self.lease is not None and options["form"]:
            raise Failure(USAGE, f"--{options['form']} prints no receipts, so --lease would lose them; nothing was taken")
        self.writer = Writer(session, options["form"], options["to_dir"], self.lease)
        self.holder = session.link.holder(bound=self.lease is None)
        self.keeper = _Keeper(session.store if self.lease is None else None)

    def run(self) -> int:
        self.session.out.stream = outlet(self.session.out.stream)
        try:
            with undisturbed(), self.writer.listing():
                taken = self._picked() if self.ids else self._claimed()
        finally:
            self.keeper.close()
        if self.lost:
            raise Failure(CONFLICT, f"{self.lost} of {taken} written jobs are claimed by somebody else by now, and will be seen again")
        if not taken and not self.follow:
            self.session.note(f"nothing to get in {self.queue}; see: ropeway ls {self.queue}")
            return NOTHING
        return DONE

    def _picked(self) -> int:
        lents = self.session.store.pick(self.queue, self.ids, self.lease or OWN_LEASE, self.holder)
        self._hand_out([lent for lent in lents if lent])
        missing = [i for i, lent in zip(self.ids, lents, strict=True) if lent is None]
        if missing:
            from .operating import why_not

            raise why_not(self.session, missing, "taken")
        return len(lents)

    def _claimed(self) -> int:
        taken = 0
        clock = self.session.link.clock
        deadline = clock.boot() + self.wait
        woken = False
        while self.left is None or taken < self.left:
            lents = self._claim(MOST if self.left is None else min(MOST, self.left - taken))
            if lents:
                runnable = sound(self.session.link, lents)
                taken += len(runnable)
                self._hand_out(runnable)
                woken = False
                continue
            remains = None if self.follow else deadline - clock.boot()
            if (taken and not self.follow) or (remains is not None and remains <= 0):
                break
            with disturbed():
                if woken:  # and there was nothing after all
                    clock.sleep(threading.Event(), BREATH)
                woken = self.session.store.wait([self.queue], LOOK if remains is None else min(remains, LOOK))
        return taken

    def _claim(self, limit: int) -> list[Lent]:
        try:
            return self.session.store.claim([self.queue], limit, self.lease or OWN_LEASE, self.holder)
        except Stopped as stopped:
            if not self.follow:
                raise
            self._say_once(str(stopped))
            with disturbed():
                self.session.link.clock.sleep(threading.Event(), 0.2)
            return []

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.session.note(f"{text}; waiting until it is switched on")

    def _hand_out(self, lents: Sequence[Lent]) -> None:
        """Write each out, then settle: those that were written are acked, the others given back uncounted, whatever happened."""
        written: list[Lent] = []
        self.keeper.holds(lents)
        try:
            for lent in lents:
                self.writer.write(lent.job, lent.attempt, lent=lent)
                self.session.out.stream.flush()
                written.append(lent)
        finally:
            self._settle(written, lents[len(written) :])
            self.keeper.holds(())

    def _settle(self, written: Sequence[Lent], others: Sequence[Lent]) -> None:
        if self.lease is None and written:
            answers = self.session.store.ack([Ack(lent.receipt) for lent in written])
            self.lost += answers.count(False)
        if others:
            self.session.store.nack([Handback(lent.receipt, restore=True) for lent in others])


class _Keeper:
    """Renews what is being written out: a reader may be slow, and a body large."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._receipts: tuple[str, ...] = ()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def holds(self, lents: Sequence[Lent]) -> None:
        """These are being written out now; nothing, when it is empty."""
        self._receipts = tuple(lent.receipt for lent in lents)
        if self._store and self._receipts and self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._store,), name="ropeway-get-keeper", daemon=True)
            self._thread.start()

    def _run(self, store: Store) -> None:
        while not self._end.wait(OWN_LEASE / 3):
            if receipts := self._receipts:
                try:
                    store.extend(receipts, OWN_LEASE)
                except RopewayError:
                    continue  # the ack will say what became of it

    def close(self) -> None:
        """Let the thread end."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
