"""Reading an object in the answer of a model: complete replies, and streams as they grow.

The object is the arguments of a call of its tool, or JSON in the text, however it was asked for.
Every failure is a OneRouterError that names its reason: a partial object is never returned as
complete, and broken JSON is never repaired. This module knows no framework.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
    format_validation_errors,
)
from onerouter_core.json_text import parse_incomplete_json, parse_json_text
from onerouter_core.types import Json, Reply, ReplyDelta, ToolCall
from onerouter_core.wire import finish_meaning

_EXCERPT = 200  # characters of an answer in an error message


def excerpt(text: str | None) -> str:
    """Return a sentence with the beginning of what the model sent."""
    if not text:
        return "It sent no text."
    shown = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
    return f"It sent: {shown!r}"


def _unchanged(error: OneRouterError) -> OneRouterError:
    return error


@dataclass(frozen=True)
class ObjectReader:
    """Reader of the object in a reply."""

    convert: Callable[[Any], Any]
    """Converts parsed JSON to the object; raises ValueError or TypeError if it does not fit."""

    title: str = ""
    """Title of the object's schema, which is the name of its tool. Empty: it has none."""

    redact: Callable[[OneRouterError], OneRouterError] = field(default=_unchanged, repr=False)
    """Removes secrets that an answer echoes from an error, and returns the error."""

    def read(self, reply: Reply) -> Any:
        """Return the object in a complete reply.

        Raises:
            RefusalError: the model refused to answer.
            LengthLimitError: the answer was cut at the length limit, even if its JSON is complete.
            ContentFilterError: moderation stopped the answer.
            MalformedReplyError: the answer has no object, or one that does not fit the schema.

        """
        try:
            return self._read(reply)
        except OneRouterError as error:
            errors = [error]  # in no local variable: see `onerouter_core.tracebacks`
        raise self.redact(errors.pop())

    def _read(self, reply: Reply) -> Any:
        sent = excerpt(self.text_of(reply))
        if reply.refusal:
            raise _error(RefusalError, f"The model refused: {reply.refusal}", reply)
        match finish_meaning(reply.finish_reason, reply.native_finish_reason):
            case "length":
                message = "The object was cut off at the length limit. Raise max_tokens."
                raise _error(LengthLimitError, f"{message} {sent}", reply)
            case "moderation":
                message = "Moderation, a content filter, stopped the answer."
                raise _error(ContentFilterError, f"{message} {sent}", reply)
        try:
            return self.convert(self._json_value(reply))
        except (ValueError, TypeError) as error:
            name = f"not a valid {self.title}: " if self.title else ""
            reason = format_validation_errors(error).rstrip(".")
            message = f"The answer is not an object of the schema: {name}{reason}. {sent}"
            raise _error(MalformedReplyError, message, reply) from error

    def text_of(self, reply: Reply) -> str:
        """Return what the model wrote as the object: arguments of a call, or the text."""
        calls = [self._call(reply), *(() if reply.text else reply.tool_calls)]
        return next((call.arguments for call in calls if call is not None), reply.text)

    def _call(self, reply: Reply) -> ToolCall | None:
        return next((call for call in reply.tool_calls if call.name == self.title), None)

    def _json_value(self, reply: Reply) -> Any:
        call = self._call(reply)
        if call is not None and call.error is None:
            return call.parsed
        try:
            return parse_json_text(reply.text)
        except ValueError:
            if not reply.tool_calls:
                raise
        if errors := [call.error for call in reply.tool_calls if call.error is not None]:
            message = "the arguments of the tool call are not a complete JSON object"
            raise ValueError(f"{message}: {errors[0]}")
        raise ValueError(f"the model called {', '.join(c.name for c in reply.tool_calls)} instead")


class GrowingObject:
    """The object of a stream, as far as it has come."""

    def __init__(self, title: str = "") -> None:
        """Start without an object; `title` as in `ObjectReader`."""
        self._title = title
        self._call_index: int | None = None  # of the object's call, once it has begun
        self._text = ""
        self._new_text = ""
        self.value: Any = None
        """The incomplete JSON value. None: it has not begun."""

    def add(self, delta: ReplyDelta) -> bool:
        """Add a delta; return whether the value has changed."""
        added = self._text_in(delta)
        self._text += added
        self._new_text += added
        value = parse_incomplete_json(self._text) if added else None
        if value is None or value == self.value:
            return False
        self.value = value
        return True

    def _text_in(self, delta: ReplyDelta) -> str:
        """Return the next characters of the object's call, or of the text before it."""
        arguments = ""
        for call in delta.tool_calls:
            if self._call_index is None and call.name and call.name == self._title:
                self._call_index, self._text, self._new_text = call.index, "", ""
            if call.index == self._call_index:
                arguments += call.arguments
        return delta.text if self._call_index is None else arguments

    def take_new_text(self) -> str:
        """Return the JSON text that was added since the last call."""
        text, self._new_text = self._new_text, ""
        return text


def object_converter(cls: type[Any] | None, schema: Json) -> Callable[[Any], Any]:
    """Return a function from JSON to an object, which raises ValueError or TypeError.

    Args:
        cls: pydantic class of the object, of version 1, too. None: the object is a dict.
        schema: JSON schema of the object: a dict must have its required keys. Empty: any JSON fits.

    """
    if cls is None:
        return partial(_to_dict, schema.get("required", ()) if schema else None)
    return partial(_to_instance, cls)


def _to_instance(cls: Any, value: Any) -> Any:
    if hasattr(cls, "model_validate_json"):  # JSON has no tuples: a strict class takes a list
        return cls.model_validate_json(json.dumps(value))
    return cls.parse_obj(value)


def _to_dict(required: list[str] | None, value: Any) -> Any:
    if required is not None and not isinstance(value, dict):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    if missing := [key for key in required or () if key not in value]:
        raise ValueError(f"the keys {missing} are missing")
    return value


def _error(kind: type[OneRouterError], message: str, reply: Reply) -> OneRouterError:
    return kind(
        message,
        model=reply.model,
        provider=reply.provider,
        request_id=reply.request_id,
        generation_id=reply.id,
        attempts=reply.attempts,
        partial=reply,
    )
