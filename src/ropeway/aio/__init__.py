"""The awaitable side of the handles: many callers share one commit. asyncio is imported by the first call, not before."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from ..link import Link
    from .shared import Facade


class Linked(Protocol):
    """A handle: what belongs to a Link."""

    _link: Link


S = TypeVar("S", bound=Linked)
P = ParamSpec("P")
R = TypeVar("R")


def facade(link: Link) -> Facade:
    """The awaitable side of this link: one for all its handles and event loops, made at its first use in this process."""
    made = link.facade
    if made is None:
        from .shared import Facade

        made = link.share(lambda: Facade(link))
    return made  # type: ignore[return-value]


def twin(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """The awaitable twin of a method that is not worth a shared commit: the method itself, in a thread of the loop's executor."""

    @wraps(method)
    async def awaited(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        return await facade(self._link).call(method, self, *args, **kwargs)

    awaited.__name__ = f"a{method.__name__}"
    awaited.__qualname__ = awaited.__name__.join(method.__qualname__.rsplit(method.__name__, 1))
    awaited.__doc__ = f"The awaitable twin of `{method.__name__}`."
    return awaited  # type: ignore[return-value]  # the type of wraps() does not know that self comes by position


async def within(tx: Any, work: Callable[[Any], R]) -> R:
    """What is done in a transaction of the caller's. An AsyncSession of SQLAlchemy has a way to be used by what does not await; any
    other connection blocks wherever it is used, and may not be used but in this thread."""
    run_sync = getattr(tx, "run_sync", None)
    if run_sync is not None:
        done: R = await run_sync(work)
        return done
    return work(tx)
