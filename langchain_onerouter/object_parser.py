"""Output parser of structured output: the object in a message, or an error that says why not.

LangChain hands messages and chunks to a parser: of a model, of its cache, or of any other step.
They are read by `onerouter_core.object_reader`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableConfig
from langchain_core.utils.pydantic import TypeBaseModel
from pydantic import WithJsonSchema, create_model

from langchain_onerouter.chunk_sums import add_chunks
from langchain_onerouter.errors import to_object_error
from langchain_onerouter.messages import to_answer
from onerouter_core import GrowingObject, ObjectReader, ReplyDelta, ToolCallDelta
from onerouter_core.errors import OneRouterError


class ObjectParser(BaseTransformOutputParser[Any]):
    """Parser of the object in a message; it raises a OneRouterError if there is none."""

    reader: ObjectReader
    """Reads the object."""

    output_type: Any
    """Type of the object."""

    yields_partial: bool
    """Whether a stream yields partial objects as they grow; otherwise only the complete one."""

    include_raw: bool
    """Whether the output is {"raw", "parsed", "parsing_error"} instead, and nothing is raised."""

    @property
    def OutputType(self) -> Any:  # noqa: N802 -- langchain-core's name
        """Type of the output; LangChain makes the output schema of it."""
        return dict[str, Any] if self.include_raw else self.output_type

    def get_output_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return a pydantic class of the output."""
        if not self.include_raw:
            return super().get_output_schema(config)
        error: Any = Annotated[Any, WithJsonSchema({"type": "string"})]
        parsed: Any = self.output_type | None
        return create_model(
            "StructuredOutput",
            raw=(AIMessage, ...),
            parsed=(parsed, None),
            parsing_error=(error, None),
        )

    def parse(self, text: str) -> Any:
        """Return the output for a text."""
        return self.parse_message(AIMessage(text))

    def parse_result(
        self,
        result: list[Generation],
        *,
        partial: bool = False,  # noqa: ARG002 -- langchain-core's signature
    ) -> Any:
        """Return the output for the first generation."""
        match result[0]:
            case ChatGeneration(message=message):
                return self.parse_message(message)
        return self.parse(result[0].text)

    def parse_message(self, message: BaseMessage) -> Any:
        """Return the output for a message."""
        if not self.include_raw:
            return self._parse_object(message)
        try:
            parsed = self._parse_object(message)
        except Exception as error:  # noqa: BLE001 -- a validator of the user may raise anything
            return {"raw": message, "parsed": None, "parsing_error": error}
        return {"raw": message, "parsed": parsed, "parsing_error": None}

    def _parse_object(self, message: BaseMessage) -> Any:
        try:
            return self.reader.read_answer(to_answer(message))
        except OneRouterError as error:
            errors = [to_object_error(error, message)]
        raise self.reader.redact(errors.pop())

    # Of a stream with `include_raw` the sum is parsed, so that it ends with what `invoke` returns.
    # (A fallback of LangChain catches only an error before the first output: a message is one.)
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


class _StreamedObject:
    """Partial objects of a stream, and the complete one at its end."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._growing = GrowingObject(parser.reader.title)
        self._chunks: list[AIMessageChunk] = []

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        if isinstance(chunk, str):
            chunk = AIMessageChunk(content=chunk)
        elif not isinstance(chunk, AIMessageChunk):  # a complete message: streaming is disabled
            chunk = AIMessageChunk(**chunk.model_dump(exclude={"type"}))
        self._chunks.append(chunk)
        if self._parser.yields_partial and self._growing.add(_to_delta(chunk)):
            yield self._growing.value

    def end(self) -> Iterator[Any]:
        if self._chunks:
            value = self._parser.parse_message(add_chunks(self._chunks))
            if value is None or value != self._growing.value:
                yield value


def _to_delta(chunk: AIMessageChunk) -> ReplyDelta:
    calls = [
        ToolCallDelta(call["index"] or 0, call["id"], call["name"], call["args"] or "")
        for call in chunk.tool_call_chunks
    ]
    return ReplyDelta(str(chunk.text), tool_calls=tuple(calls))
