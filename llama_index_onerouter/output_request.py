"""Structured output of one call: the request for an object, and the parser of the response.

This module knows the output class, three methods of asking for an object, and one way to parse a
response. It does not send requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from pydantic import BaseModel

from llama_index_onerouter.attribute_dict import get_field, to_attribute_dict
from llama_index_onerouter.errors import excerpt
from llama_index_onerouter.output_schema import output_schema_of
from llama_index_onerouter.tools import parse_tool_calls
from onerouter_core import (
    NamedTool,
    Tool,
    ToolCall,
    json_instruction,
    parse_incomplete_json,
    parse_json_text,
)
from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
    format_validation_errors,
)
from onerouter_core.wire import as_mapping, decode_partial_reply, finish_meaning

StructuredMethod: TypeAlias = Literal["json_schema", "function", "json_object"]
"""Method of asking for an object: a JSON schema as response format, one forced tool call, or JSON
mode with the schema in a system message."""

# LlamaIndex's own programs pass these keywords; here the method sets them.
_METHOD_KEYWORDS = {
    "tools",
    "tool_choice",
    "tool_required",
    "allow_parallel_tool_calls",
    "response_format",
}
_ERROR_FIELDS = ("model", "provider", "request_id", "generation_id")


class OutputRequest:
    """Request for one object of a pydantic class, and the parser of its response."""

    def __init__(
        self,
        output_cls: type[BaseModel],
        redact: Callable[[OneRouterError], OneRouterError] = lambda error: error,
    ) -> None:
        """Prepare the schema.

        Args:
            output_cls: Pydantic class of the object.
            redact: Removes secrets that an answer echoes from an error.

        Raises:
            ConfigurationError: `output_cls` is not a pydantic class.
        """
        self._redact = redact
        self._class = output_cls
        self._schema = output_schema_of(output_cls)
        self._last_value: dict[str, Any] | None = None
        self._text_length = 0  # characters of the answer that new_text has returned

    def request_kwargs(
        self, method: StructuredMethod, messages: list[ChatMessage], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the keywords for `chat`: the messages, the method's, and the caller's others."""
        kept = {name: value for name, value in kwargs.items() if name not in _METHOD_KEYWORDS}
        schema = self._schema
        match method:
            case "json_schema":
                options: dict[str, Any] = {"response_format": schema.format}
            case "function":
                description = schema.schema.get("description") or ""
                options = {
                    "tools": [Tool(schema.title, description, schema.schema)],
                    "tool_choice": NamedTool(schema.title),
                    "parallel_tool_calls": False,
                }
            case "json_object":
                options = {"response_format": "json_object"}
                instruction = json_instruction(schema.schema)
                messages = [ChatMessage(instruction, role=MessageRole.SYSTEM), *messages]
        return {**kept, **options, "messages": messages}

    def parse(self, response: ChatResponse) -> BaseModel:
        """Return the object in a complete response.

        Raises:
            RefusalError: The model refused to answer.
            LengthLimitError: The answer was cut at the length limit.
            ContentFilterError: Moderation stopped the answer.
            MalformedReplyError: The answer is not valid JSON, or not valid for the class.
        """
        try:
            return self._parse(response)
        except OneRouterError as error:
            errors = [error]  # in no local variable: see `onerouter_core.tracebacks`
        raise self._redact(errors.pop())

    def _parse(self, response: ChatResponse) -> BaseModel:
        context = _error_context(response)
        sent = excerpt(_written_text(response.message))
        if (refusal := response.message.additional_kwargs.get("refusal")) is not None:
            raise RefusalError(f"The model refused: {refusal}", **context)
        kwargs = response.additional_kwargs
        match finish_meaning(kwargs.get("finish_reason"), kwargs.get("native_finish_reason")):
            case "length":
                message = "The object was cut off at the length limit. Raise max_tokens."
                raise LengthLimitError(f"{message} {sent}", **context)
            case "moderation":
                raise ContentFilterError(f"Moderation stopped the answer. {sent}", **context)
        try:
            return self._class.model_validate_json(json.dumps(_object_value(response.message)))
        except ValueError as error:  # invalid JSON, or pydantic's ValidationError
            reason = format_validation_errors(error)
            message = f"The answer is not a valid {self._schema.title}: {reason} {sent}"
            raise MalformedReplyError(message, **context) from error

    @staticmethod
    def repair_messages(
        messages: list[ChatMessage], response: ChatResponse, error: MalformedReplyError
    ) -> list[ChatMessage]:
        """Return the messages of a retry: the invalid answer and the validation error are added."""
        text = response.message.content or ""
        answer = next(map(_call_arguments, parse_tool_calls(response.message)), text)
        instruction = f"{error.message} Answer again with the complete object."
        return [
            *messages,
            ChatMessage(answer, role=MessageRole.ASSISTANT),
            ChatMessage(instruction, role=MessageRole.USER),
        ]

    def parse_partial(self, response: ChatResponse) -> BaseModel | None:
        """Return the object so far; None if it has not changed since the last response.

        It is an instance of `partial_model`, never of the class: an incomplete value can be valid,
        such as the first digits of a number.
        """
        value = _partial_object_value(response.message)
        if not isinstance(value, dict) or value == self._last_value:
            return None
        self._last_value = value
        return self.last_partial

    @property
    def has_begun(self) -> bool:
        """Whether `parse_partial` has found an object."""
        return self._last_value is not None

    @property
    def last_partial(self) -> BaseModel:
        """The object so far, as `parse_partial` returned it last; empty before it begins."""
        names = self._schema.names
        items = (self._last_value or {}).items()
        return self._schema.partial_model.model_validate(
            {names.get(key, key): to_attribute_dict(item) for key, item in items}
        )

    def new_text(self, response: ChatResponse) -> str:
        """Return the JSON text that was added since the last call; the results add up to all."""
        text = _written_text(response.message)
        added, self._text_length = text[self._text_length :], len(text)
        return added


def _error_context(response: ChatResponse) -> dict[str, Any]:
    """Return the keywords of an error: model, provider, ids, attempts and the partial reply."""
    kwargs = response.additional_kwargs
    return {
        **{name: kwargs.get(name) for name in _ERROR_FIELDS},
        "attempts": kwargs.get("attempts", 1),
        "partial": decode_partial_reply(as_mapping(response.raw)),
    }


def _written_text(message: ChatMessage) -> str:
    """Return the arguments of the first tool call exactly as received, else the text."""
    for call in message.additional_kwargs.get("tool_calls", ()):
        return str(get_field(get_field(call, "function"), "arguments"))
    return message.content or ""


def _call_arguments(call: ToolCall) -> str:
    return call.arguments or json.dumps(call.parsed, ensure_ascii=False)


def _object_value(message: ChatMessage) -> Any:
    """Return the arguments of the first tool call, else the JSON in the text; raise ValueError."""
    for call in parse_tool_calls(message):
        if call.error is not None:
            raise ValueError(call.error)
        return call.parsed
    return parse_json_text(message.content or "")


def _partial_object_value(message: ChatMessage) -> Any:
    for call in parse_tool_calls(message):
        return call.parsed
    return parse_incomplete_json(message.content or "")
