"""`with_structured_output`: an object of the schema, or an error that says why there is none.

This module knows three ways to ask for an object and one way to read it. It never returns None, a
half-filled object or one that it repaired.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import (
    Runnable,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_onerouter.auto_method import AutoMethod, Way
from langchain_onerouter.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
)
from langchain_onerouter.tools import to_tool
from onerouter_core.errors import ConfigurationError, findings
from onerouter_core.schemas import instruction, read_growing_json, read_json, schema_name
from onerouter_core.schemas import strict as strict_schema
from onerouter_core.values import JsonSchema, Tool

if TYPE_CHECKING:
    from langchain_onerouter.chat_models import ChatOneRouter

Method: TypeAlias = Literal["auto", "json_schema", "function_calling", "json_mode"]


def structured(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return the model bound to the schema, and the parser after it."""
    if method == "json_mode" and strict:
        raise ConfigurationError("json_mode keeps to no schema: strict needs another method.")
    chains = {
        way: _chain(model, schema, way, include_raw=include_raw, strict=strict, **kwargs)
        for way in (get_args(Way) if method == "auto" else (method,))
    }
    return AutoMethod(chains, model) if method == "auto" else chains[method]


def _chain(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    way: Way,
    *,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Return what asks in one way, and reads the answer."""
    bound = _bound(model, schema, way, strict, **kwargs)
    chain = _parsed(bound, schema, include_raw=include_raw)
    return chain if way != "json_mode" or schema is None else _told(model, schema) | chain


def _parsed(
    bound: Runnable[LanguageModelInput, AIMessage],
    schema: dict[str, Any] | type | None,
    *,
    include_raw: bool,
) -> Runnable[LanguageModelInput, Any]:
    """Return what comes of an answer: the object, or all there is."""
    parser = ObjectParser(convert=_converter(schema), streams_parts=not _is_model(schema))
    if not include_raw:
        return bound | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _told(
    model: ChatOneRouter, schema: dict[str, Any] | type
) -> Runnable[LanguageModelInput, list[BaseMessage]]:
    """Say the schema in words, to a model that can be held to none."""
    form = schema if isinstance(schema, dict) else _named(schema).parameters
    words = SystemMessage(instruction(form))
    return RunnableLambda(lambda given: [words, *model.to_messages(given)])


def _bound(
    model: ChatOneRouter,
    schema: dict[str, Any] | type | None,
    method: Way,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, AIMessage]:
    """Return the model asked for the schema in one way; `tools` may be called besides."""
    if method not in get_args(Method):
        raise ConfigurationError(f"method must be one of {get_args(Method)}, not {method!r}.")
    if schema is not None:
        about = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        kwargs = {"ls_structured_output_format": about, **kwargs}
    if method == "function_calling":
        tools = [schema, *kwargs.pop("tools", ())]
        kwargs = {"parallel_tool_calls": False, "tool_choice": _named(schema).name, **kwargs}
        return model.bind_tools(tools, strict=strict, **kwargs)
    if method == "json_schema":
        kwargs["response_format"] = to_format(schema, strict=strict)
    else:
        kwargs["response_format"] = "json_object"
    if tools := kwargs.pop("tools", None):
        return model.bind_tools(tools, strict=strict, **kwargs)
    return model.bind(**kwargs)


def _named(schema: dict[str, Any] | type | None) -> Tool:
    """Return the schema with its name; both ways to ask for an object need one."""
    if schema is None:
        raise ConfigurationError('Give a schema, or method="json_mode" to do without.')
    tool = to_tool(schema)
    if not isinstance(tool, Tool) or not tool.name:
        raise ConfigurationError("The schema has no name: give it a title.")
    if not tool.parameters:
        raise ConfigurationError("The schema has no properties, or is not a JSON schema.")
    return tool


def to_format(schema: dict[str, Any] | type | None, *, strict: bool | None) -> JsonSchema:
    """Return the response format: strict if it was asked for, or if nothing was and it can be."""
    tool = _named(schema)
    form, keeps = tool.parameters, bool(strict)
    if strict is not False:
        try:
            form, keeps = strict_schema(form), True
        except ConfigurationError:
            if strict:
                raise
    return JsonSchema(schema_name(tool.name), form, keeps, tool.description or None)


# --- reading the object ---


def _is_model(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _converter(schema: dict[str, Any] | type | None) -> Callable[[Any], Any]:
    """Return what makes the object of parsed JSON; it raises ValueError if it is none."""
    if schema is None:
        return lambda value: value
    if _is_model(schema):
        return cast("Callable[[Any], Any]", _validator(schema))
    tool = to_tool(schema)
    required = (tool.parameters if isinstance(tool, Tool) else tool).get("required", ())

    def with_all_keys(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"{type(value).__name__} instead of an object")  # noqa: TRY004 -- one kind of failure for the parser
        if missing := [key for key in required if key not in value]:
            raise ValueError(f"the keys {missing} are missing")
        return value

    return with_all_keys


def _validator(schema: Any) -> Any:
    """Return the class's own validator, whichever generation of pydantic it is of."""
    return schema.model_validate if hasattr(schema, "model_validate") else schema.parse_obj


class ObjectParser(BaseTransformOutputParser[Any]):
    """Reads the object out of a message: out of its tool call, else out of its words.

    A streamed JSON schema shows itself as it grows; a class only when it is whole.
    """

    convert: Callable[[Any], Any]
    streams_parts: bool

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
            return self.convert(_value_in(message))
        except (ValueError, TypeError) as error:
            raise _why_not(error, message) from error


class _Growing:
    """An object that streams in."""

    def __init__(self, parser: ObjectParser) -> None:
        self._parser = parser
        self._chunks: list[AIMessageChunk] = []
        self._text = ""
        self._seen: Any = None

    def add(self, chunk: str | BaseMessage) -> Iterator[Any]:
        if not isinstance(chunk, AIMessageChunk):
            chunk = AIMessageChunk(content=chunk if isinstance(chunk, str) else chunk.content)
        self._chunks.append(chunk)
        if not self._parser.streams_parts:
            return
        self._text += "".join(part["args"] or "" for part in chunk.tool_call_chunks) or chunk.text
        value = read_growing_json(self._text)
        if value is not None and value != self._seen:
            self._seen = value
            yield value

    def end(self) -> Iterator[Any]:
        if not self._chunks:
            return
        whole = self._parser.parse_result([ChatGeneration(message=_sum(self._chunks))])
        if whole != self._seen or self._seen is None:
            yield whole


def _sum(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    return add_ai_message_chunks(chunks[0], *chunks[1:]) if len(chunks) > 1 else chunks[0]


def _value_in(message: BaseMessage) -> Any:
    if isinstance(message, AIMessage) and message.tool_calls:
        return message.tool_calls[0]["args"]
    return read_json(str(message.text))


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
    facts = message.response_metadata
    return {
        "model": facts.get("model_name"),
        "provider": facts.get("provider"),
        "request_id": facts.get("request_id"),
        "generation_id": facts.get("id"),
    }
