"""HTTP responses as scripts: complete bodies, chunked bodies, event streams.

This module knows HTTP/1.1, JSON and server-sent events. It knows no fault case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.faults.server import End, HTTPScript, Repeat, Step

JSON, EVENTS, HTML, PLAIN = "application/json", "text/event-stream", "text/html", "text/plain"


def compact(value: Any) -> bytes:
    """Return a value as JSON without spaces, as the gateway writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def head(status: int | str = 200, kind: str | None = JSON, **headers: object) -> bytes:
    """Return a status line and headers; `kind` is the content type, `_` in a keyword is `-`."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if kind is not None:
        lines.append(f"content-type: {kind}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def response(
    body: Any, status: int = 200, kind: str | None = JSON, **headers: object
) -> HTTPScript:
    """Return a response with a content length; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else compact(body)
    return (head(status, kind, **{"content_length": len(data), **headers}) + data,)


def event(data: Mapping[str, Any] | bytes) -> bytes:
    """Return one server-sent event; bytes are returned unchanged."""
    return data if isinstance(data, bytes) else b"data: %s\n\n" % compact(data)


DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunked(
    *steps: Step, kind: str | None = EVENTS, ended: bool = True, **headers: object
) -> HTTPScript:
    """Return a chunked response, one chunk for each bytes step.

    With `ended=False` the last, empty chunk is missing: the body is not complete.
    """
    body = [_chunk(step) for step in steps]
    end: HTTPScript = (LAST_CHUNK,) if ended else ()
    return (head(200, kind, transfer_encoding="chunked", **headers), *body, *end)


def _chunk(step: Step) -> Step:
    match step:
        case bytes():
            return b"%x\r\n%s\r\n" % (len(step), step) if step else b""
        case Repeat(data=data, pause=pause):
            return Repeat(b"%x\r\n%s\r\n" % (len(data), data), pause)
        case _:
            return step


def stream(
    *steps: Mapping[str, Any] | Step, done: bool = True, ended: bool = True, **headers: Any
) -> HTTPScript:
    """Return a stream of events, one for each mapping; `done=False` leaves out `[DONE]`."""
    events: list[Step] = [event(s) if isinstance(s, Mapping | bytes) else s for s in steps]
    return chunked(*events, *((DONE,) if done else ()), ended=ended, **headers)


def until_closed(*steps: Step, kind: str | None = EVENTS, **headers: object) -> HTTPScript:
    """Return a response without a length: its body ends when the server closes the connection."""
    return (head(200, kind, connection="close", **headers), *steps, End.CLOSE)
