"""The object that is wanted of a model: how to ask for it, how to read it.

This module knows the caller's class, three ways to ask for an object of it and one way to read an
answer. It does not know who asks, nor in which colour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.program.utils import create_flexible_model
from pydantic import BaseModel

from llama_index_onerouter.raw import to_raw
from llama_index_onerouter.tools import to_calls
from onerouter_core.errors import (
    ConfigurationError,
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    RefusalError,
    findings,
)
from onerouter_core.schemas import (
    instruction,
    read_growing_json,
    read_json,
    rooted,
    schema_name,
    strict,
)
from onerouter_core.values import JsonSchema, NamedTool, Tool

Mode: TypeAlias = Literal["json_schema", "function", "json_object"]

# Keywords of LlamaIndex's own programs; here the way of asking decides them.
_DECIDED = {"tools", "tool_choice", "tool_required", "allow_parallel_tool_calls", "response_format"}
_WHERE = ("model", "provider", "request_id", "generation_id")


class Wanted:
    """The object that is wanted: how to ask for it, how to read it."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._class = output_cls
        self._schema = rooted(output_cls.model_json_schema())
        self._title = str(self._schema.get("title") or output_cls.__name__)
        fields = output_cls.model_fields.items()
        self._names = {field.alias: name for name, field in fields if field.alias}
        self._seen: Any = None

    @cached_property
    def _flexible(self) -> type[BaseModel]:
        return create_flexible_model(self._class)

    def question(
        self, mode: Mode, messages: list[ChatMessage], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the keywords for `chat`."""
        kept = {name: value for name, value in given.items() if name not in _DECIDED}
        match mode:
            case "json_schema":
                how: dict[str, Any] = {"response_format": self._format()}
            case "function":
                tool = Tool(self._title, self._schema.get("description") or "", self._schema)
                choice = NamedTool(self._title)
                how = {"tools": [tool], "tool_choice": choice, "parallel_tool_calls": False}
            case "json_object":
                how = {"response_format": "json_object"}
                asked = ChatMessage(instruction(self._schema), role=MessageRole.SYSTEM)
                messages = [asked, *messages]
        return {**kept, **how, "messages": messages}

    def _format(self) -> JsonSchema:
        """Return the response format, strict if the class can be held to that."""
        about = self._schema.get("description")
        try:
            return JsonSchema(schema_name(self._title), strict(self._schema), True, about)
        except ConfigurationError:
            return JsonSchema(schema_name(self._title), self._schema, None, about)

    def read(self, response: ChatResponse) -> BaseModel:
        """Return the object in a whole response; raise what kept the model from it."""
        facts = response.additional_kwargs
        where = {name: facts.get(name) for name in _WHERE}
        if (refusal := response.message.additional_kwargs.get("refusal")) is not None:
            raise RefusalError(f"The model refused: {refusal}", **where)
        match facts.get("finish_reason"):
            case "length":
                raise LengthLimitError("The object was cut off by the length limit.", **where)
            case "content_filter":
                raise ContentFilterError("Moderation stopped the object.", **where)
        try:
            return self._class.model_validate_json(json.dumps(_value_in(response.message)))
        except ValueError as error:  # no JSON, or pydantic's ValidationError
            message = f"The answer is no {self._title}: {findings(error)}"
            raise MalformedReplyError(message, **where) from error

    def read_growing(self, response: ChatResponse) -> BaseModel | None:
        """Return the object so far, None if this response adds nothing to it.

        It is never of the class, even where it would be valid: half a number is a number.
        """
        value = _growing_value_in(response.message)
        if not isinstance(value, dict) or value == self._seen:
            return None
        self._seen = value
        return self._flexible.model_validate(
            {self._names.get(key, key): to_raw(item) for key, item in value.items()}
        )


def _value_in(message: ChatMessage) -> Any:
    """Return the first call's arguments, else the JSON in the text; raise ValueError."""
    for call in to_calls(message):
        if call.error is not None:
            raise ValueError(call.error)
        return call.parsed
    return read_json(message.content or "")


def _growing_value_in(message: ChatMessage) -> Any:
    for call in to_calls(message):
        return call.parsed
    return read_growing_json(message.content or "")
