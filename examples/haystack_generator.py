"""A chat generator for Haystack 3, written on exported names of `onerouter_core` alone.

    pip install haystack-ai
    python examples/haystack_generator.py "Why is the sky blue?"

It has tools, streaming, async, typed errors and objects: another framework needs no more than this.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

from haystack import component
from haystack.dataclasses import ChatMessage, ReasoningContent, StreamingChunk, ToolCallDelta
from haystack.dataclasses import ToolCall as HaystackCall
from haystack.tools import flatten_tools_or_toolsets

import onerouter_core as core


@component
class OneRouterChatGenerator:
    """Chat generator for a OneRouter gateway; `options` are the fields of `GatewayFields`."""

    def __init__(self, model: str, tools: Any = None, **options: Any) -> None:
        """Check the options; nothing is sent."""
        self.fields = core.GatewayFields(model=model, **options)
        self.tools, self.clients, self.methods = tools, core.Clients(), core.SupportedMethods()

    @component.output_types(replies=list[ChatMessage])
    def run(
        self,
        messages: list[ChatMessage],
        streaming_callback: Any = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Any = None,
        output_class: type[Any] | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Return the reply; with `output_class`, a pydantic class, the object in its meta.

        Raises onerouter_core.OneRouterError: a subclass for each kind of failure.
        """
        gateway, request = self._prepare(messages, generation_kwargs, tools)
        attempts = self.methods.attempts(request.model)
        while True:
            with attempts:
                asked = _asked(request, output_class, attempts)
                if streaming_callback is None:
                    return _result(gateway.complete(asked), output_class)
                with closing(gateway.stream(asked)) as deltas:
                    for delta in deltas:
                        attempts.has_answer = True
                        for chunk in _chunks(delta):
                            streaming_callback(chunk)
                return _result(delta.final_reply, output_class)

    @component.output_types(replies=list[ChatMessage])
    async def run_async(
        self,
        messages: list[ChatMessage],
        streaming_callback: Any = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Any = None,
        output_class: type[Any] | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Return the reply; the async form of `run`, whose callback is awaited."""
        gateway, request = self._prepare(messages, generation_kwargs, tools)
        attempts = self.methods.attempts(request.model)
        while True:
            with attempts:
                asked = _asked(request, output_class, attempts)
                if streaming_callback is None:
                    return _result(await gateway.acomplete(asked), output_class)
                async with aclosing(await gateway.astream(asked)) as deltas:
                    async for delta in deltas:
                        attempts.has_answer = True
                        for chunk in _chunks(delta):
                            await streaming_callback(chunk)
                return _result(delta.final_reply, output_class)

    def _prepare(self, messages: Any, kwargs: Any, tools: Any) -> tuple[core.Gateway, core.Request]:
        settings = core.resolve_call(self.fields, kwargs)
        offered = flatten_tools_or_toolsets(self.tools if tools is None else tools)
        specs = tuple(core.Tool(tool.name, tool.description, tool.parameters) for tool in offered)
        history = tuple(map(_to_message, messages))
        request = core.Request(settings.model, history, specs, parameters=settings.parameters)
        return core.Gateway(settings.connection, self.clients), request


def _asked(request: core.Request, output_class: Any, attempts: core.ObjectAttempts) -> core.Request:
    if output_class is None:
        return request
    return core.ask_for_object(request, core.class_schema(output_class), attempts.method)


def _to_message(message: ChatMessage) -> core.Message:
    texts = tuple(map(core.Text, message.texts))
    if result := message.tool_call_result:
        texts = (core.Text(str(result.result)),)
        return core.Message("tool", texts, tool_call_id=result.origin.id)
    calls = [
        core.ToolCall(call.id or "", call.tool_name, json.dumps(call.arguments), call.arguments)
        for call in message.tool_calls
    ]
    thought = message.reasoning or ReasoningContent("")
    return core.Message(
        message.role.value,
        texts,
        tool_calls=tuple(calls),
        reasoning=thought.reasoning_text or None,
        reasoning_details=tuple(thought.extra.get("reasoning_details", ())),
    )


def _result(reply: Any, output_class: Any) -> dict[str, list[ChatMessage]]:
    meta = {name: getattr(reply, name) for name in ("model", "finish_reason", "cost", "id")}
    meta["usage"] = dict(reply.usage.raw) if reply.usage else {}
    meta["invalid_tool_calls"] = [call for call in reply.tool_calls if call.error is not None]
    if output_class is not None:
        schema = core.class_schema(output_class)
        convert = core.object_converter(output_class, schema.schema)
        meta["object"] = core.ObjectReader(convert, schema.title).read(reply)
    valid = [call for call in reply.tool_calls if call.error is None]
    calls = [HaystackCall(call.name, dict(call.parsed), call.id) for call in valid]
    details = {"reasoning_details": list(reply.reasoning_details)}
    thought = ReasoningContent(reply.reasoning, details) if reply.reasoning else None
    text = reply.text or None
    message = ChatMessage.from_assistant(text, meta, tool_calls=calls, reasoning=thought)
    return {"replies": [message]}


def _chunks(delta: core.ReplyDelta) -> Iterator[StreamingChunk]:
    if delta.reasoning:
        yield StreamingChunk("", index=0, reasoning=ReasoningContent(delta.reasoning))
    if delta.text:
        yield StreamingChunk(delta.text, index=0)
    for call in delta.tool_calls:
        piece = ToolCallDelta(call.index, call.name, call.arguments, call.id)
        yield StreamingChunk("", index=call.index, tool_calls=[piece])


if __name__ == "__main__":
    generator = OneRouterChatGenerator("deepseek/deepseek-v4-flash")
    question = ChatMessage.from_user(" ".join(sys.argv[1:]))
    generator.run([question], lambda chunk: print(chunk.content, end="", flush=True))
