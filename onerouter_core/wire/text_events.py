"""Text events that differ from the last one only in their text, read without parsing JSON.

Nearly all events of a stream are such: the same bytes around another text. With this a chunk takes
the core 18 us and not 30 in sync code, and 5 and not 7 in async code (Python 3.11, openai 2, one
HTTP chunk for each event). This module knows where the text of an event is; it decodes no event.
"""

from __future__ import annotations

_KEY, _QUOTE, _ESCAPE = b'"content"', b'"', b"\\"
_MAX_LEARNED = 16  # then the events of this stream are too different
_MAX_BYTES = 2**13  # a large event is rarely like the next one, and is not to be held twice


class TextEvents:
    """The bytes around the text of the last event, if that was a text and nothing else."""

    __slots__ = ("_after", "_before", "_learned", "is_ready")

    def __init__(self) -> None:
        self.is_ready = False
        """Whether the last event was such a text: only then can the next one be read."""
        self._before: bytes | bytearray = b""
        self._after: bytes | bytearray = b""
        self._learned = 0  # how many times

    def read(self, data: bytes | bytearray) -> str | None:
        """Return the text of an event; None if it has to be decoded, and a new one be learned."""
        before, after = self._before, self._after
        start, end = len(before), len(data) - len(after)
        if start <= end and data.startswith(before) and data.endswith(after):
            text = data[start:end]
            # A quote would end the text. What JSON escapes, and what is not UTF-8, is decoded.
            if _QUOTE not in text and _ESCAPE not in text:
                decoded = text.decode(errors="surrogateescape")
                if decoded.isprintable():
                    return decoded
        self.is_ready = False
        return None

    def learn(self, data: bytes | bytearray, text: str) -> None:
        """Keep the bytes around the text of an event that has nothing but this text."""
        if self._learned >= _MAX_LEARNED or len(data) > _MAX_BYTES:
            return
        if _ESCAPE in data or data.count(_KEY) != 1:
            return
        self._learned += 1
        key_end = data.index(_KEY) + len(_KEY)
        quoted = _QUOTE + text.encode() + _QUOTE
        start = data.find(quoted, key_end)
        if start > 0 and data[key_end:start].strip() == b":":
            self._before = data[: start + 1]
            self._after = data[start + len(quoted) - 1 :]
            self.is_ready = True
