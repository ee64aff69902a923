"""How a command ends: the exit codes, and what each error means to a shell. One line on stderr, never a traceback unless asked."""

from __future__ import annotations

from .. import errors

DONE = 0
FAILED = 1
USAGE = 2
NOTHING = 3  # nothing there
REFUSED = 4  # not allowed, or switched off
UNREACHABLE = 5
CONFLICT = 6  # the key is taken, the lease is lost, the job runs
SOME_DEAD = 10  # ran, and some jobs are dead
TIMED_OUT = 124
INTERRUPTED = 130
PIPE = 141  # the reader went away
TERMINATED = 143

EXIT_CODES = (
    (DONE, "done"),
    (FAILED, "failed"),
    (USAGE, "the command line is wrong: nothing was done"),
    (NOTHING, "nothing there: an empty queue, no such job"),
    (REFUSED, "not allowed, or the queue is switched off for this"),
    (UNREACHABLE, "the store cannot be reached or failed: the outcome is unknown, the same command may be repeated"),
    (CONFLICT, "the key is taken, the lease is lost, or the job is running"),
    (SOME_DEAD, "ran, and some jobs are dead"),
    (TIMED_OUT, "--timeout was up"),
    (INTERRUPTED, "interrupted (SIGINT)"),
    (PIPE, "nobody reads the output any more (SIGPIPE)"),
    (TERMINATED, "terminated (SIGTERM)"),
)

# The nearest kin first: what stands above another that it derives from must come before it.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.Conflict, CONFLICT),
    (errors.LeaseLost, CONFLICT),
    (errors.Stopped, REFUSED),
    (errors.NotAllowed, REFUSED),
    (errors.Timeout, TIMED_OUT),
    (errors.ConfigError, USAGE),
    (errors.BadName, USAGE),
    (errors.BadBody, USAGE),
    (errors.BadValue, USAGE),
    (errors.StoreError, UNREACHABLE),
    (errors.RopewayError, FAILED),
)


class Failure(Exception):
    """A command ends here with this code; the text says what failed, what was not done, and what to do. No text: it was said already."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


class Ended(BaseException):
    """A signal or the time limit ends the command. No Exception, so that nothing on the way takes it for a failure of its own."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


def verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and text of whatever ended a command; an empty text is not printed."""
    if isinstance(error, Failure | Ended):
        return error.code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, ""
    if isinstance(error, BrokenPipeError):
        return PIPE, ""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code, str(error) or kind.__name__
    if isinstance(error, OSError):
        what = f"{error.filename}: " if error.filename else ""
        return FAILED, f"{what}{error.strerror or error}"
    return FAILED, f"{type(error).__name__}: {error}. This is a fault of ropeway: add -vv to see where, and report it"
