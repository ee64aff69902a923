"""Those in this process who listen, whatever way the messages came: each hears what its patterns mean, one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from ..bus import Heard
from ..message import Message
from ..topics import check_patterns, matcher

SOME = ""  # in a table of what was missed: nobody knows what, nor how many
UNKNOWN: Mapping[str, int] = {SOME: 1}
NOTHING: Mapping[str, int] = {}


class Hearer:
    """One who listens. The lock makes it one call at a time, and lets `end` wait for a call that goes on."""

    def __init__(self, patterns: Sequence[str], heard: Heard) -> None:
        self.patterns = check_patterns(patterns)
        self._means = matcher(self.patterns)
        self._heard = heard
        self._lock = threading.RLock()
        self._ended = False

    def tell(self, messages: Sequence[Message], missed: Mapping[str, int] = NOTHING) -> None:
        """`missed`: by topic, how many were lost before these; SOME among them when that is not known."""
        meant = [message for message in messages if self._means(message.topic)]
        lost = 0
        if missed:
            lost = -1 if SOME in missed else sum(count for topic, count in missed.items() if self._means(topic))
        self._say(meant, lost)

    def lose(self, count: int) -> None:
        """So many that it wanted were lost; -1: some."""
        self._say((), count)

    def _say(self, meant: Sequence[Message], lost: int) -> None:
        if not meant and not lost:
            return
        with self._lock:
            if self._ended:
                return
            try:
                self._heard(meant, lost)
            except Exception:  # what one listener cannot bear is no reason for the others to hear no more
                import logging  # nobody who only puts jobs needs it

                logging.getLogger("ropeway").exception("a listener of %s failed", " ".join(self.patterns)[:200])

    def end(self) -> None:
        with self._lock:
            self._ended = True


class Hearers:
    """All of them, in the order in which they came."""

    def __init__(self) -> None:
        self._all: tuple[Hearer, ...] = ()
        self._lock = threading.Lock()

    def add(self, hearer: Hearer) -> None:
        with self._lock:
            self._all = (*self._all, hearer)

    def remove(self, hearer: Hearer) -> None:
        """It hears no more when this has answered."""
        with self._lock:
            self._all = tuple(one for one in self._all if one is not hearer)
        hearer.end()

    def tell(self, messages: Sequence[Message], missed: Mapping[str, int] = NOTHING) -> None:
        for hearer in self._all:
            hearer.tell(messages, missed)

    def end(self) -> None:
        """All of them."""
        for hearer in self._all:
            self.remove(hearer)

    def patterns(self) -> tuple[str, ...]:
        """What any of them listens for, each pattern once."""
        return tuple(dict.fromkeys(pattern for hearer in self._all for pattern in hearer.patterns))

    def __contains__(self, hearer: Hearer) -> bool:
        return hearer in self._all

    def __bool__(self) -> bool:
        return bool(self._all)
