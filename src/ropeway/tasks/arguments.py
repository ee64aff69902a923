"""How the arguments of one function become a body, and a body its arguments again. By name, in the codec of the queue or task; checked on
both sides by one decoder.

The body of a job that runs a task is one of these, the first being what `put` makes:

    {"user_id": 42, "lang": "de"}               by name
    [42]                                        by place
    {"args": [42], "kwargs": {"lang": "de"}}    both; what `put` makes for functions with *args, **kwargs or names that are only places
    (nothing)                                   no arguments

The last form is only understood where the function has no parameter called args or kwargs, or where `put` itself makes it, with both.
Raw bytes are the one argument themselves; a pickle is always of the third form.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from inspect import Parameter, getattr_static, isfunction, ismethod, signature
from operator import attrgetter
from typing import Any, ParamSpecArgs, ParamSpecKwargs, Union, Unpack, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ..codecs import Codec, codec
from ..errors import BadBody, BadValue
from ..names import shown

_PLAIN = (type(None), bool, int, float, str, bytes, datetime, date, time, timedelta, UUID)  # defaults that a Struct may share
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_ENVELOPE = frozenset({"args", "kwargs"})

_JSON = codec("json")


class Arguments:
    """The arguments of `function`, by its signature. `name` is the task's, for errors."""

    def __init__(self, name: str, function: Callable[..., Any], templates: Sequence[str] = ()) -> None:
        self.name = name
        self.signature = signature(function)
        self._parameters = self.signature.parameters
        self._hints = _hints(function, self._parameters)
        self._places: tuple[str, ...] = ()
        self._apply: Callable[[Callable[..., Any], Any], Any] = _by_place((), ())
        plain = all(p.kind in _BY_NAME and not n.startswith("__") for n, p in self._parameters.items())  # a Struct has those names itself
        self._form = self._struct() if plain else None
        for template in templates:
            self._check(template)
        if self._form is not None:
            try:
                self._read = _JSON.decoder(self._form)
            except TypeError as error:
                raise BadValue(f"task {name}: its arguments cannot be checked: {error}") from None
        else:
            self._check_types()
        self._readers: dict[str, Callable[[bytes], Any]] = {}

    def type_of(self, name: str) -> Any:
        """The type that each value of this parameter is checked against; Any where its annotation says nothing."""
        hint = self._hints[name]
        return Any if isinstance(hint, ParamSpecArgs | ParamSpecKwargs) or get_origin(hint) is Unpack else hint

    # At the put

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], by: Codec = _JSON) -> tuple[bytes, Any]:
        """The body for a call with these arguments, and the arguments as the worker will see them.

        Raises TypeError when the function cannot be called so, BadBody when a value is not of its type or the codec cannot carry it.
        """
        if by.objects or by.name == "raw":
            bound = self._bind(args, kwargs, TypeError)
            values = self._classes(bound)
            return self._dump({"args": bound.args, "kwargs": bound.kwargs} if by.objects else self._only(bound), by), values
        if self._form is None:
            bound = self._bind(args, kwargs, TypeError)
            body = self._dump({"args": bound.args, "kwargs": bound.kwargs}, by)
            return body, self.decode(body, by)
        named = kwargs
        if args:
            named = dict(zip(self._places, args, strict=False))
            if len(args) > len(self._places) or named.keys() & kwargs.keys():
                self._bind(args, kwargs, TypeError)
            named.update(kwargs)
        try:
            values = self._form(**named)
        except TypeError:
            self._bind(args, kwargs, TypeError)
            raise
        body = self._dump(values, by)
        return body, self.decode(body, by)

    def named(self, values: Any) -> dict[str, Any]:
        """What `encode` or `decode` answered, by name and with the defaults: for the templates of keys and lanes."""
        if self._form is None:
            values.apply_defaults()
            return dict(values.arguments)
        given = {name: getattr(values, name) for name in self._parameters}
        return {name: self._parameters[name].default if value is UNSET else value for name, value in given.items()}

    def _dump(self, values: object, by: Codec) -> bytes:
        try:
            return by.encode(values)
        except Exception as error:  # noqa: BLE001 - an argument may be anything, and raise anything
            raise BadBody(f"task {self.name}: an argument cannot be carried as {by.name}: {error}; nothing was stored") from None

    # At the worker

    def decode(self, body: bytes, by: Codec = _JSON) -> Any:
        """The arguments in the form that `call` takes. Raises BadBody when they do not fit the function."""
        if by.name == "raw":
            return self._classes(self._bind((body,), {}, BadBody))
        if by.objects:
            args, kwargs = self._open(body, by)
            return self._classes(self._bind(args, kwargs, BadBody))
        if self._form is not None:
            try:
                return (self._read if by is _JSON else self._reader(by))(body)
            except Exception as error:  # noqa: BLE001 - the bytes may be anything
                return self._otherwise(body, by, error)
        args, kwargs = self._open(body, by)
        return self._checked(self._bind(args, kwargs, BadBody), by)

    def call(self, function: Callable[..., Any], values: Any) -> Any:
        """Call the function with what `decode` answered."""
        if self._form is None:
            return function(*values.args, **values.kwargs)
        return self._apply(function, values)

    def _reader(self, by: Codec) -> Callable[[bytes], Any]:
        made = self._readers.get(by.name)
        if made is None:
            made = self._readers[by.name] = by.decoder(self._form)
        return made

    def _otherwise(self, body: bytes, by: Codec, error: Exception) -> Any:
        """The forms that other languages send, merged by name; the first error stands when it is none of them either."""
        assert self._form is not None
        args, kwargs = self._open(body, by, error)
        bound = self._bind(args, kwargs, BadBody)
        try:
            return msgspec.convert(bound.arguments, self._form, str_keys=by.name == "json")
        except Exception as wrong:  # noqa: BLE001 - a type of the user's may check itself, and raise anything
            raise self._bad(wrong) from None

    def _open(self, body: bytes, by: Codec, before: Exception | None = None) -> tuple[Sequence[Any], dict[str, Any]]:
        try:
            raw = by.decoder(Any)(body) if body else []
        except Exception as error:  # noqa: BLE001 - the bytes may be anything
            raise self._bad(error) from None
        if isinstance(raw, list):
            return raw, {}
        own = _ENVELOPE & self._parameters.keys() - self._stars
        ours = raw.keys() == _ENVELOPE and (by.objects or self._form is None) if isinstance(raw, dict) else False
        if isinstance(raw, dict) and raw and raw.keys() <= _ENVELOPE and (ours or not own):
            args, kwargs = raw.get("args", []), raw.get("kwargs", {})
            if isinstance(args, list | tuple) and isinstance(kwargs, dict) and all(isinstance(name, str) for name in kwargs):
                return args, kwargs
        if isinstance(raw, dict) and before is None and all(isinstance(name, str) for name in raw):
            return [], raw
        raise self._bad(before or f"an object or an array was expected, not {shown(raw)}")

    def _bad(self, error: object) -> BadBody:
        return BadBody(f"task {self.name}: the arguments do not fit: {error}")

    # Made once

    def _bind(self, args: Any, kwargs: Mapping[str, Any], kind: type[Exception]) -> Any:
        try:
            return self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise kind(f"task {self.name}: {error}; put it as the function would be called") from None

    def _checked(self, bound: Any, by: Codec) -> Any:
        for name, value in bound.arguments.items():
            into = _collected(self._parameters[name].kind, self._hints[name])
            try:
                bound.arguments[name] = msgspec.convert(value, into, str_keys=by.name == "json")
            except Exception as error:  # noqa: BLE001 - a type of the user's may check itself, and raise anything
                raise self._bad(f"{name}: {error}") from None
        return bound

    def _classes(self, bound: Any) -> Any:
        """The same for objects that travel as they are: only the class of each is looked at. The form that `call` takes."""
        from ..codecs.classes import fits

        for name, value in bound.arguments.items():
            if not fits(value, _collected(self._parameters[name].kind, self._hints[name])):
                wanted = getattr(self._hints[name], "__name__", self._hints[name])
                raise self._bad(f"{name}: expected {wanted}, got {type(value).__name__}")
        return bound if self._form is None else self._form(**bound.arguments)

    def _only(self, bound: Any) -> Any:
        """The one argument that raw bytes are."""
        if len(self._parameters) == 1 and len(bound.arguments) == 1 and self._form is not None:
            return next(iter(bound.arguments.values()))
        raise BadBody(f"task {self.name}: raw bytes are its one argument, and it takes {len(self._parameters)}; nothing was stored")

    @property
    def _stars(self) -> set[str]:
        return {n for n, p in self._parameters.items() if p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}

    def _struct(self) -> type[Struct]:
        fields: list[Any] = []
        own_defaults = False
        for name, parameter in self._parameters.items():
            hint, default = self._hints[name], parameter.default
            if default is Parameter.empty:
                fields.append((name, hint))
            elif type(default) in _PLAIN:
                fields.append((name, hint, default))
            else:  # left out of the body, so that the function takes its own default and not a copy
                own_defaults = True
                fields.append((name, _or_unset(hint), UNSET))
        self._places = tuple(n for n, p in self._parameters.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD)
        words = tuple(n for n in self._parameters if n not in self._places)
        self._apply = _by_name(tuple(self._parameters)) if own_defaults else _by_place(self._places, words)
        return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False)

    def _check_types(self) -> None:
        for name, parameter in self._parameters.items():
            try:
                msgspec.json.Decoder(_collected(parameter.kind, self._hints[name]))
            except TypeError as error:
                raise BadValue(f"task {self.name}: its argument {name} cannot be checked: {error}") from None

    def _check(self, template: str) -> None:
        for _, field, _, _ in string.Formatter().parse(template):
            if field is not None and field.partition(".")[0].partition("[")[0] not in self._parameters:
                raise BadValue(f"task {self.name}: {template!r} names {shown(field)}, which is none of its arguments")


def type_of(function: Callable[..., Any], name: str) -> Any:
    """The type that the function's annotation gives this name ("return" for what it returns); Any when it gives none that can be found."""
    return _hints(function, (name,))[name]


def result_type(function: Callable[..., Any]) -> Any:
    """What the function says it returns; Any when it says nothing, or what JSON cannot carry."""
    hint = function if isinstance(function, type) else _hints(function, ("return",))["return"]
    try:
        msgspec.json.Decoder(hint)
    except (TypeError, ValueError):
        return Any
    return hint


def _collected(kind: object, hint: Any) -> Any:
    """The type of what a parameter of this kind collects, when each item is of the type `hint`."""
    if get_origin(hint) is Unpack:  # **options: Unpack[Options], and *args: *Ts, of which nothing is known
        (hint,) = get_args(hint)
        return hint if kind is Parameter.VAR_KEYWORD else Any
    if isinstance(hint, ParamSpecArgs | ParamSpecKwargs):  # a wrapper that takes whatever comes
        return Any
    if kind is Parameter.VAR_POSITIONAL:
        return tuple.__class_getitem__((hint, ...))
    return dict.__class_getitem__((str, hint)) if kind is Parameter.VAR_KEYWORD else hint


def _or_unset(hint: Any) -> Any:
    return hint if hint is Any else Union.__getitem__((hint, UnsetType))


def _by_place(places: tuple[str, ...], words: tuple[str, ...]) -> Callable[[Callable[..., Any], Any], Any]:
    """A caller that hands the fields over in their places, and those that can only be named by name."""
    names, first = (*places, *words), len(places)
    if not names:
        return lambda function, _: function()
    get = attrgetter(*names)
    if len(names) == 1:
        return (lambda function, values: function(get(values))) if places else lambda function, values: function(**{names[0]: get(values)})
    if not words:
        return lambda function, values: function(*get(values))

    def call(function: Callable[..., Any], values: Any) -> Any:
        given = get(values)
        return function(*given[:first], **dict(zip(words, given[first:], strict=True)))

    return call


def _by_name(names: tuple[str, ...]) -> Callable[[Callable[..., Any], Any], Any]:
    """A caller that hands over, by name, what was given."""

    def call(function: Callable[..., Any], values: Any) -> Any:
        return function(**{name: value for name in names if (value := getattr(values, name)) is not UNSET})

    return call


def _hints(function: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    """The type of each of these; Any for one without a hint, and for one whose hint names what is only imported for type checkers."""
    while isinstance(function, partial):
        function = function.func
    if not isinstance(function, type) and ismethod(call := getattr(function, "__call__", None)):  # noqa: B004 - an object's own
        function = call
    if isinstance(function, type) and isfunction(init := getattr_static(function, "__init__")):
        function = init
    try:
        known = get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint is an expression of the user's and may raise anything
        known = {}
        for name, hint in getattr(function, "__annotations__", {}).items():
            try:
                known.update(get_type_hints(_Holder(name, hint, function), include_extras=True))
            except Exception:  # noqa: BLE001
                continue
    return {name: known.get(name, Any) for name in names}


class _Holder:
    """One annotation on its own, for get_type_hints."""

    def __init__(self, name: str, hint: Any, function: Callable[..., Any]) -> None:
        self.__annotations__ = {name: hint}
        self.__globals__ = getattr(function, "__globals__", {})
