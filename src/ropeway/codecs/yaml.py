"""YAML bodies: the safe part of the language, without aliases, by which a page of text could unfold into more than fits the machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

_LINE_ENDS = frozenset("\r\x85\u2028\u2029")
_NATIVE = (bytes, date, datetime)  # what YAML has forms of its own for


def encode(data: object) -> bytes:
    """YAML, with the keys in their order."""
    plain = msgspec.to_builtins(data, builtin_types=_NATIVE)
    text: str = library().dump(plain, Dumper=_dumper(), allow_unicode=True, sort_keys=False)
    return text.encode()


@cache
def _dumper() -> Any:
    """A SafeDumper that escapes the line ends of Unicode, which would be folded into spaces otherwise."""
    yaml = library()

    class Dumper(yaml.SafeDumper):  # type: ignore[name-defined, misc]
        pass

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if _LINE_ENDS & set(value) else None)

    Dumper.add_representer(str, text)
    return Dumper


def decoder(into: Any) -> Callable[[bytes], Any]:
    """Reads that type. The loader is the one written in Python: the other one goes as deep into C as the sender says."""
    yaml = library()

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("an alias (*name) is not read")
            return super().compose_node(parent, index)

    def decode(body: bytes) -> Any:
        value = yaml.load(body, Loader)
        return value if into is Any else msgspec.convert(value, into, builtin_types=_NATIVE)

    if into is not Any:
        msgspec.json.Decoder(into)  # says by TypeError what cannot be a type
    return decode


def library() -> ModuleType:
    """PyYAML. Raises ConfigError when it is not installed."""
    try:
        import yaml
    except ImportError:
        raise ConfigError("codec yaml needs PyYAML, which is not installed; nothing was done. Type: pip install 'ropeway[yaml]'") from None
    return yaml
