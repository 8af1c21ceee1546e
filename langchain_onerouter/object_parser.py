"""The object in an answer: read out of a call or out of words, whole or as it streams in.

This module knows messages and chunks, and what may stand where an object was asked for. It does not
know how a model is asked. Every failure is one of our errors, never a half-filled object or one
that it repaired.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation

from langchain_onerouter.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from langchain_onerouter.messages import to_messages
from onerouter_core import Reply, parse_incomplete_json, parse_json_text
from onerouter_core.errors import format_validation_errors


class ObjectParser(BaseTransformOutputParser[Any]):
    """Reads the object out of a message: out of the call of its tool, else out of its words.

    A streamed JSON schema shows itself as it grows; a class only when it is whole.
    """

    convert: Callable[[Any], Any]
    streams_parts: bool
    tool: str | None = None

    def parse(self, text: str) -> Any:
        """Read the object out of words."""
        return self._parse_message(AIMessage(text))

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ARG002
        """Read the object out of the first generation."""
        first = result[0]
        return (
            self._parse_message(first.message)
            if isinstance(first, ChatGeneration)
            else self.parse(first.text)
        )

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        streamed = _StreamedObject(self)
        for chunk in input:
            yield from streamed.add(chunk)
        yield from streamed.end()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        streamed = _StreamedObject(self)
        async for chunk in input:
            for value in streamed.add(chunk):
                yield value
        for value in streamed.end():
            yield value

    def _parse_message(self, message: BaseMessage) -> Any:
        """Return the object, or raise what kept the model from it."""
        if refusal := message.additional_kwargs.get("refusal"):
            raise _refusal_error(str(refusal), message)
        try:
            return self.convert(self._object_value(message))
        except (ValueError, TypeError) as error:
            raise _to_parse_error(error, message) from error

    def _object_value(self, message: BaseMessage) -> Any:
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        for call in calls:
            if call["name"] == self.tool:
                return call["args"]
        try:
            return parse_json_text(str(message.text))
        except ValueError:
            if not calls:
                raise
            names = ", ".join(call["name"] for call in calls)
            raise ValueError(f"the model called {names} instead") from None


class _StreamedObject:
    """An object that streams in."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._chunks: list[AIMessageChunk] = []
        self._text = ""
        self._call_index: list[int | None] = []  # the index of the schema's call, once it has begun
        self._seen: Any = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        if isinstance(chunk, str):
            chunk = AIMessageChunk(content=chunk)
        elif not isinstance(chunk, AIMessageChunk):  # a whole message, where nothing is streamed
            chunk = AIMessageChunk(**chunk.model_dump(exclude={"type"}))
        self._chunks.append(chunk)
        if not self._parser.streams_parts:
            return
        self._take_chunk(chunk)
        value = parse_incomplete_json(self._text)
        if value is not None and value != self._seen:
            self._seen = value
            yield value

    def _take_chunk(self, chunk: AIMessageChunk) -> None:
        """Take what belongs to the object: the schema's call, or words as long as there is none."""
        for part in chunk.tool_call_chunks:
            if part["name"] and part["name"] == self._parser.tool and not self._call_index:
                self._call_index, self._text = [part["index"]], ""
            if part["index"] in self._call_index:
                self._text += part["args"] or ""
        if not self._call_index:
            self._text += chunk.text

    def end(self) -> Iterator[Any]:
        if not self._chunks:
            return
        parsed = self._parser.parse_result([ChatGeneration(message=_add_chunks(self._chunks))])
        if parsed != self._seen or self._seen is None:
            yield parsed


def _add_chunks(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return add_ai_message_chunks(chunks[0], *chunks[1:]) if len(chunks) > 1 else chunks[0]


def _to_parse_error(error: Exception, message: BaseMessage) -> OneRouterError:
    """Name the reason that a message holds no object."""
    where = _error_context(message)
    match message.response_metadata.get("finish_reason"):
        case "length":
            return LengthLimitError("The object was cut off by the length limit.", **where)
        case "content_filter":
            return ContentFilterError("Moderation stopped the object.", **where)
    if getattr(message, "invalid_tool_calls", None):
        return MalformedReplyError(
            "The tool call's arguments are not a whole JSON object.", **where
        )
    return MalformedReplyError(
        f"The answer is not the object asked for: {format_validation_errors(error)}", **where
    )


def _refusal_error(refusal: str, message: BaseMessage) -> RefusalError:
    error = RefusalError(f"The model refused: {refusal}", **_error_context(message))
    error.raw_message = message
    return error


def _error_context(message: BaseMessage) -> dict[str, Any]:
    """Return what the error says of the call, and the answer that was paid for."""
    facts = message.response_metadata
    (said,) = to_messages([message], "", "never")
    partial = Reply(
        text=str(message.text),
        reasoning=message.additional_kwargs.get("reasoning_content", ""),
        tool_calls=said.tool_calls,
        finish_reason=facts.get("finish_reason"),
        cost=facts.get("cost"),
        model=facts.get("model_name"),
        provider=facts.get("provider"),
        id=facts.get("id"),
        request_id=facts.get("request_id"),
    )
    return {
        "model": partial.model,
        "provider": partial.provider,
        "request_id": partial.request_id,
        "generation_id": partial.id,
        "attempts": facts.get("attempts", 1),
        "partial": partial,
    }
