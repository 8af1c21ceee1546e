"""Invalid tool calls: they stay invalid in the sum of chunks, with text and error as received.

langchain-core parses the arguments leniently whenever chunks are added, so a truncated call would
become one that can be executed, and it sets no error (langchain-core 1.8,
`AIMessageChunk.init_tool_calls`). The chunks of a stream with an invalid call therefore end with a
suffix that keeps the arguments unparsable, wherever the sum is parsed again. The received text and
the error are in `additional_kwargs`, from where `chunk_sums` puts them into the sum.
"""

from __future__ import annotations

from collections.abc import Iterator

from langchain_core.messages import AIMessage, InvalidToolCall
from langchain_core.messages.tool import ToolCallChunk, invalid_tool_call, tool_call_chunk
from langchain_core.utils.json import parse_partial_json

from onerouter_core import Reply
from onerouter_core.wire import nests_too_deeply

INVALID_CALLS_KEY = "invalid_tool_calls"
"""Key in `additional_kwargs` of the invalid calls as received."""


def received_invalid_calls(message: AIMessage) -> Iterator[InvalidToolCall]:
    """Yield the invalid calls of a message, with text and error as received where it has them."""
    kept = message.additional_kwargs.get(INVALID_CALLS_KEY)
    calls = [call for call in kept if isinstance(call, dict)] if isinstance(kept, list) else []
    received = {call.get("id"): call for call in calls}
    for call in message.invalid_tool_calls:
        fields = received.get(call.get("id"), {})
        yield invalid_tool_call(
            name=call.get("name"),
            args=fields.get("args", call.get("args")),
            id=call.get("id"),
            error=fields.get("error", call.get("error")),
        )


def to_invalid_calls(reply: Reply) -> list[InvalidToolCall]:
    """Return the invalid calls of a complete reply."""
    return [
        invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=call.error)
        for call in reply.tool_calls
        if call.parsed is None
    ]


def invalid_call_suffixes(reply: Reply) -> list[ToolCallChunk]:
    """Return call chunks that keep invalid calls invalid when LangChain adds the chunks."""
    return [
        tool_call_chunk(name=None, id=None, index=index, args=suffix)
        for index, call in enumerate(reply.tool_calls)
        if call.parsed is None and (suffix := _invalidating_suffix(call.arguments))
    ]


def _invalidating_suffix(arguments: str) -> str:
    """Return a suffix that makes the arguments unparsable, at any depth of them; often "".

    It ends an open string, and is a bracket that does not match the last open one. json.loads may
    read text that is nested too deeply, or raise RecursionError, whatever the caller's depth.
    """
    if arguments and not nests_too_deeply(arguments) and not _parses_leniently(arguments):
        return ""
    expected, in_string, escaped = [""], False, False
    for character in arguments:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in _CLOSING:
            expected.append(_CLOSING[character])
        elif character == expected[-1]:
            expected.pop()
    end_of_string = ("\\" if escaped else "") + '"' if in_string else ""
    return end_of_string + ("]" if expected[-1] == "}" else "}")


def _parses_leniently(arguments: str) -> bool:
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except ValueError:
        return False


_CLOSING = {"{": "}", "[": "]"}
