"""ropeway: jobs, calls and news between processes. It starts as a folder and moves by its URL.

import ropeway

with ropeway.connect("dir:spool") as broker:
    broker.queue("mails").put({"to": "a@example.org"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .broker import Broker, connect
from .claim import Claim
from .errors import (
    BadBody,
    BadName,
    BadValue,
    ConfigError,
    Conflict,
    Discard,
    LeaseLost,
    NotAllowed,
    RemoteError,
    RetryLater,
    RopewayError,
    Stopped,
    StoreError,
    Timeout,
    Unsupported,
)
from .handle import Handle
from .job import Job, State
from .queue import Queue
from .retry import Retry

if TYPE_CHECKING:
    from .introspection import introspect
    from .message import Message
    from .tasks import Tasks, current_claim

__version__ = "0.1.0"

__all__ = [
    "BadBody",
    "BadName",
    "BadValue",
    "Broker",
    "Claim",
    "ConfigError",
    "Conflict",
    "Discard",
    "Handle",
    "Job",
    "LeaseLost",
    "Message",
    "NotAllowed",
    "Queue",
    "RemoteError",
    "Retry",
    "RetryLater",
    "RopewayError",
    "State",
    "Stopped",
    "StoreError",
    "Tasks",
    "Timeout",
    "Unsupported",
    "__version__",
    "connect",
    "current_claim",
    "introspect",
]

_LATER = frozenset({"Tasks", "current_claim"})  # what reads signatures: not everyone who puts a job needs it


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from . import tasks

        return getattr(tasks, name)
    if name == "introspect":
        from .introspection import introspect

        return introspect
    if name == "Message":
        from .message import Message

        return Message
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
