"""Everything that can go wrong, as one tree; each text says what failed, what was not done, and what to do.

RopewayError
 |- StoreError      the engine failed: the outcome is unknown, the same call may be repeated
 |- Unsupported     this engine cannot do that, and says so before anything was done
 |- Conflict        the unique key is held by a live job
 |- LeaseLost       somebody else may hold the job by now: the receipt changed nothing
 |- Timeout         the time was up (also a TimeoutError)
 |- RemoteError     the job failed on its worker; carries the remote traceback
 |- Stopped         the queue is switched off for this: refused, with the operator's reason
 |- BadName         a name that is no name (also a ValueError)
 |- BadBody         a body, header or result that cannot be carried (also a ValueError)
 |- BadValue        a priority, duration, pattern or other value out of its range (also a ValueError)
 |- NotAllowed      the credentials do not reach that far, or a hook of the application's refused it
 `- ConfigError     a URL, file or option that cannot be understood

RetryLater, Discard     not errors: what a task raises to steer its own job
"""

from __future__ import annotations


class RopewayError(Exception):
    """The root of all errors that ropeway raises on purpose."""


class StoreError(RopewayError):
    """The engine failed. Nothing is known of the outcome; the same call may be repeated (ids and receipts make that safe).

    `definite` is True when it is known that nothing was stored or changed.
    """

    def __init__(self, text: str, *, definite: bool = False) -> None:
        super().__init__(text)
        self.definite = definite


class Unsupported(RopewayError):
    """The engine lacks the feature; nothing was done."""


class Conflict(RopewayError):
    """The unique key is held by a live job, or jobs that should be copied are running; nothing was stored. `key` and `job_id` (if known)
    name the one that holds it."""

    def __init__(self, text: str, *, key: str = "", job_id: str = "") -> None:
        super().__init__(text)
        self.key = key
        self.job_id = job_id


class LeaseLost(RopewayError):
    """The claim is void: its lease ended or another holds the job. Nothing was changed."""


class Timeout(RopewayError, TimeoutError):
    """The time given was up before there was an answer."""


class RemoteError(RopewayError):
    """The job failed where it ran. `remote_type` names the exception's type there, `message` is what it said, `traceback` its text. Where
    the type is one of Python's own, or was named by `Tasks.errors`, the error is an instance of that class too."""

    def __init__(self, text: str, *, remote_type: str = "", message: str = "", traceback: str = "") -> None:
        Exception.__init__(self, text)  # and no other's: a class that is both may have a constructor of its own kind
        self.remote_type = remote_type
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Stopped(RopewayError):
    """The queue is switched off for what was asked; `reason` is the operator's. Nothing was done."""

    def __init__(self, text: str, *, queue: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.queue = queue
        self.reason = reason


class BadName(RopewayError, ValueError):
    """A queue, task, topic, header or key name that breaks its rule; nothing was done."""


class BadBody(RopewayError, ValueError):
    """A body, header value or result that is too large, of the wrong type or damaged; nothing was stored."""


class BadValue(RopewayError, ValueError):
    """A priority, duration, pattern or option value out of its range; nothing was done."""


class NotAllowed(RopewayError):
    """The credentials given, or a hook of the application's, do not allow that; nothing was done."""


class ConfigError(RopewayError):
    """A URL, option, file or setting cannot be understood; nothing was opened."""


class RetryLater(Exception):
    """Raised by a task: give the job back and run it again after `delay` (seconds or "2m"); the attempt is not counted."""

    def __init__(self, delay: float | str = 0, reason: str = "") -> None:
        super().__init__(reason or f"asked to be run again after {delay}")
        self.delay = delay
        self.reason = reason


class Discard(Exception):
    """Raised by a task: do not retry; bury the job with this reason."""

    def __init__(self, reason: str = "discarded by its task") -> None:
        super().__init__(reason)
        self.reason = reason
