"""Tools out, calls in: what a model may call, and what it asks to be called.

This module knows BaseTool, ToolSelection, ToolCallBlock and the `tool_calls` that LlamaIndex keeps
in a message's additional_kwargs. It knows no other block and nothing of the wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from traceback import walk_tb
from types import TracebackType
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool
from llama_index.core.tools.calling import acall_tool_with_selection, call_tool_with_selection

from llama_index_onerouter.raw import Raw, read
from llama_index_onerouter.shapes import parameters_of
from onerouter_core.errors import ConfigurationError, MalformedReplyError
from onerouter_core.schemas import strict
from onerouter_core.values import Json, Tool, ToolCall
from onerouter_core.wire.lenient import as_text
from onerouter_core.wire.replies import arguments_text, read_call
from onerouter_core.wire.requests import read_tool

# --- out ---


def offer(
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
    wanted = "required" if choice is None and required else choice
    return {
        "tools": [to_tool(tool, keep_strictly=keep_strictly) for tool in tools],
        **({} if wanted is None else {"tool_choice": wanted}),
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
            parameters = strict(parameters) if keep_strictly else parameters
            return Tool(
                about.get_name(), about.description or "", parameters, keep_strictly or None
            )
        case Mapping():
            return read_tool(tool)
        case _:
            raise ConfigurationError(f"That is no tool: {tool!r}. FunctionTool makes one of it.")


# --- in ---


def to_entry(call: ToolCall) -> Raw:
    """Return a call as LlamaIndex's streaming programs and tracers look for it."""
    entry = Raw(id=call.id, type="function", function=Raw(name=call.name, arguments=call.arguments))
    return entry if call.error is None else Raw(entry, error=call.error)


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
    errors = {str(read(entry, "id")): as_text(read(entry, "error")) for entry in entries}
    return [_from_block(block, errors.get(str(block.tool_call_id))) for block in blocks]


def _from_block(block: ToolCallBlock, error: str | None) -> ToolCall:
    # Some vendors give no ids; then the name stands in, for the call and for its result.
    call_id = block.tool_call_id or block.tool_name
    arguments = block.tool_kwargs
    if isinstance(arguments, dict):
        return ToolCall(call_id, block.tool_name, "", arguments)
    if error is not None:
        return ToolCall(call_id, block.tool_name, arguments, error=error)
    return read_call(call_id, block.tool_name, arguments, cut=False)


def _from_entry(entry: Any) -> ToolCall:
    function = read(entry, "function") or entry  # Anthropic's and Bedrock's have all in one
    name = str(read(function, "name") or "")
    call_id = as_text(read(entry, "id")) or as_text(read(entry, "toolUseId")) or name
    error = as_text(read(entry, "error"))
    arguments = arguments_text(read(function, "arguments") or read(function, "input"))
    if error is not None:
        return ToolCall(call_id, name, arguments, error=error)
    return read_call(call_id, name, arguments, cut=False)


_LOOK_UPS = {call_tool_with_selection.__code__, acall_tool_with_selection.__code__}


class _UnknownToolsReported:
    """Context that says what was called that could not be.

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


def unknown_tools_reported() -> _UnknownToolsReported:
    """Say what was called that could not be; the framework looks a tool up by its name."""
    return _UnknownToolsReported()
