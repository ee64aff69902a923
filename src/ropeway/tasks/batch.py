"""Tasks that take several jobs at once: a function of one list, each item of which is one job's.

    @broker.task(batch=100, batch_wait="50ms")
    def index(documents: list[Document]) -> list[bool]: ...

    index.put(document)                          # one job; a hundred of them make one call

What the list is annotated with says what a job carries: `list[tuple[int, str]]` is put as `task.put(7, "x")`, any other `list[T]` as
`task.put(value)`, and for `list[TaskClaim]` a job carries whatever it is put with, and the function gets the claims themselves. It answers
one result for each item, in their order; an exception among the results is that one job's failure. None in place of a list: all went well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from ..errors import BadValue

if TYPE_CHECKING:
    from .arguments import Arguments

_PLACES = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
ITEM = "item"


class Batching:
    """How the jobs of a batch task look one by one. `one` has the signature of a single job, `result` is the type of its result."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        parameters = list(signature(function).parameters.values())
        if len(parameters) != 1 or parameters[0].kind not in _PLACES:
            raise BadValue(f"task {name}: with batch= it must take one argument, the list of what its jobs carry")
        try:
            hints = get_type_hints(function)
        except NameError as error:
            raise BadValue(f"task {name}: its annotations cannot be read: {error}") from None
        self._name = name
        self.result = _item_of(hints.get("return", Any))
        item = _item_of(hints.get(parameters[0].name, Any))
        self.of_claims = getattr(item, "__name__", "") in ("Claim", "TaskClaim")
        self._spread = get_origin(item) is tuple and get_args(item)[-1:] != (...,)
        self.one = self._single(item)

    def item(self, arguments: Arguments, values: Any) -> Any:
        """What stands in the list for a job whose arguments were decoded to this."""
        return arguments.call(_together if self._spread else _itself, values)

    def results(self, answer: Any, count: int) -> list[Any]:
        """What the function answered, job by job. Raises BadValue when it does not fit."""
        if answer is None:
            return [None] * count
        if isinstance(answer, str | bytes | dict) or not isinstance(answer, Iterable):
            raise BadValue(f"task {self._name} was given {count} jobs and answered {type(answer).__name__}: it must be a list of {count}")
        results = list(answer)
        if len(results) != count:
            raise BadValue(f"task {self._name} was given {count} jobs and answered {len(results)} results: nobody can tell whose they are")
        return results

    def _single(self, item: Any) -> Callable[..., Any]:
        if self.of_claims:
            kinds = [Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)]
        elif self._spread:
            named = [(f"{ITEM}{number}", kind) for number, kind in enumerate(get_args(item), 1)]
            kinds = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=kind) for name, kind in named]
        else:
            kinds = [Parameter(ITEM, Parameter.POSITIONAL_OR_KEYWORD, annotation=item)]

        def one(*args: Any, **kwargs: Any) -> None:
            """Stands for the function where a single job is meant."""

        one.__signature__ = Signature(kinds)  # type: ignore[attr-defined]
        one.__annotations__ = {kind.name: kind.annotation for kind in kinds if kind.annotation is not Parameter.empty}
        one.__name__ = self._name
        one.__annotations__["return"] = self.result
        return one


def _item_of(hint: Any) -> Any:
    """The type of the items of such a list; of `T | Exception` the part that is no exception."""
    args = get_args(hint)
    item = args[0] if args and get_origin(hint) is not tuple else Any
    kinds = [kind for kind in get_args(item) if not (isinstance(kind, type) and issubclass(kind, BaseException))]
    if kinds and get_origin(item) not in (tuple, list, dict, set) and len(kinds) < len(get_args(item)):
        return kinds[0] if len(kinds) == 1 else Any
    return item


def _together(*values: Any) -> tuple[Any, ...]:
    return values


def _itself(value: Any) -> Any:
    return value
