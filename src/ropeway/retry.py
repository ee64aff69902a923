"""When a failed job runs again: exponential back-off with full jitter, by exception type, and an end.

Full jitter (a delay drawn evenly between nothing and the exponential bound) clears a crowd of retries fastest with the least work;
see M. Brooker, "Exponential Backoff and Jitter", 2015.
"""

from __future__ import annotations

from collections.abc import Callable

from .durations import Duration, seconds
from .errors import BadValue

ExceptionTypes = type[BaseException] | tuple[type[BaseException], ...]


class Retry:
    """A retry policy: at most `attempts` runs in all; before run n + 1 a delay of up to min(cap, base * factor ** (n - 1)) seconds.

    `jitter` is the share of that delay which is drawn by chance: 1 (default) between 0 and the whole, 0 none. `on` names the only
    exception types worth a retry, `give_up_on` those that never are. Raises BadValue for numbers that make no sense.
    """

    __slots__ = ("attempts", "base", "cap", "factor", "give_up_on", "jitter", "on")

    def __init__(
        self,
        attempts: int = 5,
        *,
        base: Duration = 1.0,
        cap: Duration = 3600.0,
        factor: float = 2.0,
        jitter: float = 1.0,
        on: ExceptionTypes = Exception,
        give_up_on: ExceptionTypes = (),
    ) -> None:
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise BadValue(f"retry attempts must be a whole number from 1 up, not {ascii(attempts)[:40]}")
        if not factor >= 1 or not 0 <= jitter <= 1:
            raise BadValue("retry factor must be at least 1, jitter between 0 and 1")
        self.attempts = attempts
        self.base = seconds(base, "retry base")
        self.cap = seconds(cap, "retry cap")
        self.factor = float(factor)
        self.jitter = float(jitter)
        self.on = on
        self.give_up_on = give_up_on

    def delay(self, attempt: int, error: BaseException | None, chance: Callable[[], float]) -> float | None:
        """Seconds until the next run after run number `attempt` (from 1) ended in `error`, or None when there is none.

        `chance` gives a number from 0 up to 1. `error` is None when the run ended without an exception of ours
        (a command's exit code, a timeout): then only the count decides.
        """
        if attempt >= self.attempts:
            return None
        if error is not None and (isinstance(error, self.give_up_on) or not isinstance(error, self.on)):
            return None
        bound = self.cap
        if self.factor == 1 or attempt - 1 < 1000:
            try:
                bound = min(self.cap, self.base * self.factor ** (attempt - 1))
            except OverflowError:
                bound = self.cap
        return bound * (1 - self.jitter * chance())

    def __repr__(self) -> str:
        return f"Retry({self.attempts}, base={self.base}, cap={self.cap}, factor={self.factor}, jitter={self.jitter})"


DEFAULT = Retry()
DEADLY = 3  # a job that was running when this many workers died is buried
