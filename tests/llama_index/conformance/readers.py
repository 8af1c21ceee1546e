"""What others read of a response, wherever the class under test has put it.

Knows the places where LlamaIndex, its handlers and the tracers around it look. An attribute of an
object and a key of a dict are the same here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def look(value: Any, *path: str | int) -> Any:
    """Follow keys, attributes and positions; None where the path ends early."""
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


def usage(response: Any) -> tuple[int, int] | None:
    """Return tokens in and out: of `raw`, else of `additional_kwargs`."""
    for place in (look(response.raw, "usage"), response.additional_kwargs):
        counts = look(place, "prompt_tokens"), look(place, "completion_tokens")
        if None not in counts:
            return counts
    return None


def fact(response: Any, name: str) -> Any:
    """Return a fact of an answer: of `additional_kwargs`, of `raw`, or of its first choice."""
    places = (response.additional_kwargs, response.raw, look(response.raw, "choices", 0))
    return next((found for place in places if (found := look(place, name)) is not None), None)


def refusal(response: Any) -> Any:
    """Return why the model declined."""
    places = (
        response.message.additional_kwargs,
        response.additional_kwargs,
        look(response.raw, "choices", 0, "message"),
        {"refusal": response.message.content or None},
    )
    return next((found for place in places if (found := look(place, "refusal"))), None)


def counted(response: Any) -> tuple[int, int] | None:
    """Return tokens in and out as OpenInference reads them: of `raw`, a mapping or an object."""
    counts = look(response.raw, "usage")
    found = look(counts, "prompt_tokens"), look(counts, "completion_tokens")
    return None if None in found else found


def called(response: Any) -> list[tuple[str, str]]:
    """Return the tool calls as OpenInference reads them: attributes of what is beside the blocks.

    A call in a dict is invisible to it.
    """
    entries = response.message.additional_kwargs.get("tool_calls") or ()
    functions = [getattr(entry, "function", None) for entry in entries]
    return [(function.name, function.arguments) for function in functions if function is not None]


def traced(response: Any) -> tuple[Any, Any, Any]:
    """Return model, total tokens and finish reason as OpenLLMetry reads them.

    The first two are a mapping's or an object's; choices are objects in an attribute.
    """
    choices = getattr(response.raw, "choices", None) or ()
    reason = getattr(choices[0], "finish_reason", None) if choices else None
    return look(response.raw, "model"), look(response.raw, "usage", "total_tokens"), reason


def shown(message: Any, kind: str) -> list[Any]:
    """Return a message's blocks of a kind, by the name that LlamaIndex gives it."""
    return [block for block in message.blocks if block.block_type == kind]
