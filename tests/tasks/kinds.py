"""Types of arguments, for the tests of arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import NamedTuple, TypedDict

import msgspec


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    YES = "yes"


@dataclass
class Size:
    width: int
    height: int = 3
    marks: list[str] = field(default_factory=list)


class Mail(msgspec.Struct):
    to: str
    when: datetime | None = None
    data: bytes = b""


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict, total=False):
    color: Color
    deep: bool
