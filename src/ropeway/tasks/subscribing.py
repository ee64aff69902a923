"""Functions that hear topics: what `subscribe` registers, and the hidden task that runs what a durable group is brought."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, TypedDict

from ..codec import decode_body
from ..durations import Duration, seconds
from ..errors import BadBody, BadValue, Discard
from ..group import PREFIX, Group, check_group, message_of
from ..message import Message
from ..retry import Retry
from ..topics import check_patterns, matcher
from .arguments import Arguments, type_of
from .context import current_claim
from .task import Task

if TYPE_CHECKING:
    from ..codecs import Codec, Way
    from .registry import Tasks

BUFFER = 1000


class GroupOptions(TypedDict, total=False):
    """What may be said of a durable group where its function is registered. Durations are seconds or text such as "30s"."""

    retry: Retry | int | None  # the policy, or the number of attempts; the worker's
    timeout: Duration | None  # of one run
    keep: Duration | None  # how long a message stays when it was handled, to be replayed


class Subscription:
    """A function, and the topics that it hears: for a durable `group`, or, without one, for as long as a worker of this program runs."""

    def __init__(self, function: Callable[..., Any], patterns: Sequence[str], group: str, buffer: int) -> None:
        self.function = function
        self.patterns = check_patterns(patterns)
        self.group = group
        self.buffer = buffer
        self.means = matcher(self.patterns)
        self.awaited = iscoroutinefunction(function)
        self._into = _wanted(function)

    def call(self, message: Message) -> Any:
        """What the function answers, or the coroutine. Raises BadBody when the body is not what it asks for."""
        return self.function(message if self._into is Message else decode_body(message.body, message.content_type, self._into))


class GroupTask(Task[[], None, Any]):
    """The task of a group: its jobs are copies of messages, and it calls each function of this program whose patterns mean the topic."""

    def __init__(self, group: str, home: Tasks, keep: float, **options: Any) -> None:
        self.group = group
        self.kept = keep
        super().__init__(self._handle, home, name=PREFIX + group, queue=PREFIX + group, **options)

    @property
    def subscriptions(self) -> list[Subscription]:
        """Those of the whole program, whichever registry they are in."""
        return [one for one in self.home.top.subscriptions if one.group == self.group]

    @property
    def function(self) -> Callable[[], Any]:
        """What runs it: a coroutine function where one of the group's functions is."""
        return self._ahandle if any(one.awaited for one in self.subscriptions) else self._handle

    @function.setter
    def function(self, function: object) -> None:
        """It is made of the subscriptions, at any time."""

    @property
    def arguments(self) -> Arguments:
        if self._arguments is None:
            self._arguments = _Nothing(self.name, lambda: None)
        return self._arguments

    def read(self, body: bytes, content_type: str, way: Way) -> Any:  # noqa: ARG002 - the body is the message's, of any type
        return self.arguments.decode(b"")

    def _handle(self) -> None:
        message, meant = self._meant()
        for one in meant:
            self._checked(one.call, message)

    async def _ahandle(self) -> None:
        message, meant = self._meant()
        for one in meant:
            if one.awaited:
                await self._checked(one.call, message)
            else:
                await asyncio.to_thread(self._checked, one.call, message)

    def _meant(self) -> tuple[Message, list[Subscription]]:
        claim = current_claim()
        if claim is None:
            raise BadValue(f"{self.name} runs in a worker only; call the function itself")
        try:
            message = message_of(claim.job)
        except BadBody as error:
            raise Discard(str(error)) from None
        meant = [one for one in self.subscriptions if one.means(message.topic)]
        if not meant:  # an operator has widened the group, or another release of the program has: not ours to drop
            raise BadValue(f"no function of this program hears {message.topic} for group {self.group}; the message was not handled")
        return message, meant

    @staticmethod
    def _checked(call: Callable[[Message], Any], message: Message) -> Any:
        try:
            return call(message)
        except BadBody as error:
            raise Discard(str(error)) from error


class _Nothing(Arguments):
    """No arguments, whatever the body is."""

    def decode(self, body: bytes, by: Codec | None = None) -> Any:  # noqa: ARG002
        return super().decode(b"{}")


def subscribed(
    home: Tasks, patterns: Sequence[str], group: str | None, buffer: int | None, options: Mapping[str, Any]
) -> Callable[[Callable[..., Any]], tuple[Subscription, GroupTask | None]]:
    """What registers a function: the subscription, and the task of its group unless there is one in this registry already. Raises BadValue
    or BadName for what cannot be subscribed."""
    check_patterns(patterns)
    if unknown := options.keys() - GroupOptions.__annotations__.keys():
        raise TypeError(f"subscribe has no option {min(unknown)!r}; it has: group buffer {' '.join(GroupOptions.__annotations__)}")
    if group is None and options:
        raise BadValue(f"{min(options)} is for a durable group: say which with group=; nothing was registered")
    if group is not None and buffer is not None:
        raise BadValue("a buffer is for who only listens; a durable group has a queue. Nothing was registered")
    if group is not None:
        check_group(Group(group, tuple(patterns)))

    def register(function: Callable[..., Any]) -> tuple[Subscription, GroupTask | None]:
        one = Subscription(function, patterns, group or "", BUFFER if buffer is None else buffer)
        if group is None:
            return one, None
        known = home.top.get(PREFIX + group)
        if known is not None and options:
            raise BadValue(f"group {group} has a function already, and its options stand there; nothing was registered")
        if known is not None and known.home is home:
            return one, None
        given = dict(options)
        keep = given.pop("keep", None)
        return one, GroupTask(group, home, 0.0 if keep is None else seconds(keep, "keep"), **given)

    return register


def groups_of(tasks: Iterable[Task[..., Any, Any]], subscriptions: Iterable[Subscription]) -> dict[str, tuple[tuple[str, ...], float]]:
    """What the code asks for: of each group its patterns, and how long it keeps what was handled."""
    asked: dict[str, set[str]] = {}
    for one in subscriptions:
        if one.group:
            asked.setdefault(one.group, set()).update(one.patterns)
    keep = {name: max((task.kept for task in tasks if isinstance(task, GroupTask) and task.group == name), default=0.0) for name in asked}
    return {name: (tuple(sorted(patterns)), keep[name]) for name, patterns in asked.items()}


def _wanted(function: Callable[..., Any]) -> Any:
    """The type of its one argument: Message unless it says another. Raises BadValue when it does not take one."""
    name = getattr(function, "__qualname__", repr(function))
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return Message
    first = parameters[0] if parameters else None
    if first is None or first.kind not in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL):
        raise BadValue(f"{name} takes no message: a function that hears topics has one argument; nothing was registered")
    if any(p.default is Parameter.empty and p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for p in parameters[1:]):
        raise BadValue(f"{name} takes more than the message: a function that hears topics has one argument; nothing was registered")
    hint = type_of(function, first.name)
    if hint is Any or first.annotation is Parameter.empty or hint is Message:
        return Message
    try:
        import msgspec

        msgspec.json.Decoder(hint)
    except TypeError as error:
        raise BadValue(f"{name}: a message cannot be read as {first.annotation}: {error}; nothing was registered") from None
    return hint
