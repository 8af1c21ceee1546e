"""Plays in the words of HTTP: whole bodies, chunked bodies, event streams.

This module knows HTTP/1.1 and how JSON and server-sent events are written. It knows no behaviour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.faults.server import End, Ever, Play, Step

JSON, EVENTS, HTML, PLAIN = "application/json", "text/event-stream", "text/html", "text/plain"


def compact(value: Any) -> bytes:
    """Return the JSON of a value, as the gateway writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def head(status: int | str = 200, kind: str | None = JSON, **headers: object) -> bytes:
    """Return a status line and headers; a keyword's `_` is the header's `-`."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if kind is not None:
        lines.append(f"content-type: {kind}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def http(body: Any, status: int = 200, kind: str | None = JSON, **headers: object) -> Play:
    """Return a whole answer of announced length; what is not bytes is sent as JSON."""
    written = body if isinstance(body, bytes) else compact(body)
    return (head(status, kind, **{"content_length": len(written), **headers}) + written,)


def event(data: Mapping[str, Any] | bytes) -> bytes:
    """Return one event; bytes stand for themselves."""
    return data if isinstance(data, bytes) else b"data: %s\n\n" % compact(data)


DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunked(*steps: Step, kind: str | None = EVENTS, ended: bool = True, **headers: object) -> Play:
    """Return an answer in chunks, each bytes step one; `ended` says whether the last one comes."""
    body = [_chunk(step) for step in steps]
    end: Play = (LAST_CHUNK,) if ended else ()
    return (head(200, kind, transfer_encoding="chunked", **headers), *body, *end)


def _chunk(step: Step) -> Step:
    match step:
        case bytes():
            return b"%x\r\n%s\r\n" % (len(step), step) if step else b""
        case Ever(data=data, pause=pause):
            return Ever(b"%x\r\n%s\r\n" % (len(data), data), pause)
        case _:
            return step


def stream(
    *steps: Mapping[str, Any] | Step, done: bool = True, ended: bool = True, **headers: Any
) -> Play:
    """Return a stream of events; mappings are written as such, `done` says whether [DONE] comes."""
    said: list[Step] = [event(s) if isinstance(s, Mapping | bytes) else s for s in steps]
    return chunked(*said, *((DONE,) if done else ()), ended=ended, **headers)


def until_closed(*steps: Step, kind: str | None = EVENTS, **headers: object) -> Play:
    """Return an answer of unknown length, which the end of the connection ends."""
    return (head(200, kind, connection="close", **headers), *steps, End.CLOSE)
