"""Response bodies as the gateway writes them, and helpers that decode them.

`completion`, `chunk` and `sse` build bodies. `read_body`, `read_stream` and `read_chunks` decode
them; `final_reply` and `joined_calls` check the deltas of a stream and summarise them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from onerouter_core import Message, Reply, ReplyDelta, Request, Text
from onerouter_core.types import ToolCallDelta
from onerouter_core.wire.decode import ReplyContext
from onerouter_core.wire.sse import SSEParser
from onerouter_core.wire.stream import StreamDecoder, decode_body
from onerouter_core.wire.tool_names import ToolNames

HELLO = Request("vendor/model", (Message("user", (Text("Hello"),)),))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

# Entries of the gateway's model list: one with every key, and one of the older kind.
FULL_MODEL_ENTRY: dict[str, Any] = {
    "id": "moonshotai/kimi-k2.6",
    "object": "model",
    "display_name": "Moonshot: Kimi K2.6",
    "category_type": "LLM",
    "supported_endpoint_types": ["openai"],
    "input_modalities": ["Text", "image", "Image"],
    "output_modalities": ["text"],
    "supports_streaming": True,
    "supports_function_calling": True,
    "supports_vision": True,
    "supports_json_mode": False,
    "deprecated": False,
    "is_display_only": False,
    "context_length": 262144,
    "max_input_tokens": 262000,
    "max_output_tokens": None,
    "min_prompt_price": 0.44695,
    "min_completion_price": 1.85655,
    "providers": [
        {
            "provider_slug": "alibaba/cn/flex",
            "service_tier": "flex",
            "prompt_price": 0.44695,
            "completion_price": 1.85655,
            "context_length": 256000,
        },
        {
            "provider_slug": "inceptron",
            "service_tier": "standard",
            "prompt_price": 0.65,
            "completion_price": 3.41,
            "context_length": 250000,
        },
    ],
}
MINIMAL_MODEL_ENTRY: dict[str, Any] = {
    "id": "claude-3-5-sonnet",
    "object": "model",
    "created": 1626777600,
    "owned_by": "x",
}


# --- bodies ---


def completion(message: Any = "Hi", finish: str | None = "stop", **root: Any) -> dict[str, Any]:
    """Return a completion with this message; a string is its content."""
    fields = {"content": message} if isinstance(message, str) else message
    choice = {"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion", "choices": [choice], **root}


def chunk(delta: Any = None, finish: str | None = None, **root: Any) -> dict[str, Any]:
    """Return a chunk of a stream with this delta; a string is its content."""
    fields = {"content": delta} if isinstance(delta, str) else delta or {}
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion.chunk", "choices": [choice], **root}


def sse(*events: Mapping[str, Any] | bytes, done: bool = True) -> bytes:
    """Return the bytes of an event stream; bytes among the events are taken as they are."""
    encoded = (e if isinstance(e, bytes) else b"data: %s\n\n" % _json(e) for e in events)
    return b"".join(encoded) + (b"data: [DONE]\n\n" if done else b"")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# --- decoded replies ---


def read_body(body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return the reply decoded from a complete body: bytes, or a value to encode as JSON."""
    encoded = body if isinstance(body, bytes) else _json(body)
    return decode_body(encoded, ReplyContext(headers=headers or {}))


def read_stream(
    *events: Mapping[str, Any] | bytes,
    done: bool = True,
    headers: Mapping[str, str] | None = None,
    names: Iterable[str] = (),
) -> list[ReplyDelta]:
    """Return the deltas decoded from an event stream with these events."""
    return read_chunks([sse(*events, done=done)], headers, names)


def read_chunks(
    chunks: Iterable[bytes],
    headers: Mapping[str, str] | None = None,
    names: Iterable[str] = (),
) -> list[ReplyDelta]:
    """Return the deltas decoded from the bytes of a stream, as they arrive from the network."""
    decoder = StreamDecoder(ReplyContext(ToolNames(names), headers or {}))
    deltas = [delta for received in chunks for delta in decoder.feed(received)]
    return [*deltas, *decoder.finish()]


def read_both(message: Any = "Hi", finish: str | None = "stop", **root: Any) -> tuple[Reply, Reply]:
    """Return the reply to the same message, decoded from a completion and from a stream."""
    complete = read_body(completion(message, finish, **root))
    return complete, final_reply(read_stream(chunk(message), chunk(finish=finish, **root)))


def final_reply(deltas: list[ReplyDelta]) -> Reply:
    """Return the final reply of a stream; check that only the last delta has one."""
    *others, last = deltas
    assert [delta.final_reply for delta in others] == [None] * len(others)
    assert last.final_reply is not None
    return last.final_reply


def joined_calls(deltas: Iterable[ReplyDelta]) -> list[tuple[str | None, str | None, str]]:
    """Return id, name and joined arguments of each tool call of a stream.

    Check that a new call has the next index, and that id and name come at most once.
    """
    calls: list[list[ToolCallDelta]] = []
    for call_delta in (call_delta for delta in deltas for call_delta in delta.tool_calls):
        assert call_delta.index <= len(calls)
        if call_delta.index == len(calls):
            calls.append([])
        calls[call_delta.index].append(call_delta)
    return [
        (
            _single_value(part.id for part in call),
            _single_value(part.name for part in call),
            "".join(part.arguments for part in call),
        )
        for call in calls
    ]


def _single_value(values: Iterable[str | None]) -> str | None:
    present = [value for value in values if value is not None]
    assert len(present) <= 1
    return present[0] if present else None


# --- server-sent events ---


def sse_events(chunks: Iterable[bytes]) -> list[bytes]:
    """Return the data of the events that SSEParser finds in the chunks of a stream."""
    parser = SSEParser()
    events = [event for received in chunks for event in parser.feed(received)]
    return [*events, *parser.finish()]


def reference_sse_events(stream: bytes) -> list[bytes]:
    """Return the data of the events in a complete stream, as the HTML standard defines them.

    An event at the end of the stream may lack its blank line (the standard would discard it).
    """
    events: list[bytes] = []
    data_lines: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if field == b"data":
            data_lines.append(value.removeprefix(b" "))
        elif not line and data_lines:
            events.append(b"\n".join(data_lines))
            data_lines = []
    return events
