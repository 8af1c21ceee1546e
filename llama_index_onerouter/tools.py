"""Conversion of tools and tool calls between LlamaIndex and the core.

This module knows BaseTool, ToolSelection, ToolCallBlock and the `tool_calls` that LlamaIndex keeps
in a message's additional_kwargs. It knows no other block and no key of the API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from traceback import walk_tb
from types import TracebackType
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from llama_index.core.tools.calling import acall_tool_with_selection, call_tool_with_selection

from llama_index_onerouter.attribute_dict import AttributeDict, get_field, to_attribute_dict
from llama_index_onerouter.errors import MalformedReplyError
from llama_index_onerouter.output_schema import parameters_of
from llama_index_onerouter.response_templates import constructor_of
from onerouter_core import Json, Tool, ToolCall, deep_merge
from onerouter_core.errors import ConfigurationError
from onerouter_core.wire import (
    ToolNames,
    arguments_text,
    as_json_text,
    as_text,
    decode_tool,
    decode_tool_call,
    encode_tool,
    omit,
    unknown_call_keys,
)

# --- tools to the core ---


def tool_kwargs(
    tools: Sequence[Any],
    *,
    choice: Any = None,
    required: bool = False,
    parallel: bool = False,
    strict: bool = False,
) -> dict[str, Any]:
    """Return the keywords of `chat` that offer tools; none without tools.

    Args:
        tools: Tools in any form that `to_tool` accepts.
        choice: Tool choice. None: the API's default.
        required: Whether the model must call a tool; `choice` takes precedence.
        parallel: Whether one answer may hold several tool calls.
        strict: Whether to make the tools' schemas strict.
    """
    if not tools:
        return {}
    tool_choice = "required" if choice is None and required else choice
    return {
        "tools": [to_tool(tool, strict=strict) for tool in tools],
        **({} if tool_choice is None else {"tool_choice": tool_choice}),
        **({} if parallel else {"parallel_tool_calls": False}),
    }


def to_tool(tool: Any, *, strict: bool = False) -> Tool | Json:
    """Return the core's form of a tool; a mapping may name a tool of the gateway."""
    match tool:
        case Tool():
            return tool
        case SentTool():
            return tool.source
        case BaseTool(metadata=metadata):
            name, description = metadata.get_name(), metadata.description or ""
            return Tool(name, description, parameters_of(metadata), strict or None)
        case Mapping():
            return decode_tool(tool)
        case _:
            raise ConfigurationError(
                f"{tool!r} is not a tool. Wrap a function in FunctionTool.from_defaults."
            )


class SentTool(dict[str, Any]):
    """A tool as the JSON that is sent, for traces; `source` is the core's form of it."""

    def __init__(self, body: Mapping[str, Any], source: Tool | Json) -> None:
        super().__init__(body)
        self.source = source


def to_sent_tools(tools: Any) -> Any:
    """Return tools as the JSON that is sent; any other value is returned unchanged."""
    try:
        sources = [to_tool(tool) for tool in tools]
    except (ConfigurationError, TypeError):  # raised again, within the call's span
        return tools
    names = ToolNames(source.name for source in sources if isinstance(source, Tool))
    return [SentTool(encode_tool(source, names), source) for source in sources]


# --- tool calls from the core ---


def to_tool_call_dict(call: ToolCall) -> AttributeDict:
    """Return a tool call in the form that LlamaIndex's programs and tracers read."""
    entry = AttributeDict(
        id=call.id,
        type="function",
        function=AttributeDict(name=call.name, arguments=call.arguments),
    )
    if call.extra:
        entry = to_attribute_dict(deep_merge(call.extra, entry))
    return entry if call.error is None else AttributeDict(entry, error=call.error)


def to_block(call: ToolCall) -> ToolCallBlock:
    """Return a tool call as a block; invalid arguments stay the string that was received."""
    arguments = call.arguments if call.parsed is None else dict(call.parsed)
    return constructor_of(ToolCallBlock)(
        tool_call_id=call.id, tool_name=call.name, tool_kwargs=arguments
    )


def to_tool_calls(message: ChatMessage) -> Iterator[ToolCall]:
    """Yield the tool calls of an assistant message in a history, each with its arguments' text."""
    by_id = _entries_by_id(message)
    for call in parse_tool_calls(message):
        if call.arguments or call.parsed is None:
            yield call
        else:
            received = get_field(get_field(by_id.get(call.id), "function"), "arguments")
            yield replace(call, arguments=arguments_text(call.parsed, received))


def _entries(message: ChatMessage) -> Sequence[Any]:
    entries = message.additional_kwargs.get("tool_calls")
    return entries if isinstance(entries, (list, tuple)) else ()


def _entries_by_id(message: ChatMessage) -> dict[str, Any]:
    return {str(get_field(entry, "id")): entry for entry in _entries(message)}


def to_selections(message: ChatMessage) -> list[ToolSelection]:
    """Return the tool calls of an assistant message as LlamaIndex's tool selections.

    A call with invalid arguments must not run, and the model must learn about it. Its selection
    therefore names a tool that does not exist, and the name contains the error: an agent answers
    the model that there is no tool of this name.
    """
    return [
        ToolSelection(
            tool_id=call.id,
            tool_name=call.name if call.error is None else f"{call.name} (not run: {call.error})",
            tool_kwargs=dict(call.parsed or {}),
        )
        for call in parse_tool_calls(message)
    ]


def parse_tool_calls(message: ChatMessage) -> list[ToolCall]:
    """Return the tool calls in a message's blocks, else those in its additional_kwargs.

    A call whose arguments are stored as a dict has `parsed`, and no text in `arguments`.
    """
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks:
        legacy = message.additional_kwargs.get("function_call")  # of LlamaIndex before 0.9
        entries = _entries(message) or ([legacy] if legacy else [])
        return [replace(_from_entry(entry), extra=_extra_of(entry)) for entry in entries]
    by_id = _entries_by_id(message)
    pairs = [(block, by_id.get(str(block.tool_call_id))) for block in blocks]
    return [replace(_from_block(block, entry), extra=_extra_of(entry)) for block, entry in pairs]


def _extra_of(entry: Any) -> Json:
    """Return the other keys of a call; those of other packages' objects are none of the reply."""
    return omit(unknown_call_keys(entry), ("error",)) if isinstance(entry, dict) else {}


def _from_block(block: ToolCallBlock, entry: Any) -> ToolCall:
    # Some vendors give no ids; then the name is the id of the call and of its result.
    call_id = block.tool_call_id or block.tool_name
    arguments, error = block.tool_kwargs, as_text(get_field(entry, "error"))
    if isinstance(arguments, dict):
        return ToolCall(call_id, block.tool_name, "", arguments)
    if error is not None:
        return ToolCall(call_id, block.tool_name, arguments, error=error)
    return decode_tool_call(call_id, block.tool_name, arguments, cut=False)


def _from_entry(entry: Any) -> ToolCall:
    function = get_field(entry, "function") or entry  # Anthropic and Bedrock have a flat entry
    name = str(get_field(function, "name") or "")
    call_id = as_text(get_field(entry, "id")) or as_text(get_field(entry, "toolUseId")) or name
    error = as_text(get_field(entry, "error"))
    arguments = as_json_text(get_field(function, "arguments") or get_field(function, "input"))
    if error is not None:
        return ToolCall(call_id, name, arguments, error=error)
    return decode_tool_call(call_id, name, arguments, cut=False)


_LOOK_UPS = {call_tool_with_selection.__code__, acall_tool_with_selection.__code__}


class UnknownToolsReported:
    """Context manager: a tool that the framework looks up in vain is an error that says its name.

    A generator in its place would make a cycle: see `onerouter_core.tracebacks`.
    """

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, KeyError):
            return
        *_, (where, _) = walk_tb(trace)
        if where.f_code in _LOOK_UPS:  # else it is a key that somebody else missed
            raise MalformedReplyError(
                f"The model called a tool that is not there: {error.args[0]}"
            ) from error
