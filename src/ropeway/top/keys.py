"""What was typed: the bytes of a terminal as names of keys."""

from __future__ import annotations

_SEQUENCES = {
    b"[A": "up", b"OA": "up", b"[B": "down", b"OB": "down", b"[C": "right", b"OC": "right", b"[D": "left", b"OD": "left",
    b"[5~": "pageup", b"[6~": "pagedown", b"[H": "home", b"OH": "home", b"[1~": "home", b"[F": "end", b"OF": "end", b"[4~": "end",
}  # fmt: skip
_SINGLE = {b"\r": "enter", b"\n": "enter", b"\t": "tab", b"\x7f": "back", b"\x08": "back", b" ": "space", b"\x0c": "redraw", b"\x03": "q"}
LONGEST = 16  # bytes of a sequence; what is longer is none of ours


class Keys:
    """Takes bytes as they come, in whatever pieces, and gives names: "up", "enter", "esc", or the character itself."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> bool:
        """The beginning of a sequence is there, or the escape key by itself: only time can tell."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete now."""
        self._rest += data
        out = []
        while self._rest:
            name, used = self._first()
            if not used:
                break
            self._rest = self._rest[used:]
            if name:
                out.append(name)
        return out

    def flush(self) -> list[str]:
        """Nothing followed: what looked like the beginning of a sequence was the escape key."""
        rest, self._rest = self._rest, b""
        return ["esc"] if rest else []

    def _first(self) -> tuple[str, int]:
        """The first key, nothing for one that means nothing here, and its length; 0 when more has to come."""
        data = self._rest
        if data[:1] != b"\x1b":
            return _SINGLE.get(data[:1]) or (chr(data[0]) if 0x20 < data[0] < 0x7F else ""), 1
        if data[1:2] not in (b"[", b"O"):
            return ("", 0) if len(data) == 1 else ("esc", 1)
        for end in range(2, min(len(data), LONGEST)):
            if 0x40 <= data[end] <= 0x7E:
                return _SEQUENCES.get(data[1 : end + 1], ""), end + 1
        return ("", LONGEST) if len(data) >= LONGEST else ("", 0)
