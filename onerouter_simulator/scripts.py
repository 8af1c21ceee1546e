"""One exact reply: its bytes, its pauses, and the way its connection ends.

Knows bytes and time. Knows no HTTP server, and not what a chat completion is.
"""

import json as jsons
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

End: TypeAlias = Literal["close", "cut", "reset", "hang"]
Event: TypeAlias = Mapping[str, Any] | str | bytes | float
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Script:
    """One exact reply to one chat completion.

    At most one of `json`, `body` and `events` gives the body (`...` is "not given": None is JSON).
    An event is a mapping (sent as `data: {json}`), a string (the data itself), raw bytes, or a
    number: a pause in seconds. `[DONE]` follows the events of a reply that ends by itself.

    `status=None` sends no response at all: the connection ends at once, after `delay`.
    `end` is "close" (a complete reply), "cut" (closed in mid-body), "reset" (by RST) or "hang".
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = ...
    body: bytes | str | None = None
    events: Sequence[Event] | None = None
    done: bool = True
    content_type: str | None = None
    delay: float = 0.0
    chunk_delay: float = 0.0
    split: int | None = None
    end: End = "close"

    def __post_init__(self) -> None:
        given = (self.json is not ..., self.body is not None, self.events is not None)
        if sum(given) > 1:
            raise ValueError("a script has one body: json, body or events")
        if not isinstance(self.status, int | None):
            raise TypeError(f"a status is a number, or None for no response: {self.status!r}")
        if self.end not in get_args(End):
            raise ValueError(f"a script cannot end by {self.end!r}, only {get_args(End)}")
        if self.split is not None and self.split < 1:
            raise ValueError(f"cannot split into packets of {self.split!r} bytes")

    @property
    def media_type(self) -> str:
        """The content type: as given, else what the kind of body calls for."""
        if self.content_type is not None:
            return self.content_type
        if self.json is not ...:
            return "application/json"
        return "text/plain; charset=utf-8" if self.events is None else "text/event-stream"

    @property
    def length(self) -> int | None:
        """The number of bytes to announce, if the body is one whole piece and ends by itself."""
        if self.events is not None or self.split is not None or self.end != "close":
            return None
        return sum(len(piece) for piece in self.packets() if isinstance(piece, bytes))

    def packets(self) -> Iterator[bytes | float]:
        """Yield the body as it goes out: bytes, each in a packet of its own, and pauses."""
        if self.split is None:
            return self._pieces()
        return resplit(self._pieces(), self.split)

    def _pieces(self) -> Iterator[bytes | float]:
        if self.json is not ...:
            yield compact(self.json).encode()
        elif self.body is not None:
            yield self.body.encode() if isinstance(self.body, str) else self.body
        for event in self.events or ():
            yield to_wire(event)
        if self._says_done():
            yield DONE

    def _says_done(self) -> bool:
        if self.events is None or not self.done or self.end != "close":
            return False
        return not any(isinstance(event, str) and event == "[DONE]" for event in self.events)


def to_wire(event: Event) -> bytes | float:
    """Spell one event as a server-sent event; raw bytes and pauses are themselves."""
    match event:
        case bytes() | int() | float():
            return event
        case str():
            return f"data: {event}\n\n".encode()
        case _:
            return f"data: {compact(event)}\n\n".encode()


def resplit(pieces: Iterator[bytes | float], size: int) -> Iterator[bytes | float]:
    """Cut the byte stream anew into packets of `size`; a pause ends the packet before it."""
    held = b""
    for piece in pieces:
        if not isinstance(piece, bytes):
            yield from (held, piece) if held else (piece,)
            held = b""
            continue
        held += piece
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if held:
        yield held


def compact(value: Any) -> str:
    """JSON as the gateway writes it: no spaces, letters of all scripts as they are."""
    return jsons.dumps(value, ensure_ascii=False, separators=(",", ":"))
