"""The limits of the configuration, as a worker brings them into the store before it claims anything.

The limits that hold are those in the store, for all workers alike. The configuration fills in where nobody has set any; where an operator
has, his stand, and the worker says that they differ. So a deploy never undoes what was set in an emergency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..link import Link
from ..names import matching
from ..store import ANY, Limits
from .patience import Patience


def settle_limits(link: Link, patterns: Sequence[str], warn: Callable[..., None], patience: Patience) -> None:
    """Do so for the queues that the patterns mean. While the store fails it is tried again: without its limits a queue must not be drained.
    Raises Unsupported when the engine has none."""
    wanted = link.limits()
    wanted = {name: wanted[name] for name in matching(patterns, wanted) if name in wanted}

    def settle() -> None:
        for name, limits in differing(link, wanted):
            warn(
                "queue %s: the configuration says %s, and %s is what holds; to change that, type: ropeway limit %s --config",
                *(name, spoken(wanted[name]), spoken(limits), name),
            )

    if wanted:
        patience.until_done(settle, "the limits of the configuration cannot be set yet, and nothing is claimed before")


def differing(link: Link, wanted: Mapping[str, Limits]) -> Iterable[tuple[str, Limits]]:
    """Set those of queues that have none; what holds for the others, where it is not what is wanted."""
    stand = link.store.counts(list(wanted))
    for name, limits in wanted.items():
        if stand[name].limits == ANY != limits:
            link.store.limit([name], limits)
    return [(name, stand[name].limits) for name in wanted if stand[name].limits not in (ANY, wanted[name])]


def spoken(limits: Limits) -> str:
    """Limits as they are set on the command line."""
    return f"running {limits.running or 'any'}, lane {limits.lane}"
