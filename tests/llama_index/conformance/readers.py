"""Readers of a response: values that LlamaIndex, its handlers and its tracers look up.

This module knows the places of these values. A key of a mapping and an attribute of an object are
equivalent here, unless a function says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def get_path(value: Any, *path: str | int) -> Any:
    """Follow keys, attributes and list indexes; return None if one does not exist."""
    for step in path:
        if value is None:
            return None
        if isinstance(step, int):
            value = value[step] if len(value) > step else None
        elif isinstance(value, Mapping):
            value = value.get(step)
        else:
            value = getattr(value, step, None)
    return value


def token_usage(response: Any) -> tuple[int, int] | None:
    """Return prompt and completion tokens: those in `raw`, else in `additional_kwargs`."""
    for place in (get_path(response.raw, "usage"), response.additional_kwargs):
        counts = get_path(place, "prompt_tokens"), get_path(place, "completion_tokens")
        if None not in counts:
            return counts
    return None


def response_field(response: Any, name: str) -> Any:
    """Return a value in `additional_kwargs`, in `raw`, or in the first choice of `raw`."""
    choice = get_path(response.raw, "choices", 0)
    places = (response.additional_kwargs, response.raw, choice)
    values = (get_path(place, name) for place in places)
    return next((value for value in values if value is not None), None)


def refusal_text(response: Any) -> Any:
    """Return the refusal of the model, wherever it is in a response."""
    places = (
        response.message.additional_kwargs,
        response.additional_kwargs,
        get_path(response.raw, "choices", 0, "message"),
        {"refusal": response.message.content or None},
    )
    values = (get_path(place, "refusal") for place in places)
    return next((value for value in values if value), None)


def openinference_usage(response: Any) -> tuple[int, int] | None:
    """Return prompt and completion tokens as OpenInference reads them: those in `raw`."""
    usage = get_path(response.raw, "usage")
    counts = get_path(usage, "prompt_tokens"), get_path(usage, "completion_tokens")
    return None if None in counts else counts


def openinference_tool_calls(response: Any) -> list[tuple[str, str]]:
    """Return the tool calls as OpenInference reads them: attributes in `additional_kwargs`.

    It ignores a call that is a plain dict.
    """
    entries = response.message.additional_kwargs.get("tool_calls") or ()
    functions = [getattr(entry, "function", None) for entry in entries]
    return [(function.name, function.arguments) for function in functions if function is not None]


def openllmetry_fields(response: Any) -> tuple[Any, Any, Any]:
    """Return model, total tokens and finish reason as OpenLLMetry reads them.

    The first two are keys or attributes; `choices` and `finish_reason` must be attributes.
    """
    choices = getattr(response.raw, "choices", None) or ()
    reason = getattr(choices[0], "finish_reason", None) if choices else None
    return get_path(response.raw, "model"), get_path(response.raw, "usage", "total_tokens"), reason


def blocks_of_type(message: Any, block_type: str) -> list[Any]:
    """Return the blocks of a message that have a type, by LlamaIndex's name of the type."""
    return [block for block in message.blocks if block.block_type == block_type]
