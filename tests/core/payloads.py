"""Bodies as a gateway writes them, and what the core reads in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from onerouter_core import Message, Reply, ReplyDelta, Request, Text
from onerouter_core.types import ToolCallDelta
from onerouter_core.wire.stream import StreamDecoder, decode_body
from onerouter_core.wire.tool_names import ToolNames

HELLO = Request("vendor/model", (Message("user", (Text("Hello"),)),))


def completion(message: Any = "Hi", finish: str | None = "stop", **root: Any) -> dict[str, Any]:
    """Return a whole completion; a string is its content."""
    spoken = {"content": message} if isinstance(message, str) else message
    choice = {"index": 0, "message": {"role": "assistant", **spoken}, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion", "choices": [choice], **root}


def chunk(delta: Any = None, finish: str | None = None, **root: Any) -> dict[str, Any]:
    """Return one chunk of a stream; a string is its content."""
    spoken = {"content": delta} if isinstance(delta, str) else delta or {}
    choice = {"index": 0, "delta": spoken, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion.chunk", "choices": [choice], **root}


def sse(*events: Mapping[str, Any] | bytes, done: bool = True) -> bytes:
    """Return the bytes of a stream; bytes stand for themselves."""
    written = (e if isinstance(e, bytes) else b"data: %s\n\n" % _json(e) for e in events)
    return b"".join(written) + (b"data: [DONE]\n\n" if done else b"")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def whole(body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return what the core reads in a whole body."""
    written = body if isinstance(body, bytes) else _json(body)
    return decode_body(written, ToolNames(), headers or {})


def streamed(
    *events: Mapping[str, Any] | bytes,
    done: bool = True,
    headers: Mapping[str, str] | None = None,
    names: Iterable[str] = (),
) -> list[ReplyDelta]:
    """Return the pieces that the core reads in a stream."""
    return read_in_chunks([sse(*events, done=done)], headers, names)


def read_in_chunks(
    chunks: Iterable[bytes],
    headers: Mapping[str, str] | None = None,
    names: Iterable[str] = (),
) -> list[ReplyDelta]:
    """Return the pieces that the core reads in bytes as they arrive."""
    decoder = StreamDecoder(ToolNames(names), headers or {})
    pieces = [piece for received in chunks for piece in decoder.feed(received)]
    return [*pieces, *decoder.finish()]


def end_of(pieces: list[ReplyDelta]) -> Reply:
    """Return the end of a stream, which its last piece has, and no other."""
    *others, last = pieces
    assert [piece.final_reply for piece in others] == [None] * len(others)
    assert last.final_reply is not None
    return last.final_reply


def added_up(pieces: Iterable[ReplyDelta]) -> list[tuple[str | None, str | None, str]]:
    """Return id, name and arguments of each call; id and name must come once, indexes in order."""
    calls: list[list[ToolCallDelta]] = []
    for piece in (part for whole in pieces for part in whole.tool_calls):
        assert piece.index <= len(calls)
        if piece.index == len(calls):
            calls.append([])
        calls[piece.index].append(piece)
    return [(_once(c.id for c in call), _once(c.name for c in call), _all(call)) for call in calls]


def _once(said: Iterable[str | None]) -> str | None:
    given = [value for value in said if value is not None]
    assert len(given) <= 1
    return given[0] if given else None


def _all(call: list[ToolCallDelta]) -> str:
    return "".join(piece.arguments for piece in call)
