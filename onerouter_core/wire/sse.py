"""Bytes to server-sent events.

This module knows lines and the `data` field (source: the HTML standard, section 9.2). It does not
know what an event says. It takes bytes in any split and never loses or invents an event; one that
never ends it refuses before it fills the memory.
"""

from __future__ import annotations

from onerouter_core.errors import MalformedReplyError

MAX_EVENT_BYTES = 64 * 2**20
"""Bytes of one event: a picture has a few million, and what has more is no event."""

_BOM = b"\xef\xbb\xbf"


class SSEParser:
    """Feed it bytes, take the data of whole events; `finish` gives what no newline ended."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # an unfinished line, in the pieces it came in
        self._size = 0  # bytes since the last event or comment
        self._data: list[bytes] = []  # the data lines of an unfinished event
        self._after_cr = False  # the last byte was CR: an LF next is the same line end
        self._head: bytes | None = b""  # the first bytes, until they are known not to be a BOM

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that this chunk completes."""
        if self._head is not None:
            chunk = self._strip_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._size > MAX_EVENT_BYTES:
            raise MalformedReplyError(
                f"The stream holds more than {MAX_EVENT_BYTES} bytes in a row."
            )
        self._size += len(chunk)
        first, *rest = chunk.split(b"\n")
        self._line.append(first)
        if not rest:
            return []  # kept in pieces: joining here would cost the square of a long line
        *lines, last = (b"".join(self._line), *rest)
        self._line = [last]
        return self._take_lines(lines)

    def finish(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut off its last newline."""
        head, self._head = self._head or b"", None
        return [*self.feed(head), *self._take_lines([b"".join(self._line), b""])]

    def _take_lines(self, lines: list[bytes]) -> list[bytes]:
        """Return the data of the events that end in these lines."""
        events = []
        for line in lines:
            if line.startswith(b"data: "):
                self._data.append(line[6:])
            elif (data := self._take_line(line)) is not None:
                events.append(data)
        return events

    def _take_line(self, line: bytes) -> bytes | None:
        """Take one whole line; an empty one ends an event."""
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        elif not line and self._data:
            data, self._data = self._data, []
            self._size = 0
            return data[0] if len(data) == 1 else b"\n".join(data)
        elif line.startswith(b":"):
            self._size = 0
        # Anything else is a comment, or a field (event, id, retry) that this API gives no meaning.
        return None

    def _strip_bom(self, chunk: bytes) -> bytes:
        """Hold the first bytes back until they are a BOM, which goes, or are not."""
        head = (self._head or b"") + chunk
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)
