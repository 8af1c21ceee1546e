"""Templates of LlamaIndex's response classes, which a stream makes anew for each chunk."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from onerouter_core import ModelTemplate

M = TypeVar("M", bound=BaseModel)


@cache
def _templates() -> dict[type[BaseModel], ModelTemplate[Any]]:
    first, other = _arguments("a"), _arguments("b c")
    return {each: ModelTemplate(each, first[each], other[each]) for each in first}


def constructor_of(model_class: type[M]) -> Callable[..., M]:
    """Return a function that makes an instance of the arguments that `_arguments` names."""
    return _templates()[model_class].new


def _arguments(text: str) -> dict[type[BaseModel], dict[str, Any]]:
    """Return valid constructor arguments with a text, by class."""
    blocks = [TextBlock(text=text)]
    return {
        TextBlock: {"text": text},
        ThinkingBlock: {"content": text},
        ToolCallBlock: {"tool_call_id": text, "tool_name": text, "tool_kwargs": {text: text}},
        ChatMessage: {
            "role": MessageRole.ASSISTANT,
            "blocks": blocks,
            "additional_kwargs": {text: text},
        },
        ChatResponse: {
            "message": ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks),
            "raw": {text: text},
            "delta": text,
            "logprobs": None,
            "additional_kwargs": {text: text},
        },
    }
