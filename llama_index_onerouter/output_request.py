"""The object that is wanted of a model: how to ask for it, how to read it.

This module knows the caller's class, three ways to ask for an object of it and one way to read an
answer. It does not know who asks, nor in which colour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from pydantic import BaseModel

from llama_index_onerouter.attribute_dict import get_field, to_attribute_dict
from llama_index_onerouter.output_schema import output_schema_of
from llama_index_onerouter.tools import calls_in
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
    RefusalError,
    format_validation_errors,
)
from onerouter_core.wire import ToolNames, as_mapping, partial_reply

StructuredMethod: TypeAlias = Literal["json_schema", "function", "json_object"]

# Keywords of LlamaIndex's own programs; here the way of asking decides them.
_METHOD_KEYWORDS = {
    "tools",
    "tool_choice",
    "tool_required",
    "allow_parallel_tool_calls",
    "response_format",
}
_ERROR_FIELDS = ("model", "provider", "request_id", "generation_id")


class OutputRequest:
    """The object that is wanted: how to ask for it, how to read it."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._class = output_cls
        self._schema = output_schema_of(output_cls)
        self._last_value: Any = None
        self._written_text = 0  # characters of the answer that were told of

    def request_kwargs(
        self, method: StructuredMethod, messages: list[ChatMessage], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the keywords for `chat`."""
        kept = {name: value for name, value in given.items() if name not in _METHOD_KEYWORDS}
        shape = self._schema
        match method:
            case "json_schema":
                how: dict[str, Any] = {"response_format": shape.format}
            case "function":
                tool = Tool(shape.title, shape.schema.get("description") or "", shape.schema)
                choice = NamedTool(shape.title)
                how = {"tools": [tool], "tool_choice": choice, "parallel_tool_calls": False}
            case "json_object":
                how = {"response_format": "json_object"}
                asked = ChatMessage(json_instruction(shape.schema), role=MessageRole.SYSTEM)
                messages = [asked, *messages]
        return {**kept, **how, "messages": messages}

    def read(self, response: ChatResponse) -> BaseModel:
        """Return the object in a whole response; raise what kept the model from it."""
        facts = response.additional_kwargs
        where = {name: facts.get(name) for name in _ERROR_FIELDS}
        where["attempts"] = facts.get("attempts", 1)
        where["partial"] = partial_reply(as_mapping(response.raw), ToolNames(), {})
        if (refusal := response.message.additional_kwargs.get("refusal")) is not None:
            raise RefusalError(f"The model refused: {refusal}", **where)
        match facts.get("finish_reason"):
            case "length":
                raise LengthLimitError("The object was cut off by the length limit.", **where)
            case "content_filter":
                raise ContentFilterError("Moderation stopped the object.", **where)
        try:
            return self._class.model_validate_json(json.dumps(_object_value(response.message)))
        except ValueError as error:  # no JSON, or pydantic's ValidationError
            message = f"The answer is no {self._schema.title}: {format_validation_errors(error)}"
            raise MalformedReplyError(message, **where) from error

    @staticmethod
    def repair_messages(
        messages: list[ChatMessage], response: ChatResponse, error: MalformedReplyError
    ) -> list[ChatMessage]:
        """Return the messages that ask again: what was answered, and what was wrong with it."""
        words = response.message.content or ""
        answered = next(map(_call_arguments, calls_in(response.message)), words)
        asked = f"{error.message} Answer again, with the whole object."
        return [
            *messages,
            ChatMessage(answered, role=MessageRole.ASSISTANT),
            ChatMessage(asked, role=MessageRole.USER),
        ]

    def read_partial(self, response: ChatResponse) -> BaseModel | None:
        """Return the object so far, None if this response adds nothing to it.

        It is never of the class, even where it would be valid: half a number is a number.
        """
        value = _partial_object_value(response.message)
        if not isinstance(value, dict) or value == self._last_value:
            return None
        self._last_value = value
        names = self._schema.names
        return self._schema.partial_model.model_validate(
            {names.get(key, key): to_attribute_dict(item) for key, item in value.items()}
        )

    def new_text(self, response: ChatResponse) -> str:
        """Return what the model has written since this was last asked: in the end, all of it."""
        written = _written_text(response.message)
        since, self._written_text = written[self._written_text :], len(written)
        return since


def _written_text(message: ChatMessage) -> str:
    """Return the first call's arguments as they came, else the text."""
    for call in message.additional_kwargs.get("tool_calls", ()):
        return str(get_field(get_field(call, "function"), "arguments"))
    return message.content or ""


def _call_arguments(call: ToolCall) -> str:
    return call.arguments or json.dumps(call.parsed, ensure_ascii=False)


def _object_value(message: ChatMessage) -> Any:
    """Return the first call's arguments, else the JSON in the text; raise ValueError."""
    for call in calls_in(message):
        if call.error is not None:
            raise ValueError(call.error)
        return call.parsed
    return parse_json_text(message.content or "")


def _partial_object_value(message: ChatMessage) -> Any:
    for call in calls_in(message):
        return call.parsed
    return parse_incomplete_json(message.content or "")
