"""Reading an object in the answer of a model: complete replies, and streams as they grow.

The object is the arguments of a call of its tool, or JSON in the text, however it was asked for.
Every failure is a OneRouterError that names its reason: a partial object is never returned as
complete, and broken JSON is never repaired. This module knows no framework.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from onerouter_core.errors import (
    ContentFilterError,
    LengthLimitError,
    MalformedReplyError,
    OneRouterError,
    RefusalError,
    format_validation_errors,
)
from onerouter_core.json_text import parse_incomplete_json, parse_json_text
from onerouter_core.running_reply import RunningCall, RunningReply
from onerouter_core.types import Json, Reply, ReplyDelta, ToolCall
from onerouter_core.wire import finish_meaning

_EXCERPT = 200  # characters of an answer in an error message


def excerpt(text: str | None) -> str:
    """Return a sentence with the beginning of what the model sent."""
    if not text:
        return "It sent no text."
    shown = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"
    return f"It sent: {shown!r}"


_STOPPED: dict[str | None, tuple[type[OneRouterError], str]] = {
    "length": (
        LengthLimitError,
        "The object was cut off at the length limit. Raise max_tokens.",
    ),
    "moderation": (ContentFilterError, "Moderation, a content filter, stopped the answer."),
}
"""Error class and message of answers that did not come to their end, by the meaning of it."""


def _unchanged(error: OneRouterError) -> OneRouterError:
    return error


class Answer(NamedTuple):
    """What of an answer can hold an object, or says why there is none."""

    text: str
    """Text of the answer."""

    tool_calls: Sequence[ToolCall]
    """Tool calls; the text of valid arguments is not needed."""

    refusal: str | None
    """Text with which the model declined to answer."""

    finish_reason: str | None
    """As in `Reply`."""

    native_finish_reason: str | None
    """As in `Reply`."""

    to_reply: Callable[[], Reply]
    """Returns the answer as a reply, for the error that says why there is no object."""


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
        finish = (reply.finish_reason, reply.native_finish_reason)
        answer = Answer(reply.text, reply.tool_calls, reply.refusal, *finish, lambda: reply)
        return self.read_answer(answer)

    def read_answer(self, answer: Answer) -> Any:
        """Return the object in an answer that is no Reply; raise as `read` does."""
        try:
            return self._read(answer)
        except OneRouterError as error:
            errors = [error]  # in no local variable: see `onerouter_core.tracebacks`
        raise self.redact(errors.pop())

    def _read(self, answer: Answer) -> Any:
        if answer.refusal:
            raise self._error(RefusalError, f"The model refused: {answer.refusal}", answer)
        meaning = finish_meaning(answer.finish_reason, answer.native_finish_reason)
        if meaning in _STOPPED:
            raise self._error(*_STOPPED[meaning], answer)
        try:
            return self.convert(self._json_value(answer))
        except (ValueError, TypeError) as error:
            name = f"not a valid {self.title}: " if self.title else ""
            reason = format_validation_errors(error).rstrip(".")
            message = f"The answer is not an object of the schema: {name}{reason}."
            raise self._error(MalformedReplyError, message, answer) from error

    def _error(self, kind: type[OneRouterError], message: str, answer: Answer) -> OneRouterError:
        reply = answer.to_reply()
        if kind is not RefusalError:
            message = f"{message} {excerpt(self.text_of(reply))}"
        return kind(
            message,
            model=reply.model,
            provider=reply.provider,
            request_id=reply.request_id,
            generation_id=reply.id,
            attempts=reply.attempts,
            partial=reply,
        )

    def text_of(self, reply: Reply) -> str:
        """Return what the model wrote as the object: arguments of a call, or the text."""
        calls = [self._call(reply), *(() if reply.text else reply.tool_calls)]
        return next((call.arguments for call in calls if call is not None), reply.text)

    def _call(self, answer: Reply | Answer) -> ToolCall | None:
        return next((call for call in answer.tool_calls if call.name == self.title), None)

    def _json_value(self, reply: Answer) -> Any:
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
        self._reply = RunningReply()
        self._call: RunningCall | None = None  # the object's call, once it has begun
        self._read = self._taken = 0  # characters of the text
        self.value: Any = None
        """The incomplete JSON value. None: it has not begun."""

    def add(self, delta: ReplyDelta) -> bool:
        """Add a delta; return whether the value has changed."""
        self._reply.add(delta)
        if self._call is None and delta.tool_calls:
            calls = [call for call in self._reply.calls.values() if call.name == self._title]
            if self._title and calls:
                self._call, self._read, self._taken = calls[0], 0, 0
        text = self._text()
        value = parse_incomplete_json(text) if len(text) > self._read else None
        self._read = len(text)
        if value is None or value == self.value:
            return False
        self.value = value
        return True

    def _text(self) -> str:
        """Return the arguments of the object's call, or the text before it."""
        return self._reply.text if self._call is None else self._call.arguments

    def take_new_text(self) -> str:
        """Return the JSON text that was added since the last call."""
        text = self._text()[self._taken :]
        self._taken += len(text)
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
