"""What happens, as data: one event a batch, told to whoever listens. Nothing here is ever needed for a job to be safe."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Event(Struct, gc=False):
    """One thing that happened in a store or a worker.

    `name` is the verb or happening: put, bring, claim, ack, nack, bury, extend, wait, browse, requeue, delete, pause, resume, limit, drop
    (told by the `watched` seam after each call, with `seconds` and, when it failed, `error`); lost, expired, rescued, quarantined, suspect,
    started, ended, retried, buried, planted, stopping (told by engines and workers).
    """

    name: str
    queue: str = ""
    count: int = 1
    seconds: float = 0.0
    error: str = ""
    ids: tuple[str, ...] = ()
    detail: str = ""


Listener = Callable[[Event], None]


def tell(listeners: tuple[Listener, ...], event: Event) -> None:
    """Tell every listener; one that raises is left out of nothing but this event, and stops neither the others nor the caller."""
    for listener in listeners:
        try:
            listener(event)
        except Exception:  # noqa: BLE001 - a listener must not be able to fail a store call
            continue
