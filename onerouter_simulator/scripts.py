"""Scripts: exact replies, with their bytes, pauses and the end of the connection.

Knows bytes and time. Knows no HTTP server and no format of chat completions.
"""

import json as json_module
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

End: TypeAlias = Literal["close", "cut", "reset", "hang"]
Event: TypeAlias = Mapping[str, Any] | str | bytes | float
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Script:
    """One exact reply to one chat completion.

    At most one of `json`, `body` and `events` gives the body.

    Args:
        status: HTTP status; None sends no response, and the connection ends after `delay`.
        headers: Response headers; they replace those that the simulator sets.
        json: Body as a JSON value; None is JSON's null. `...` means that it is not given.
        body: Body as text or bytes.
        events: Events of a stream: a mapping (sent as `data: {json}`), a string (the data of an
            event), bytes (sent unchanged), or a number (a pause in seconds).
        done: Whether `[DONE]` follows the events; only if `end` is "close".
        content_type: Content type; None derives it from the kind of body.
        delay: Seconds before the response.
        chunk_delay: Seconds before each packet but the first.
        split: Bytes per packet; None sends each event, or the whole body, as one packet.
        end: "close" completes the reply, "cut" closes the connection within the body, "reset" ends
            it with a TCP reset, and "hang" leaves it open without sending more.

    Raises:
        TypeError: `status` is not a number.
        ValueError: More than one body, an unknown `end`, or a `split` below 1.
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
        bodies = {
            "json": self.json is not ...,
            "body": self.body is not None,
            "events": self.events is not None,
        }
        given = [name for name, is_given in bodies.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"a Script has one body: give only one of {', '.join(given)}")
        if not isinstance(self.status, int | None):
            raise TypeError(
                f"status must be a number, or None to send no response, not {self.status!r}"
            )
        if self.end not in get_args(End):
            raise ValueError(f"end must be one of {', '.join(get_args(End))}, not {self.end!r}")
        if self.split is not None and self.split < 1:
            raise ValueError(f"split must be at least 1 byte per packet, not {self.split!r}")

    @property
    def media_type(self) -> str:
        """The content type: as given, else derived from the kind of body."""
        if self.content_type is not None:
            return self.content_type
        if self.json is not ...:
            return "application/json"
        return "text/plain; charset=utf-8" if self.events is None else "text/event-stream"

    @property
    def length(self) -> int | None:
        """Content length in bytes; None for a stream, a split body and an unfinished reply."""
        if self.events is not None or self.split is not None or self.end != "close":
            return None
        return sum(len(packet) for packet in self.packets() if isinstance(packet, bytes))

    def packets(self) -> Iterator[bytes | float]:
        """Yield the body in the order of sending: bytes of one packet, or a pause in seconds."""
        if self.split is None:
            return self._unsplit_packets()
        return split_packets(self._unsplit_packets(), self.split)

    def _unsplit_packets(self) -> Iterator[bytes | float]:
        if self.json is not ...:
            yield encode_json(self.json)
        elif self.body is not None:
            yield self.body.encode() if isinstance(self.body, str) else self.body
        for event in self.events or ():
            yield encode_event(event)
        if self._should_add_done():
            yield DONE

    def _should_add_done(self) -> bool:
        if self.events is None or not self.done or self.end != "close":
            return False
        return not any(isinstance(event, str) and event == "[DONE]" for event in self.events)


def encode_event(event: Event) -> bytes | float:
    """Encode an event as a server-sent event; bytes and pauses stay unchanged."""
    match event:
        case bytes() | int() | float():
            return event
        case str():
            return f"data: {event}\n\n".encode()
        case _:
            return b"data: " + encode_json(event) + b"\n\n"


def split_packets(packets: Iterator[bytes | float], size: int) -> Iterator[bytes | float]:
    """Split the bytes into packets of `size`, across events; a pause ends the packet before it."""
    buffer = b""
    for packet in packets:
        if not isinstance(packet, bytes):
            yield from (buffer, packet) if buffer else (packet,)
            buffer = b""
            continue
        buffer += packet
        while len(buffer) >= size:
            yield buffer[:size]
            buffer = buffer[size:]
    if buffer:
        yield buffer


def encode_json(value: Any) -> bytes:
    """Return JSON in UTF-8; half a surrogate pair, which UTF-8 cannot have, is escaped."""
    return compact_json(value).encode("utf-8", "backslashreplace")


def compact_json(value: Any) -> str:
    """Return JSON text as the gateway writes it: without spaces, non-ASCII letters unescaped."""
    return json_module.dumps(value, ensure_ascii=False, separators=(",", ":"))
