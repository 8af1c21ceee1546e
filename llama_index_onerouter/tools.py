"""Tools out, calls in: what a model may call, and what it asks to be called.

This module knows BaseTool, ToolSelection, ToolCallBlock and the `tool_calls` that LlamaIndex keeps
in a message's additional_kwargs. It knows no other block and nothing of the wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from traceback import walk_tb
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from llama_index.core.tools.calling import acall_tool_with_selection, call_tool_with_selection

from llama_index_onerouter.attribute_dict import AttributeDict, get_field
from llama_index_onerouter.output_schema import parameters_of
from onerouter_core import Json, Tool, ToolCall, to_strict_schema
from onerouter_core.errors import ConfigurationError, MalformedReplyError
from onerouter_core.wire import as_text, decode_tool, decode_tool_call, encode_arguments

# --- out ---


def tool_kwargs(
    tools: Sequence[Any],
    *,
    choice: Any = None,
    required: bool = False,
    parallel: bool = False,
    keep_strictly: bool = False,
) -> dict[str, Any]:
    """Return the keywords that offer tools; without tools there is nothing to say."""
    if not tools:
        return {}
    output_request = "required" if choice is None and required else choice
    return {
        "tools": [to_tool(tool, keep_strictly=keep_strictly) for tool in tools],
        **({} if output_request is None else {"tool_choice": output_request}),
        **({} if parallel else {"parallel_tool_calls": False}),
    }


def to_tool(tool: Any, *, keep_strictly: bool = False) -> Tool | Json:
    """Return a tool of ours; a mapping may also be one of the gateway's own."""
    match tool:
        case Tool():
            return tool
        case BaseTool():
            about = tool.metadata
            parameters = parameters_of(about)
            parameters = to_strict_schema(parameters) if keep_strictly else parameters
            return Tool(
                about.get_name(), about.description or "", parameters, keep_strictly or None
            )
        case Mapping():
            return decode_tool(tool)
        case _:
            raise ConfigurationError(f"That is no tool: {tool!r}. FunctionTool makes one of it.")


# --- in ---


def to_tool_call_dict(call: ToolCall) -> AttributeDict:
    """Return a call as LlamaIndex's streaming programs and tracers look for it."""
    entry = AttributeDict(
        id=call.id,
        type="function",
        function=AttributeDict(name=call.name, arguments=call.arguments),
    )
    return entry if call.error is None else AttributeDict(entry, error=call.error)


def to_block(call: ToolCall) -> ToolCallBlock:
    """Return a call as a block; invalid arguments stay the string they are."""
    arguments = call.arguments if call.parsed is None else dict(call.parsed)
    return ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=arguments)


def to_calls(message: ChatMessage) -> Iterator[ToolCall]:
    """Yield the calls of an answer in a history: those in blocks, else those beside them."""
    for call in calls_in(message):
        if call.arguments or call.parsed is None:
            yield call
        else:
            arguments = json.dumps(call.parsed, ensure_ascii=False, default=str)
            yield replace(call, arguments=arguments)


def to_selections(message: ChatMessage) -> list[ToolSelection]:
    """Return what is to be called.

    A call whose arguments are invalid must not run and must not vanish. So it names a tool that
    nobody has, and in that name says why: an agent answers the model that there is no such tool.
    """
    return [
        ToolSelection(
            tool_id=call.id,
            tool_name=call.name if call.error is None else f"{call.name} (not run: {call.error})",
            tool_kwargs=dict(call.parsed or {}),
        )
        for call in calls_in(message)
    ]


def calls_in(message: ChatMessage) -> list[ToolCall]:
    """Return the calls of an answer, parsed; those that came parsed have no arguments' text."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    entries = message.additional_kwargs.get("tool_calls")
    entries = entries if isinstance(entries, (list, tuple)) else ()
    if not blocks:
        return [_from_entry(entry) for entry in entries]
    errors = {str(get_field(entry, "id")): as_text(get_field(entry, "error")) for entry in entries}
    return [_from_block(block, errors.get(str(block.tool_call_id))) for block in blocks]


def _from_block(block: ToolCallBlock, error: str | None) -> ToolCall:
    # Some vendors give no ids; then the name stands in, for the call and for its result.
    call_id = block.tool_call_id or block.tool_name
    arguments = block.tool_kwargs
    if isinstance(arguments, dict):
        return ToolCall(call_id, block.tool_name, "", arguments)
    if error is not None:
        return ToolCall(call_id, block.tool_name, arguments, error=error)
    return decode_tool_call(call_id, block.tool_name, arguments, cut=False)


def _from_entry(entry: Any) -> ToolCall:
    function = get_field(entry, "function") or entry  # Anthropic's and Bedrock's have all in one
    name = str(get_field(function, "name") or "")
    call_id = as_text(get_field(entry, "id")) or as_text(get_field(entry, "toolUseId")) or name
    error = as_text(get_field(entry, "error"))
    arguments = encode_arguments(get_field(function, "arguments") or get_field(function, "input"))
    if error is not None:
        return ToolCall(call_id, name, arguments, error=error)
    return decode_tool_call(call_id, name, arguments, cut=False)


_LOOK_UPS = {call_tool_with_selection.__code__, acall_tool_with_selection.__code__}


@contextmanager
def unknown_tools_reported() -> Iterator[None]:
    """Say what was called that could not be; the framework looks a tool up by its name."""
    try:
        yield
    except KeyError as error:
        *_, (where, _) = walk_tb(error.__traceback__)
        if where.f_code not in _LOOK_UPS:  # a key that somebody else missed
            raise
        raise MalformedReplyError(
            f"The model called a tool that is not there: {error.args[0]}"
        ) from error
