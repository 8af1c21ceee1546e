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
from onerouter_core.errors import findings
from onerouter_core.schemas import read_growing_json, read_json
from onerouter_core.values import Reply


class ObjectParser(BaseTransformOutputParser[Any]):
    """Reads the object out of a message: out of the call of its tool, else out of its words.

    A streamed JSON schema shows itself as it grows; a class only when it is whole.
    """

    convert: Callable[[Any], Any]
    streams_parts: bool
    tool: str | None = None

    def parse(self, text: str) -> Any:
        """Read the object out of words."""
        return self._read(AIMessage(text))

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ARG002
        """Read the object out of the first generation."""
        first = result[0]
        return (
            self._read(first.message)
            if isinstance(first, ChatGeneration)
            else self.parse(first.text)
        )

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        growing = _Growing(self)
        for chunk in input:
            yield from growing.add(chunk)
        yield from growing.end()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        growing = _Growing(self)
        async for chunk in input:
            for value in growing.add(chunk):
                yield value
        for value in growing.end():
            yield value

    def _read(self, message: BaseMessage) -> Any:
        """Return the object, or raise what kept the model from it."""
        if refusal := message.additional_kwargs.get("refusal"):
            raise _refused(str(refusal), message)
        try:
            return self.convert(self._value_in(message))
        except (ValueError, TypeError) as error:
            raise _why_not(error, message) from error

    def _value_in(self, message: BaseMessage) -> Any:
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        for call in calls:
            if call["name"] == self.tool:
                return call["args"]
        try:
            return read_json(str(message.text))
        except ValueError:
            if not calls:
                raise
            names = ", ".join(call["name"] for call in calls)
            raise ValueError(f"the model called {names} instead") from None


class _Growing:
    """An object that streams in."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._chunks: list[AIMessageChunk] = []
        self._text = ""
        self._call: list[int | None] = []  # the index of the schema's call, once it has begun
        self._seen: Any = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        if isinstance(chunk, str):
            chunk = AIMessageChunk(content=chunk)
        elif not isinstance(chunk, AIMessageChunk):  # a whole message, where nothing is streamed
            chunk = AIMessageChunk(**chunk.model_dump(exclude={"type"}))
        self._chunks.append(chunk)
        if not self._parser.streams_parts:
            return
        self._take(chunk)
        value = read_growing_json(self._text)
        if value is not None and value != self._seen:
            self._seen = value
            yield value

    def _take(self, chunk: AIMessageChunk) -> None:
        """Take what belongs to the object: the schema's call, or words as long as there is none."""
        for part in chunk.tool_call_chunks:
            if part["name"] and part["name"] == self._parser.tool and not self._call:
                self._call, self._text = [part["index"]], ""
            if part["index"] in self._call:
                self._text += part["args"] or ""
        if not self._call:
            self._text += chunk.text

    def end(self) -> Iterator[Any]:
        if not self._chunks:
            return
        whole = self._parser.parse_result([ChatGeneration(message=_sum(self._chunks))])
        if whole != self._seen or self._seen is None:
            yield whole


def _sum(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return add_ai_message_chunks(chunks[0], *chunks[1:]) if len(chunks) > 1 else chunks[0]


def _why_not(error: Exception, message: BaseMessage) -> OneRouterError:
    """Name the reason that a message holds no object."""
    where = _where(message)
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
        f"The answer is not the object asked for: {findings(error)}", **where
    )


def _refused(refusal: str, message: BaseMessage) -> RefusalError:
    error = RefusalError(f"The model refused: {refusal}", **_where(message))
    error.raw_message = message
    return error


def _where(message: BaseMessage) -> dict[str, Any]:
    """Return what the error says of the call, and the answer that was paid for."""
    facts = message.response_metadata
    (said,) = to_messages([message], "", "never")
    came = Reply(
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
        "model": came.model,
        "provider": came.provider,
        "request_id": came.request_id,
        "generation_id": came.id,
        "attempts": facts.get("attempts", 1),
        "partial": came,
    }
