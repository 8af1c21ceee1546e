"""Output parser of structured output: the object from a tool call or from JSON in the text.

The parser works on complete messages and on streamed chunks. It does not know the method by which
the object was requested. Every failure is a OneRouterError: a partial object is never returned as
complete, and broken JSON is never repaired.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables.passthrough import identity
from pydantic import Field

from langchain_onerouter.chunk_sums import add_chunks
from langchain_onerouter.errors import (
    LengthLimitError,
    MalformedReplyError,
    ModerationStopError,
    OneRouterError,
    RefusalError,
)
from langchain_onerouter.messages import to_messages
from onerouter_core import Reply, parse_incomplete_json, parse_json_text
from onerouter_core.errors import format_validation_errors
from onerouter_core.wire import finish_meaning


class ObjectParser(BaseTransformOutputParser[Any]):
    """Parser of the call of the tool `tool`, or, without such a call, of JSON in the text."""

    convert: Callable[[Any], Any]
    """Converts parsed JSON to the object; raises ValueError or TypeError if it does not fit."""

    yields_partial: bool
    """Whether a stream yields partial objects as they grow; otherwise only the complete one."""

    output_type: Any = None
    """Type of the object. None: any."""

    tool: str | None = None
    """Name of the tool with the object as its arguments. None: the object is in the text."""

    redact: Callable[[OneRouterError], OneRouterError] = Field(default=identity, repr=False)
    """Removes secrets that an answer echoes from an error."""

    @property
    def OutputType(self) -> Any:  # noqa: N802 -- langchain-core's name
        """Type of the object; LangChain makes the output schema of it."""
        return self.output_type or Any

    def parse(self, text: str) -> Any:
        """Return the object in a text; raise a OneRouterError if there is none."""
        return self._parse_message(AIMessage(text))

    def parse_result(
        self,
        result: list[Generation],
        *,
        partial: bool = False,  # noqa: ARG002 -- langchain-core's signature
    ) -> Any:
        """Return the object in the first generation; raise a OneRouterError if there is none."""
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
        """Return the object in a message; raise a OneRouterError that names the reason."""
        try:
            return self._read_message(message)
        except OneRouterError as error:
            errors = [error]  # in no local variable: see `onerouter_core.tracebacks`
        raise self.redact(errors.pop())

    def _read_message(self, message: BaseMessage) -> Any:
        if refusal := message.additional_kwargs.get("refusal"):
            raise _refusal_error(str(refusal), message)
        if _finish_meaning(message) == "moderation":
            raise _moderation_error(message)
        try:
            return self.convert(self._parse_json(message))
        except (ValueError, TypeError) as error:
            raise _to_parse_error(error, message) from error

    def _parse_json(self, message: BaseMessage) -> Any:
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
    """Partial objects of a stream, and the complete one at its end."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._chunks: list[AIMessageChunk] = []
        self._text = ""
        self._call_index: list[int | None] = []  # of the tool's first call, once it has begun
        self._last_value: Any = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        if isinstance(chunk, str):
            chunk = AIMessageChunk(content=chunk)
        elif not isinstance(chunk, AIMessageChunk):  # a complete message: streaming is disabled
            chunk = AIMessageChunk(**chunk.model_dump(exclude={"type"}))
        self._chunks.append(chunk)
        if not self._parser.yields_partial:
            return
        self._add_text(chunk)
        value = parse_incomplete_json(self._text)
        if value is not None and value != self._last_value:
            self._last_value = value
            yield value

    def _add_text(self, chunk: AIMessageChunk) -> None:
        """Add the arguments of the tool's first call, or the text while there is no such call."""
        for delta in chunk.tool_call_chunks:
            if delta["name"] and delta["name"] == self._parser.tool and not self._call_index:
                self._call_index, self._text = [delta["index"]], ""
            if delta["index"] in self._call_index:
                self._text += delta["args"] or ""
        if not self._call_index:
            self._text += chunk.text

    def end(self) -> Iterator[Any]:
        if not self._chunks:
            return
        value = self._parser.parse_result([ChatGeneration(message=add_chunks(self._chunks))])
        if value != self._last_value or self._last_value is None:
            yield value


def _to_parse_error(error: Exception, message: BaseMessage) -> OneRouterError:
    """Return the error that names why a message has no valid object."""
    context = _error_context(message)
    if _finish_meaning(message) == "length":
        return LengthLimitError("The object was cut off by the length limit.", **context)
    if getattr(message, "invalid_tool_calls", None):
        return MalformedReplyError(
            "The arguments of the tool call are not a complete JSON object.", **context
        )
    return MalformedReplyError(
        f"The answer is not an object of the schema: {format_validation_errors(error)}", **context
    )


def _finish_meaning(message: BaseMessage) -> str | None:
    metadata = message.response_metadata
    return finish_meaning(metadata.get("finish_reason"), metadata.get("native_finish_reason"))


def _moderation_error(message: BaseMessage) -> ModerationStopError:
    error = ModerationStopError("A content filter stopped the object.", **_error_context(message))
    error.raw_message = message
    return error


def _refusal_error(refusal: str, message: BaseMessage) -> RefusalError:
    error = RefusalError(f"The model refused: {refusal}", **_error_context(message))
    error.raw_message = message
    return error


def _error_context(message: BaseMessage) -> dict[str, Any]:
    """Return the error's attributes: ids of the call, and the answer as `partial`."""
    metadata = message.response_metadata
    (converted,) = to_messages([message], "", "never")
    partial = Reply(
        text=str(message.text),
        reasoning=message.additional_kwargs.get("reasoning_content", ""),
        tool_calls=converted.tool_calls,
        finish_reason=metadata.get("finish_reason"),
        cost=metadata.get("cost"),
        model=metadata.get("model_name"),
        provider=metadata.get("provider"),
        id=metadata.get("id"),
        request_id=metadata.get("request_id"),
    )
    return {
        "model": partial.model,
        "provider": partial.provider,
        "request_id": partial.request_id,
        "generation_id": partial.id,
        "attempts": metadata.get("attempts", 1),
        "partial": partial,
    }
