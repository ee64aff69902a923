"""An exception as text for a job's history: one line, and a traceback whose size is bounded whatever the exception holds.

The standard library's formatting costs about 90 microseconds and may call into the exception's own code without a bound; a worker whose
jobs all fail would spend its time there.
"""

from __future__ import annotations

from types import CodeType, TracebackType

ERROR_LIMIT = 500  # characters of the one line
TRACEBACK_LIMIT = 16 * 1024
FRAMES = 20  # the last ones, where the error was
CHAIN = 4  # causes and contexts behind it

_lines: dict[tuple[CodeType, int], str] = {}
_LINES = 4096


def one_line(error: BaseException) -> str:
    """ "Type: text" with no control character, at most 500 characters."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a hostile __str__ must not hide the failure
        text = "(its text could not be made)"
    return clean(f"{name}: {text}" if text else name)


def clean(text: str, limit: int = ERROR_LIMIT) -> str:
    """Text as one line: control characters and lone surrogates as escapes, cut at `limit`."""
    cut = text[: limit + 1]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in cut)
    return cut if len(cut) <= limit else cut[: limit - 3] + "..."


def traceback_of(error: BaseException) -> str:
    """The traceback as Python prints it, without the markers: the last 20 frames of the error and of up to four behind it, 16 KiB."""
    blocks, seen, current = [], 0, error
    while True:
        blocks.append(_frames(current.__traceback__) + one_line(current) + "\n")
        behind, text = current.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"
        if behind is None and not current.__suppress_context__:
            behind, text = current.__context__, "\nDuring handling of the above exception, another exception occurred:\n\n"
        seen += 1
        if behind is None or seen > CHAIN:
            break
        blocks.append(text)
        current = behind
    out = "".join(reversed(blocks))
    return out if len(out) <= TRACEBACK_LIMIT else "...\n" + out[-(TRACEBACK_LIMIT - 4) :]


def _frames(trace: TracebackType | None) -> str:
    if trace is None:
        return ""
    frames: list[tuple[CodeType, int]] = []
    left_out = 0
    while trace is not None:
        frames.append((trace.tb_frame.f_code, trace.tb_lineno))
        if len(frames) > 2 * FRAMES:  # a recursion error has a thousand
            left_out += FRAMES
            del frames[:FRAMES]
        trace = trace.tb_next
    left_out += max(0, len(frames) - FRAMES)
    head = "Traceback (most recent call last):\n" + (f"  ({left_out} frames left out)\n" if left_out else "")
    return head + "".join(_shown(code, line) for code, line in frames[-FRAMES:])


def _shown(code: CodeType, line: int) -> str:
    known = _lines.get((code, line))
    if known is None:
        import linecache

        source = linecache.getline(code.co_filename, line).strip()
        known = f'  File "{clean(code.co_filename)}", line {line}, in {code.co_qualname}\n' + (f"    {clean(source)}\n" if source else "")
        if len(_lines) >= _LINES:
            _lines.clear()
        _lines[code, line] = known
    return known
