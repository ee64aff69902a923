"""A frame as it is shown: function, file, line and the words of the source that stand there; and whose code that is. No local's value."""

from __future__ import annotations

import linecache
import os
import threading
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from .secrets import censored

DEEPEST = 60  # frames of one stack that are shown: the innermost ones
LONGEST = 200  # characters of source

Row = dict[str, Any]

_HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = tuple({os.path.dirname(os.path.abspath(module.__file__ or "")) + os.sep for module in (os, threading)})


def is_library(code: CodeType) -> bool:
    """Whether it is of the standard library."""
    name = code.co_filename
    return name.startswith("<frozen") or (name.startswith(_LIBRARY) and "-packages" not in name)


def is_ours(code: CodeType) -> bool:
    """Whether it is ropeway's own."""
    return code.co_filename.startswith(_HOUSE)


def is_program(code: CodeType) -> bool:
    """Whether it is the program's: neither ours nor the standard library's."""
    return not is_ours(code) and not is_library(code)


def stack(frame: FrameType | None) -> list[FrameType]:
    """Its frames, the innermost first."""
    out: list[FrameType] = []
    while frame is not None and len(out) < 1000:
        out.append(frame)
        frame = frame.f_back
    return out


def row(frame: FrameType, *, words: bool = True) -> Row:
    """The frame as it is shown. `words`: with what stands there in the source, as far as the instruction goes."""
    code, line = frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno
    out: Row = {"function": code.co_qualname, "file": code.co_filename, "line": line}
    if words and (text := source(code, line)):
        out["code"] = text
    return out


def source(code: CodeType, line: int) -> str:
    """That line of the source, without secrets."""
    return censored(linecache.getline(code.co_filename, line).strip())[:LONGEST]


def doing(frame: FrameType) -> str:
    """The part of the line that the frame is at, such as `lock.acquire()`; the whole line where that is not known."""
    code = frame.f_code
    if frame.f_lasti >= 0:
        found = next(islice(code.co_positions(), frame.f_lasti // 2, None), None)
        if found is not None:
            first, last, start, end = found
            if first is not None and first == last and start is not None and end is not None:
                text = linecache.getline(code.co_filename, first).encode()[start:end].decode("utf-8", "replace").strip()
                if text:
                    return censored(text)[:LONGEST]
    return source(code, frame.f_lineno or code.co_firstlineno)


def place(frames: list[FrameType]) -> FrameType | None:
    """The one to name, of a stack with the innermost first: the innermost of the program's own, else the innermost."""
    return next((frame for frame in frames if is_program(frame.f_code)), frames[0] if frames else None)
